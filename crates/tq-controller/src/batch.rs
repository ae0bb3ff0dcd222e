//! Metadata of a batch: what its fields look like, which rows are produced, tags, keys and
//! receipts; by column, without a look at payload.

use tq_proto::{DType, FieldName, GlobalIndex, Key, PartitionId, Result};

use crate::Controller;
use crate::field::Field;
use crate::partition::Partition;
use crate::receipts::Receipts;
use crate::schema::Shape;
use crate::slots::{Slot, State};
use crate::tags::Tags;

/// Which fields the metadata of a batch describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldSelection {
    /// All that some sample of the partition has.
    All,
    /// Those named, with nothing known of those that were never put.
    Named(Vec<FieldName>),
    /// Those named, except those that were never put.
    Known(Vec<FieldName>),
}

/// Metadata of a batch, row by row in the order asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchColumns {
    /// The partition.
    pub partition: PartitionId,
    /// The samples.
    pub global_indexes: Vec<GlobalIndex>,
    /// The fields: in the order named, each once, or in the order in which they first came.
    pub fields: Vec<FieldColumns>,
    /// For each row 1 when every field of the selection that was ever put is produced, else 0; 0
    /// when none was ever put.
    pub produced: Vec<u8>,
    /// For each row its tags.
    pub tags: Vec<Tags>,
    /// For each row its key, none for a sample without a key.
    pub keys: Vec<Option<Key>>,
    /// For each row the receipts of the fields of the selection; none where no row has any.
    pub receipts: Option<Vec<Receipts>>,
}

/// What is known of a field over the rows of a batch. Where none of them is produced, it is what
/// is known over all samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldColumns {
    /// Name of the field.
    pub name: FieldName,
    /// Element type, when the rows are tensors of the same one.
    pub dtype: Option<DType>,
    /// Row shape, when the rows are tensors of the same one and the field is not nested.
    pub shape: Option<Shape>,
    /// Whether rows are described one by one: the field was put as a nested tensor, or its tensors
    /// differ in shape, within the batch or elsewhere in the partition.
    pub is_nested: bool,
    /// Whether some row is not a tensor. It is not nested then.
    pub is_non_tensor: bool,
    /// The shape of each row, where the field is nested; none for a row that is not produced.
    pub row_shapes: Option<Vec<Option<Shape>>>,
}

impl FieldColumns {
    /// A field of which nothing is known.
    fn unknown(name: FieldName) -> Self {
        Self {
            name,
            dtype: None,
            shape: None,
            is_nested: false,
            is_non_tensor: false,
            row_shapes: None,
        }
    }

    fn of(field: &Field, slots: &[Slot]) -> Self {
        let overall = field.schema();
        let description = Self {
            name: field.name.clone(),
            dtype: overall.dtype,
            shape: overall.shape,
            is_nested: overall.is_nested && !overall.is_non_tensor,
            is_non_tensor: overall.is_non_tensor,
            row_shapes: None,
        };
        if field.is_uniform() {
            return description;
        }
        let rows: Vec<_> = slots.iter().map(|slot| field.row(*slot)).collect();
        if rows.iter().flatten().any(Option::is_none) {
            return Self {
                is_non_tensor: true,
                ..Self::unknown(description.name)
            };
        }
        let mut tensors = rows.iter().flatten().flatten();
        let Some((dtype, shape)) = tensors.next() else {
            let row_shapes = description.is_nested.then(|| vec![None; slots.len()]);
            return Self {
                row_shapes,
                ..description
            };
        };
        let same_dtype = tensors.clone().all(|(other, _)| other == dtype);
        let row_shape =
            |row: &Option<Option<(DType, &Shape)>>| row.flatten().map(|(_, shape)| shape.clone());
        Self {
            dtype: same_dtype.then_some(*dtype),
            // Shapes that differ anywhere make the field nested.
            shape: (!overall.is_nested).then(|| (*shape).clone()),
            is_nested: overall.is_nested,
            is_non_tensor: false,
            row_shapes: overall
                .is_nested
                .then(|| rows.iter().map(row_shape).collect()),
            name: description.name,
        }
    }
}

impl Controller {
    /// Metadata of the samples numbered `indexes`, visible or pre-allocated; one that comes twice
    /// is described twice.
    ///
    /// # Errors
    /// `NotFound` when the partition or one of the samples does not exist.
    pub fn batch(
        &self,
        partition: &str,
        indexes: &[GlobalIndex],
        fields: &FieldSelection,
    ) -> Result<BatchColumns> {
        let state = self.existing(partition)?;
        let slots = state.locate(indexes)?;
        let mut produced = vec![1; slots.len()];
        let mut any_known = false;
        let columns = state.selected(fields).into_iter().map(|(name, field)| {
            let Some(field) = field else {
                return FieldColumns::unknown(name);
            };
            any_known = true;
            for (cell, slot) in produced.iter_mut().zip(&slots) {
                *cell &= u8::from(field.is_produced(*slot));
            }
            FieldColumns::of(field, &slots)
        });
        let columns = columns.collect();
        if !any_known {
            produced.fill(0);
        }
        let samples = || slots.iter().map(|slot| &state.slots[*slot]);
        // A pre-allocated sample may have the key of a put under way, which no query shows.
        let keys = samples().map(|sample| match sample.state {
            State::Visible => sample.key.clone(),
            _ => None,
        });
        Ok(BatchColumns {
            partition: state.id.clone(),
            global_indexes: indexes.to_vec(),
            fields: columns,
            produced,
            tags: samples().map(|sample| sample.tags.clone()).collect(),
            keys: keys.collect(),
            receipts: state.receipts.of(&slots, fields),
        })
    }
}

impl Partition {
    fn selected(&self, selection: &FieldSelection) -> Vec<(FieldName, Option<&Field>)> {
        let (names, keep_unknown) = match selection {
            FieldSelection::All => {
                let held = self
                    .fields
                    .iter()
                    .filter(|field| !field.produced().is_empty());
                return held
                    .map(|field| (field.name.clone(), Some(field)))
                    .collect();
            }
            FieldSelection::Named(names) => (names, true),
            FieldSelection::Known(names) => (names, false),
        };
        let mut selected: Vec<(FieldName, Option<&Field>)> = Vec::with_capacity(names.len());
        for name in names {
            let field = self.fields.get(name);
            let is_repeated = selected.iter().any(|(known, _)| known == name);
            if !is_repeated && (keep_unknown || field.is_some()) {
                selected.push((name.clone(), field));
            }
        }
        selected
    }
}
