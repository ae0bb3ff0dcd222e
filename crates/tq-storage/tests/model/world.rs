//! Steps taken in the unit and in the model at once.

use proptest::prelude::*;
use tq_proto::{DType, ErrorKind, GlobalIndex};
use tq_storage::{
    ColumnLayout, ColumnPlan, ColumnRead, PendingPut, ReadLayout, RowLayout, RowShapes, StorageUnit,
};

use crate::common::{self, gathered, joined, pattern};
use crate::naive::{InFlight, Kind, Naive, Row};
use crate::steps::{FIELDS, FIRST, LAST, Shape, Step};

/// Unit and model side by side.
pub(crate) struct World {
    unit: StorageUnit,
    model: Naive,
    max_samples: Option<u64>,
    capacity_bytes: Option<u64>,
    pending: Vec<PendingPut>,
    kept: Vec<(ColumnRead, Vec<Row>)>,
}

fn global(indexes: &[u64]) -> Vec<GlobalIndex> {
    indexes.iter().copied().map(GlobalIndex).collect()
}

/// The plan of a column and the rows it will hold.
fn column(shape: &Shape, rows: usize, seed: u64) -> (ColumnLayout, Vec<Row>) {
    let cycle =
        |values: &[u64]| -> Vec<u64> { values.iter().copied().cycle().take(rows).collect() };
    let tensor = |dtype: DType, shape: &[u64]| {
        let kind = Kind::Tensor {
            dtype,
            shape: shape.to_vec(),
        };
        (kind, dtype.byte_len(shape).unwrap())
    };
    let (layout, kinds): (_, Vec<(Kind, u64)>) = match shape {
        Shape::Dense(dtype, row_shape) => {
            let layout = ColumnLayout::Dense {
                dtype: *dtype,
                row_shape: row_shape.clone(),
            };
            (layout, vec![tensor(*dtype, row_shape); rows])
        }
        Shape::Jagged(dtype, lengths) => {
            let lengths = cycle(lengths);
            let kinds = lengths
                .iter()
                .map(|length| tensor(*dtype, &[*length, 1]))
                .collect();
            let dims = lengths.iter().flat_map(|length| [*length, 1]).collect();
            let row_shapes = RowShapes::new(2, rows, dims).unwrap();
            (
                ColumnLayout::Jagged {
                    dtype: *dtype,
                    row_shapes,
                },
                kinds,
            )
        }
        Shape::Object(units) => {
            let row_sizes: Vec<_> = cycle(units).iter().map(|units| units * 64).collect();
            let kinds = row_sizes.iter().map(|size| (Kind::Object, *size)).collect();
            (ColumnLayout::Object { row_sizes }, kinds)
        }
    };
    let row = |(number, (kind, len)): (usize, (Kind, u64))| Row {
        kind,
        bytes: pattern(seed.wrapping_add(number as u64), len as usize),
    };
    (layout, kinds.into_iter().enumerate().map(row).collect())
}

impl World {
    pub(crate) fn new(max_samples: Option<u64>, capacity_bytes: Option<u64>) -> Self {
        let unit = common::unit(max_samples, capacity_bytes.unwrap_or(u64::MAX));
        Self {
            unit,
            model: Naive::default(),
            max_samples,
            capacity_bytes,
            pending: Vec::new(),
            kept: Vec::new(),
        }
    }

    pub(crate) fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Begin {
                indexes,
                columns,
                seed,
            } => self.begin(indexes, &columns, seed)?,
            Step::Commit(which) if !self.pending.is_empty() => {
                let which = which % self.pending.len();
                let put = self.model.in_flight.remove(which);
                let mut lost = self.pending.remove(which).commit().unwrap();
                lost.sort_unstable();
                let wanted: Vec<_> = put.lost.iter().copied().collect();
                prop_assert_eq!(lost, global(&wanted));
                self.model.commit(put);
            }
            Step::GiveUp(which) if !self.pending.is_empty() => {
                let which = which % self.pending.len();
                drop(self.pending.remove(which));
                self.model.in_flight.remove(which);
            }
            Step::Read {
                mut indexes,
                fields,
                stored_only,
                keep,
            } => {
                if stored_only {
                    let has = |index: u64| {
                        fields
                            .iter()
                            .all(|f| self.model.rows.contains_key(&(*f, index)))
                    };
                    indexes.retain(|index| has(*index));
                }
                self.read(&indexes, &fields, keep)?;
            }
            Step::Clear(indexes) => {
                let cleared = self.unit.clear(&global(&indexes));
                prop_assert_eq!(cleared, self.model.clear(&indexes));
            }
            Step::Commit(_) | Step::GiveUp(_) => {}
        }
        self.check_counts()
    }

    fn begin(
        &mut self,
        indexes: Vec<u64>,
        shapes: &[(&'static str, Shape)],
        seed: u64,
    ) -> Result<(), TestCaseError> {
        let (mut plans, mut columns) = (Vec::new(), Vec::new());
        for (number, (name, shape)) in shapes.iter().enumerate() {
            let seed = seed.wrapping_add(1000 * number as u64);
            let (layout, rows) = column(shape, indexes.len(), seed);
            plans.push(ColumnPlan {
                field: common::field(name),
                layout,
            });
            columns.push((*name, rows));
        }
        let stores = !columns.is_empty();
        let mut in_use = self.model.in_use();
        in_use.extend(indexes.iter().filter(|_| stores));
        let full = stores
            && self
                .max_samples
                .is_some_and(|limit| in_use.len() as u64 > limit);
        let mut put = match self.unit.begin_put(&global(&indexes), plans) {
            Ok(put) => {
                prop_assert!(!full);
                put
            }
            Err(error) => {
                // How many bytes are free the model does not know; only that nothing is lost.
                let bytes_may_be_full = self.capacity_bytes.is_some();
                prop_assert!(full || bytes_may_be_full, "{}", error);
                prop_assert_eq!(error.kind(), ErrorKind::CapacityExceeded);
                return Ok(());
            }
        };
        for (bytes, (_, rows)) in put.columns_mut().into_iter().zip(&columns) {
            let wanted = joined_rows(rows);
            bytes.copy_from_slice(&wanted);
        }
        self.pending.push(put);
        let indexes = if stores { indexes } else { Vec::new() };
        self.model.in_flight.push(InFlight {
            indexes,
            columns,
            lost: Default::default(),
        });
        Ok(())
    }

    fn read(
        &mut self,
        indexes: &[u64],
        fields: &[&'static str],
        keep: bool,
    ) -> Result<(), TestCaseError> {
        let stored = |name, index| self.model.rows.get(&(name, index)).cloned();
        let column = |name: &&'static str| -> Option<Vec<Row>> {
            indexes.iter().map(|index| stored(*name, *index)).collect()
        };
        let wanted: Option<Vec<_>> = fields.iter().map(column).collect();
        let names: Vec<_> = fields.iter().map(|name| common::field(name)).collect();
        match (self.unit.read(&global(indexes), &names), wanted) {
            (Ok(reads), Some(wanted)) => {
                for (read, rows) in reads.into_iter().zip(wanted) {
                    check_column(&read, &rows)?;
                    if keep {
                        self.kept.push((read, rows));
                    }
                }
            }
            (Err(error), None) => prop_assert_eq!(error.kind(), ErrorKind::NotFound),
            (found, wanted) => prop_assert!(false, "found {:?}, wanted {:?}", found, wanted),
        }
        Ok(())
    }

    fn check_counts(&self) -> Result<(), TestCaseError> {
        let usage = self.unit.usage();
        let samples = self.model.samples();
        prop_assert_eq!(usage.samples, samples.len() as u64);
        let in_use = self.model.in_use().len() as u64;
        prop_assert_eq!(usage.samples + usage.pending_samples, in_use);
        prop_assert_eq!(usage.fields, self.model.fields().len());
        for index in FIRST..LAST {
            let wanted: Vec<_> = FIELDS
                .into_iter()
                .filter(|name| self.model.rows.contains_key(&(*name, index)))
                .collect();
            let found = self.unit.fields_of(GlobalIndex(index));
            prop_assert_eq!(
                found.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
                wanted
            );
        }
        Ok(())
    }

    /// Everything that was read is still there; once all is let go, no byte is in use.
    pub(crate) fn end(mut self) -> Result<(), TestCaseError> {
        let all: Vec<_> = (FIRST..LAST).collect();
        self.unit.clear(&global(&all));
        for (read, rows) in self.kept.drain(..) {
            check_column(&read, &rows)?;
        }
        drop(self.pending);
        let usage = self.unit.usage();
        prop_assert_eq!(
            (usage.samples, usage.pending_samples, usage.fields),
            (0, 0, 0)
        );
        prop_assert_eq!(usage.arena.in_use(), 0);
        Ok(())
    }
}

fn check_column(read: &ColumnRead, rows: &[Row]) -> Result<(), TestCaseError> {
    prop_assert_eq!(read.rows(), rows.len());
    for (position, row) in rows.iter().enumerate() {
        prop_assert_eq!(read.row_layout(position), Some(row.layout()));
        prop_assert!(read.row_bytes(position) == Some(row.bytes.as_slice()));
        let leased = read.row(position).map(|(_, _, len)| len);
        prop_assert_eq!(leased.unwrap_or(0), row.bytes.len() as u64);
    }
    let wanted = joined_rows(rows);
    prop_assert!(gathered(read) == wanted);
    if let Some((leases, offset, len)) = read.contiguous() {
        let together = joined(&leases);
        prop_assert!(together[offset as usize..(offset + len) as usize] == wanted);
    }
    prop_assert_eq!(
        read.runs().map(|run| run.bytes).sum::<u64>(),
        wanted.len() as u64
    );
    check_layout(&read.layout(), rows)
}

fn joined_rows(rows: &[Row]) -> Vec<u8> {
    rows.iter()
        .map(|row| row.bytes.as_slice())
        .collect::<Vec<_>>()
        .concat()
}

type Tensor = (DType, Vec<u64>);

/// The layout agrees with the rows and is the narrowest one that does.
fn check_layout(layout: &ReadLayout, rows: &[Row]) -> Result<(), TestCaseError> {
    let mut tensors: Vec<Tensor> = Vec::new();
    let mut sizes = Vec::new();
    for row in rows {
        match row.layout() {
            RowLayout::Tensor { dtype, shape } => tensors.push((dtype, shape.to_vec())),
            RowLayout::Object { bytes } => sizes.push(bytes),
        }
    }
    let all =
        |check: fn(&Tensor, &Tensor) -> bool| tensors.iter().all(|row| check(row, &tensors[0]));
    match layout {
        ReadLayout::Heterogeneous => prop_assert!(!tensors.is_empty() && !sizes.is_empty()),
        ReadLayout::Object { row_sizes } => prop_assert!(row_sizes == &sizes && tensors.is_empty()),
        ReadLayout::Dense { dtype, row_shape } => {
            prop_assert!(sizes.is_empty() && !tensors.is_empty());
            prop_assert!(
                tensors
                    .iter()
                    .all(|row| (&row.0, &row.1) == (dtype, row_shape))
            );
        }
        ReadLayout::Jagged { dtype, row_shapes } => {
            let shapes = row_shapes.iter().map(|shape| (*dtype, shape.to_vec()));
            prop_assert!(sizes.is_empty() && shapes.eq(tensors.iter().cloned()));
            prop_assert!(!all(|row, first| row == first));
        }
        ReadLayout::Mixed { rows } => {
            let found = rows.iter().map(|row| (row.dtype, row.shape.clone()));
            prop_assert!(sizes.is_empty() && found.eq(tensors.iter().cloned()));
            let alike = all(|row, first| row.0 == first.0 && row.1.len() == first.1.len());
            prop_assert!(tensors.is_empty() || !alike);
        }
    }
    Ok(())
}
