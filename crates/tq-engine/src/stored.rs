//! Samples whose payload lies in a storage backend: published when it is there, and found again.
//! The engine keeps where it lies, and never sees it.

use std::sync::Arc;

use tq_controller::{
    Published, Reservation, RowBytes, Stored, StoredColumn, StoredRow, StoredRows, Tags,
};
use tq_proto::{DType, FieldName, GlobalIndex, Parcel, Result, RowShapes};
use tq_storage::{ColumnLayout, ColumnPlan, RowsPart};

use crate::embedded::Embedded;
use crate::put::field_update;
use crate::wait::Change;

/// What a put has left in a storage backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredPut {
    /// The fields, and what their rows are.
    pub columns: Vec<ColumnPlan>,
    /// The parcels that the rows lie in.
    pub parcels: Vec<Parcel>,
    /// For each column where it lies; `None` for one that the backend finds by its receipts.
    pub places: Vec<Option<ColumnPlace>>,
    /// What the backend noted of each row; nothing where empty.
    pub receipts: Vec<tq_controller::Receipts>,
}

/// Where the rows of a column lie, back to back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnPlace {
    /// Which of the put's parcels.
    pub parcel: u32,
    /// Where its first row begins in it.
    pub start: u64,
}

/// What was found for samples whose payload lies in a storage backend.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredBatch {
    /// Positions in the request of the keys that do not exist.
    pub missing: Vec<usize>,
    /// Names of the fields produced for all samples found, sorted.
    pub ready: Vec<FieldName>,
    /// The parcels that the rows lie in, each once.
    pub parcels: Vec<Arc<Parcel>>,
    /// The columns asked for.
    pub columns: Vec<StoredRead>,
}

/// One field of samples: what its rows are, and where they lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRead {
    /// The field.
    pub field: FieldName,
    /// Consecutive rows that are alike.
    pub parts: Vec<RowsPart>,
    /// The bytes of the rows in order.
    pub runs: Vec<StoredRun>,
}

/// Bytes of a parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredRun {
    /// The parcel's place in [`StoredBatch::parcels`].
    pub parcel: u32,
    /// Where they begin in it.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
}

impl Embedded {
    /// Publishes samples of `keys` whose payload lies in a storage backend, all or none. Keys that
    /// exist are extended or overwritten field by field.
    ///
    /// # Errors
    /// As [`Self::begin_put`] and [`crate::Put::publish`]; `InvalidArgument` too for rows outside
    /// their parcel. Nothing is published then, and the parcels are the caller's to delete.
    pub fn publish_stored<K: AsRef<str>>(
        &self,
        partition: &str,
        keys: &[K],
        put: StoredPut,
        tags: Option<Vec<Tags>>,
    ) -> Result<Published> {
        self.check()?;
        let reservation = self.shared.controller().reserve(partition, keys)?;
        self.publish_reserved(reservation, put, tags)
    }

    /// As [`Self::publish_stored`] for samples that exist.
    ///
    /// # Errors
    /// As there; `NotFound` where a sample does not exist (any more).
    pub fn publish_stored_indexes(
        &self,
        partition: &str,
        indexes: &[GlobalIndex],
        put: StoredPut,
        tags: Option<Vec<Tags>>,
    ) -> Result<Published> {
        self.check()?;
        let reservation = self
            .shared
            .controller()
            .reserve_indexes(partition, indexes)?;
        self.publish_reserved(reservation, put, tags)
    }

    fn publish_reserved(
        &self,
        reservation: Reservation,
        put: StoredPut,
        tags: Option<Vec<Tags>>,
    ) -> Result<Published> {
        let partition = reservation.partition().clone();
        let rows = reservation.global_indexes().len() as u64;
        let fields: Vec<_> = put.columns.iter().map(field_update).collect();
        let stored = stored_of(put);
        let published = self
            .shared
            .controller()
            .publish_stored(reservation, &fields, tags, &stored)
            .map_err(|refused| refused.error)?;
        self.shared.waits.changed(&partition, Change::Rows(rows));
        Ok(published)
    }

    /// Where the fields of `select` (all that are ready, where `None`) of `keys` lie; names that are
    /// not ready for every key found are left out. One instant.
    ///
    /// # Errors
    /// As [`Self::read`]; `NotFound` too where a field lies in no parcel.
    pub fn read_stored<K: AsRef<str>>(
        &self,
        partition: &str,
        keys: &[K],
        select: Option<&[FieldName]>,
    ) -> Result<StoredBatch> {
        self.check()?;
        let (controller, resolved, fields) = self.resolve_ready(partition, keys, select)?;
        let rows = controller.stored_rows(&[partition], &resolved.global_indexes, &fields)?;
        drop(controller);
        Ok(batch_of(rows, &fields, resolved.missing, resolved.fields))
    }

    /// Where `fields` of samples lie: sample `i` is `indexes[i]` of `partitions[i]`; where one
    /// partition is given, it is that of all.
    ///
    /// # Errors
    /// `NotFound` where a sample does not exist (any more), or a field of it lies in no parcel.
    pub fn read_stored_indexes<P: AsRef<str>>(
        &self,
        partitions: &[P],
        indexes: &[GlobalIndex],
        fields: &[FieldName],
    ) -> Result<StoredBatch> {
        self.check()?;
        let rows = self
            .shared
            .controller()
            .stored_rows(partitions, indexes, fields)?;
        Ok(batch_of(rows, fields, Vec::new(), fields.to_vec()))
    }

    /// Takes up to `most` parcels that no row needs any more: whoever takes them deletes their
    /// objects, or gives them back.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn take_dropped(&self, most: usize) -> Result<Vec<Arc<Parcel>>> {
        self.check()?;
        Ok(self.shared.controller().take_dropped(most))
    }

    /// Gives back parcels that could not be deleted, for the next who takes some.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn return_dropped(&self, parcels: Vec<Arc<Parcel>>) -> Result<()> {
        self.check()?;
        self.shared.controller().return_dropped(parcels);
        Ok(())
    }
}

fn stored_of(put: StoredPut) -> Stored {
    let column = |(plan, place): (&ColumnPlan, &Option<ColumnPlace>)| {
        let place = (*place)?;
        Some(StoredColumn {
            field: plan.field.clone(),
            parcel: place.parcel as usize,
            start: place.start,
            row_bytes: row_bytes(&plan.layout),
        })
    };
    let columns = put.columns.iter().zip(&put.places).filter_map(column);
    Stored {
        columns: columns.collect(),
        parcels: put.parcels,
        receipts: put.receipts,
    }
}

/// A row of an impossible size lies in no parcel, and is refused as such.
fn row_bytes(layout: &ColumnLayout) -> RowBytes {
    let size = |dtype: DType, shape: &[u64]| dtype.byte_len(shape).unwrap_or(u64::MAX);
    match layout {
        ColumnLayout::Dense { dtype, row_shape } => RowBytes::Equal(size(*dtype, row_shape)),
        ColumnLayout::Jagged { dtype, row_shapes } if row_shapes.rank() == 0 => {
            RowBytes::Each(vec![dtype.item_size() as u64; row_shapes.rows()])
        }
        ColumnLayout::Jagged { dtype, row_shapes } => {
            RowBytes::Each(row_shapes.iter().map(|shape| size(*dtype, shape)).collect())
        }
        ColumnLayout::Object { row_sizes } => RowBytes::Each(row_sizes.clone()),
    }
}

fn batch_of(
    rows: StoredRows,
    fields: &[FieldName],
    missing: Vec<usize>,
    ready: Vec<FieldName>,
) -> StoredBatch {
    let columns = fields.iter().zip(&rows.columns);
    let columns = columns.map(|(field, rows)| StoredRead {
        field: field.clone(),
        parts: parts(rows),
        runs: runs(rows),
    });
    StoredBatch {
        columns: columns.collect(),
        parcels: rows.parcels,
        missing,
        ready,
    }
}

/// Rows back to back in one parcel are one run.
fn runs(rows: &[StoredRow]) -> Vec<StoredRun> {
    let mut runs: Vec<StoredRun> = Vec::new();
    for row in rows.iter().filter(|row| row.bytes > 0) {
        match runs.last_mut() {
            Some(last) if last.parcel == row.parcel && last.offset + last.bytes == row.offset => {
                last.bytes += row.bytes;
            }
            _ => runs.push(StoredRun {
                parcel: row.parcel,
                offset: row.offset,
                bytes: row.bytes,
            }),
        }
    }
    runs
}

/// Stretches of rows of one dtype and shape, of one dtype and rank, and of packed buffers.
fn parts(rows: &[StoredRow]) -> Vec<RowsPart> {
    let first = rows.first().and_then(|row| row.tensor.as_ref());
    if let Some((dtype, shape)) = first
        && rows.iter().all(|row| row.tensor.as_ref() == first)
    {
        let layout = ColumnLayout::Dense {
            dtype: *dtype,
            row_shape: shape.to_vec(),
        };
        return vec![RowsPart {
            rows: rows.len() as u32,
            layout,
        }];
    }
    let mut parts: Vec<RowsPart> = Vec::new();
    for row in rows {
        if let Some(last) = parts.last_mut()
            && extend(&mut last.layout, row)
        {
            last.rows += 1;
            continue;
        }
        let layout = match &row.tensor {
            Some((dtype, shape)) => {
                let mut row_shapes = RowShapes::with_capacity(shape.len(), rows.len());
                row_shapes.push(shape);
                ColumnLayout::Jagged {
                    dtype: *dtype,
                    row_shapes,
                }
            }
            None => ColumnLayout::Object {
                row_sizes: vec![row.bytes],
            },
        };
        parts.push(RowsPart { rows: 1, layout });
    }
    parts
}

/// Appends a row to a layout of its kind; false where it is of another.
fn extend(layout: &mut ColumnLayout, row: &StoredRow) -> bool {
    match (layout, &row.tensor) {
        (ColumnLayout::Jagged { dtype, row_shapes }, Some((other, shape)))
            if dtype == other && row_shapes.rank() == shape.len() =>
        {
            row_shapes.push(shape);
            true
        }
        (ColumnLayout::Object { row_sizes }, None) => {
            row_sizes.push(row.bytes);
            true
        }
        _ => false,
    }
}
