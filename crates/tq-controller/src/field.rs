//! One field of a partition: for which samples it is produced, and the schema of those rows.

use rustc_hash::FxHashMap;
use tq_proto::{DType, FieldName};

use crate::row_values::RowValues;
use crate::schema::{FieldSchema, FieldSchemaUpdate, RowSchema, Shape};
use crate::slots::Slot;
use crate::status::Bitmap;

/// Production status and schema of one field.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: FieldName,
    produced: Bitmap,
    /// Of every produced row; `None` marks a row that is not a tensor.
    dtypes: RowValues<Option<DType>>,
    /// Of the rows that are tensors.
    shapes: RowValues<Shape>,
    /// Put as a nested tensor, even if the rows happen to agree.
    nested: bool,
}

impl Field {
    fn new(name: FieldName) -> Self {
        Self {
            name,
            produced: Bitmap::default(),
            dtypes: RowValues::default(),
            shapes: RowValues::default(),
            nested: false,
        }
    }

    /// Marks the field produced for `slots`, described by `update`. The caller has checked that a
    /// description per row has as many rows.
    fn produce(&mut self, slots: &[Slot], update: &FieldSchemaUpdate) {
        match update {
            FieldSchemaUpdate::Dense { dtype, row_shape } => {
                let tensor = Some((*dtype, &**row_shape, Some(row_shape)));
                let rest = self.produce_new(slots, tensor);
                rest.iter().for_each(|slot| self.produce_row(*slot, tensor));
            }
            FieldSchemaUpdate::Jagged { dtype, row_shapes } => {
                self.nested = true;
                for (slot, shape) in slots.iter().zip(row_shapes.iter()) {
                    self.produce_row(*slot, Some((*dtype, shape, None)));
                }
            }
            FieldSchemaUpdate::NonTensor => {
                let rest = self.produce_new(slots, None);
                rest.iter().for_each(|slot| self.produce_row(*slot, None));
            }
        }
    }

    /// [`Self::produce_row`] for rows that are alike, up to the first one that is overwritten;
    /// returns the others.
    fn produce_new<'a>(
        &mut self,
        slots: &'a [Slot],
        tensor: Option<(DType, &[u64], Option<&Shape>)>,
    ) -> &'a [Slot] {
        let new = slots.iter().take_while(|slot| self.produced.insert(**slot));
        let (new, rest) = slots.split_at(new.count());
        if !new.is_empty() {
            let dtype = tensor.map(|(dtype, _, _)| dtype);
            let dtype = self.dtypes.id_of(&dtype, || dtype);
            self.dtypes.assign_new(new, dtype);
            if let Some((_, dims, shape)) = tensor {
                let shape = self
                    .shapes
                    .id_of(dims, || shape.cloned().unwrap_or_else(|| dims.into()));
                self.shapes.assign_new(new, shape);
            }
        }
        rest
    }

    fn produce_row(&mut self, slot: Slot, tensor: Option<(DType, &[u64], Option<&Shape>)>) {
        let overwrites = !self.produced.insert(slot);
        let was_tensor = overwrites && self.dtypes.get(slot).is_some();
        let dtype = tensor.map(|(dtype, _, _)| dtype);
        let dtype = self.dtypes.id_of(&dtype, || dtype);
        self.dtypes.assign(slot, overwrites, dtype);
        if let Some((_, dims, shape)) = tensor {
            let shape = self
                .shapes
                .id_of(dims, || shape.cloned().unwrap_or_else(|| dims.into()));
            self.shapes.assign(slot, was_tensor, shape);
        } else if was_tensor {
            self.shapes.remove(slot);
        }
    }

    /// Forgets the rows at `slots`, those among them that are produced.
    fn clear(&mut self, slots: &[Slot]) {
        let rows_before = self.produced.len();
        for slot in slots {
            if self.produced.remove(*slot) {
                if self.dtypes.get(*slot).is_some() {
                    self.shapes.remove(*slot);
                }
                self.dtypes.remove(*slot);
            }
        }
        if self.produced.len() < rows_before && self.shapes.distinct() <= 1 {
            self.nested = false;
        }
    }

    /// The samples that have the field.
    pub(crate) fn produced(&self) -> &Bitmap {
        &self.produced
    }

    /// Whether [`Self::schema`] says all there is to say about any row.
    pub(crate) fn is_uniform(&self) -> bool {
        !self.nested && self.dtypes.distinct() <= 1 && self.shapes.distinct() <= 1
    }

    /// Dtype and shape of a row; the inner `None` for one that is not a tensor, the outer one where
    /// the field is not produced.
    pub(crate) fn row(&self, slot: Slot) -> Option<Option<(DType, &Shape)>> {
        self.produced.contains(slot).then(|| {
            let dtype = *self.dtypes.get(slot);
            dtype.map(|dtype| (dtype, self.shapes.get(slot)))
        })
    }

    pub(crate) fn is_produced(&self, slot: Slot) -> bool {
        self.produced.contains(slot)
    }

    pub(crate) fn schema(&self) -> FieldSchema {
        let rows = self.produced.len();
        let is_nested = self.nested || self.shapes.distinct() > 1;
        let is_non_tensor = self.shapes.rows() < rows;
        let describes_all = !is_nested && !is_non_tensor;
        FieldSchema {
            rows,
            dtype: self.dtypes.common().copied().flatten(),
            shape: self.shapes.common().filter(|_| describes_all).cloned(),
            is_nested,
            is_non_tensor,
        }
    }

    pub(crate) fn row_schema(&self, slot: Slot) -> Option<RowSchema> {
        self.row(slot).map(|tensor| RowSchema {
            dtype: tensor.map(|(dtype, _)| dtype),
            shape: tensor.map(|(_, shape)| shape.clone()),
        })
    }
}

/// The fields of a partition in the order in which they first came. A field stays known after its
/// last row was cleared.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    fields: Vec<Field>,
    by_name: FxHashMap<FieldName, usize>,
}

impl Fields {
    pub(crate) fn get(&self, name: &str) -> Option<&Field> {
        self.by_name.get(name).map(|place| &self.fields[*place])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter()
    }

    /// Marks `name` produced for `slots`, registering the field when it is new.
    pub(crate) fn produce(&mut self, name: &FieldName, slots: &[Slot], update: &FieldSchemaUpdate) {
        let place = match self.by_name.get(name) {
            Some(place) => *place,
            None => {
                self.fields.push(Field::new(name.clone()));
                self.by_name.insert(name.clone(), self.fields.len() - 1);
                self.fields.len() - 1
            }
        };
        self.fields[place].produce(slots, update);
    }

    pub(crate) fn clear(&mut self, slots: &[Slot]) {
        for field in &mut self.fields {
            field.clear(slots);
        }
    }

    /// Forgets the rows of one field at `slots`.
    pub(crate) fn clear_field(&mut self, name: &str, slots: &[Slot]) {
        if let Some(place) = self.by_name.get(name) {
            self.fields[*place].clear(slots);
        }
    }

    /// Sorted names of the fields produced for all of `slots`; `samples` is how many samples are
    /// counted, so that a field which all of them have needs no look at single slots.
    pub(crate) fn ready(&self, slots: &[Slot], samples: usize) -> Vec<FieldName> {
        if slots.is_empty() {
            return Vec::new();
        }
        let mut names: Vec<_> = self
            .fields
            .iter()
            .filter(|field| field.produced.len() == samples || field.produced.contains_all(slots))
            .map(|field| field.name.clone())
            .collect();
        names.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tq_proto::RowShapes;

    fn dense(dtype: DType, shape: &[u64]) -> FieldSchemaUpdate {
        FieldSchemaUpdate::Dense {
            dtype,
            row_shape: shape.into(),
        }
    }

    fn field(puts: &[(&[Slot], FieldSchemaUpdate)]) -> Field {
        let mut field = Field::new("f".into());
        for (slots, update) in puts {
            field.produce(slots, update);
        }
        field
    }

    #[test]
    fn rows_of_one_dtype_and_shape_describe_the_field() {
        let field = field(&[
            (&[0, 1], dense(DType::Int64, &[4])),
            (&[5], dense(DType::Int64, &[4])),
        ]);
        assert_eq!(
            field.schema(),
            FieldSchema {
                rows: 3,
                dtype: Some(DType::Int64),
                shape: Some([4].into()),
                is_nested: false,
                is_non_tensor: false,
            }
        );
    }

    #[test]
    fn another_shape_makes_the_field_nested_until_it_is_cleared() {
        let mut field = field(&[
            (&[0, 1], dense(DType::Int64, &[4])),
            (&[2], dense(DType::Int64, &[5])),
        ]);
        let schema = field.schema();
        assert_eq!((schema.is_nested, schema.shape), (true, None));
        assert_eq!(
            field.row_schema(2).and_then(|row| row.shape),
            Some([5].into())
        );
        field.clear(&[2]);
        let schema = field.schema();
        assert_eq!((schema.is_nested, schema.shape), (false, Some([4].into())));
        assert_eq!(field.row_schema(2), None);
    }

    #[test]
    fn overwriting_the_only_differing_row_makes_the_field_uniform() {
        let field = field(&[
            (&[0, 1], dense(DType::Int64, &[4])),
            (&[1], dense(DType::Float32, &[5])),
            (&[1], dense(DType::Int64, &[4])),
        ]);
        assert_eq!(field.schema().shape, Some([4].into()));
        assert_eq!(field.schema().dtype, Some(DType::Int64));
    }

    #[test]
    fn a_nested_put_stays_nested_though_its_rows_agree() {
        let shapes = RowShapes::new(1, 2, vec![3, 3]).unwrap();
        let update = FieldSchemaUpdate::Jagged {
            dtype: DType::Int64,
            row_shapes: shapes,
        };
        let mut field = field(&[(&[0, 1], update)]);
        assert!(field.schema().is_nested);
        field.clear(&[7]);
        assert!(field.schema().is_nested);
        field.clear(&[0]);
        assert_eq!(field.schema().shape, Some([3].into()));
    }

    #[test]
    fn a_clear_that_leaves_differing_rows_leaves_the_field_nested() {
        let shapes = RowShapes::new(1, 3, vec![3, 5, 7]).unwrap();
        let update = FieldSchemaUpdate::Jagged {
            dtype: DType::Int64,
            row_shapes: shapes,
        };
        let mut field = field(&[(&[0, 1, 2], update)]);
        field.clear(&[2]);
        field.produce(&[1], &dense(DType::Int64, &[3]));
        assert!(field.schema().is_nested);
        field.clear(&[1]);
        assert!(!field.schema().is_nested);
    }

    #[test]
    fn differing_dtypes_are_kept_per_row_and_not_reported_for_the_field() {
        let field = field(&[
            (&[0], dense(DType::Int32, &[])),
            (&[1], dense(DType::Float32, &[])),
        ]);
        assert_eq!(field.schema().dtype, None);
        assert_eq!(field.schema().shape, Some([].into()));
        assert_eq!(
            field.row_schema(0).and_then(|row| row.dtype),
            Some(DType::Int32)
        );
        assert_eq!(
            field.row_schema(1).and_then(|row| row.dtype),
            Some(DType::Float32)
        );
    }

    #[test]
    fn rows_that_are_no_tensors_have_neither_dtype_nor_shape() {
        let mut field = field(&[
            (&[0, 1], dense(DType::Int32, &[2])),
            (&[1], FieldSchemaUpdate::NonTensor),
        ]);
        let schema = field.schema();
        assert_eq!(
            (schema.dtype, schema.shape, schema.is_non_tensor),
            (None, None, true)
        );
        assert_eq!(
            field.row_schema(1),
            Some(RowSchema {
                dtype: None,
                shape: None
            })
        );
        field.clear(&[1]);
        assert_eq!(field.schema().shape, Some([2].into()));
    }

    #[test]
    fn a_field_without_rows_starts_afresh() {
        let mut field = field(&[(&[3], dense(DType::Int32, &[2]))]);
        field.clear(&[3]);
        assert_eq!(field.schema(), FieldSchema::default());
    }
}
