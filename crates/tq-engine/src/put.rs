//! One batch on its way in. Its keys are reserved and its memory is loaned; the caller fills the
//! columns; then it becomes visible at once, or nothing of it ever does.

use std::collections::HashMap;

use tq_arena::SegmentRange;
use tq_controller::{FieldSchemaUpdate, FieldUpdate, Published, Reservation, Tags};
use tq_proto::{Error, ErrorKind, GlobalIndex, Result};
use tq_storage::{ColumnLayout, ColumnPlan, PendingPut, RowShapes};

use crate::embedded::Embedded;
use crate::wait::Change;

/// A batch that is being put. Dropping it undoes it.
pub struct Put {
    engine: Embedded,
    parts: Vec<Part>,
    rows: usize,
    /// `None` for a put of tags alone.
    pending: Option<PendingPut>,
}

/// The rows of one partition.
pub(crate) struct Part {
    pub(crate) reservation: Reservation,
    /// Which rows of the batch they are; all of them, in order, where `None`.
    pub(crate) rows: Option<Vec<usize>>,
    pub(crate) fields: Vec<FieldUpdate>,
}

impl Embedded {
    /// Begins to put `columns`, one row per key, under `keys` of `partition`. Keys that exist are
    /// extended or overwritten field by field.
    ///
    /// # Errors
    /// `InvalidArgument` for repeated keys or fields and for columns of another length;
    /// `CapacityExceeded` where samples or bytes do not fit; `Closed`, `Forked`, `System`. Nothing
    /// has changed then.
    pub fn begin_put<K: AsRef<str>>(
        &self,
        partition: &str,
        keys: &[K],
        columns: Vec<ColumnPlan>,
    ) -> Result<Put> {
        self.check()?;
        let reservation = self.shared.controller().reserve(partition, keys)?;
        let indexes = reservation.global_indexes().to_vec();
        let mut put = Put::new(self, keys.len());
        put.parts.push(Part {
            reservation,
            rows: None,
            fields: columns.iter().map(field_update).collect(),
        });
        put.loan(&indexes, columns)?;
        Ok(put)
    }

    /// Begins to put `columns` for samples that exist: row `i` is the sample `indexes[i]` of
    /// `partitions[i]`. The rows of each partition become visible at once.
    ///
    /// # Errors
    /// As [`Self::begin_put`]; `NotFound` where a sample does not exist (any more).
    pub fn begin_put_indexes<P: AsRef<str>>(
        &self,
        partitions: &[P],
        indexes: &[GlobalIndex],
        columns: Vec<ColumnPlan>,
    ) -> Result<Put> {
        self.check()?;
        if partitions.len() != indexes.len() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "{} partitions were named for {} samples; name one per sample",
                    partitions.len(),
                    indexes.len()
                ),
            ));
        }
        let updates: Vec<FieldUpdate> = columns.iter().map(field_update).collect();
        let mut put = Put::new(self, indexes.len());
        for (partition, rows) in rows_by_partition(partitions) {
            let part = match rows {
                None => Part {
                    reservation: self
                        .shared
                        .controller()
                        .reserve_indexes(partition, indexes)?,
                    rows: None,
                    fields: updates.clone(),
                },
                Some(rows) => {
                    let own: Vec<_> = rows.iter().map(|row| indexes[*row]).collect();
                    Part {
                        reservation: self.shared.controller().reserve_indexes(partition, &own)?,
                        fields: updates
                            .iter()
                            .map(|update| update_of_rows(update, &rows))
                            .collect::<Result<_>>()?,
                        rows: Some(rows),
                    }
                }
            };
            put.parts.push(part);
        }
        put.loan(indexes, columns)?;
        Ok(put)
    }
}

impl Put {
    fn new(engine: &Embedded, rows: usize) -> Self {
        Self {
            engine: engine.clone(),
            parts: Vec::new(),
            rows,
            pending: None,
        }
    }

    fn loan(&mut self, indexes: &[GlobalIndex], columns: Vec<ColumnPlan>) -> Result<()> {
        if !columns.is_empty() {
            self.pending = Some(self.engine.shared.unit.begin_put(indexes, columns)?);
        }
        Ok(())
    }

    /// Bytes loaned for the batch, padding included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.pending.as_ref().map_or(0, PendingPut::bytes)
    }

    /// The bytes of each column, in the order given: rows back to back. All are to be written.
    pub fn columns_mut(&mut self) -> Vec<&mut [u8]> {
        self.pending
            .as_mut()
            .map(PendingPut::columns_mut)
            .unwrap_or_default()
    }

    /// Where the bytes of each column lie, for a process that writes them in its own mapping; see
    /// [`PendingPut::places`]. `None` for a column without bytes.
    #[must_use]
    pub fn places(&self) -> Vec<Option<SegmentRange>> {
        self.pending
            .as_ref()
            .map(PendingPut::places)
            .unwrap_or_default()
    }

    /// Makes the batch visible, with `tags` (one per row) merged into those there are.
    ///
    /// # Errors
    /// `NotFound` where a sample was cleared meanwhile; `InvalidArgument` for tags of another
    /// length; `Closed`. Nothing of that partition's rows is visible then.
    pub fn publish(mut self, tags: Option<Vec<Tags>>) -> Result<Published> {
        self.engine.check()?;
        if let Some(given) = tags
            .as_ref()
            .map(Vec::len)
            .filter(|given| *given != self.rows)
        {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "{given} tags were put with {} samples; give one set of tags per sample",
                    self.rows
                ),
            ));
        }
        if let Some(pending) = self.pending.take() {
            pending.commit()?;
        }
        let mut all = Published {
            tags: vec![Tags::default(); if self.parts.len() == 1 { 0 } else { self.rows }],
            fields: Vec::new(),
            sequence: 0,
        };
        let mut tags = tags;
        let single = self.parts.len() == 1;
        while let Some(part) = self.parts.pop() {
            let own = match &part.rows {
                None => tags.take(),
                Some(rows) => tags
                    .as_ref()
                    .map(|tags| rows.iter().map(|row| tags[*row].clone()).collect()),
            };
            let rows = part.rows.clone();
            let published = self.publish_part(part, own)?;
            if single {
                return Ok(published);
            }
            for (row, merged) in rows.into_iter().flatten().zip(published.tags) {
                all.tags[row] = merged;
            }
            if all.sequence == 0 {
                all.fields = published.fields;
            } else {
                all.fields.retain(|field| published.fields.contains(field));
            }
            all.sequence = all.sequence.max(published.sequence);
        }
        Ok(all)
    }

    fn publish_part(&self, part: Part, tags: Option<Vec<Tags>>) -> Result<Published> {
        let partition = part.reservation.partition().clone();
        let rows = part.reservation.global_indexes().len() as u64;
        let shared = &self.engine.shared;
        let published = shared
            .controller()
            .publish(part.reservation, &part.fields, tags);
        match published {
            Ok(published) => {
                shared.waits.changed(&partition, Change::Rows(rows));
                Ok(published)
            }
            Err(refused) => {
                shared.unit.clear(&refused.orphans);
                Err(refused.error)
            }
        }
    }
}

impl Drop for Put {
    fn drop(&mut self) {
        if self.parts.is_empty() || self.engine.check().is_err() {
            return;
        }
        // The memory first: nobody may find the keys gone and the room still taken.
        self.pending = None;
        for part in self.parts.drain(..) {
            let orphans = self.engine.shared.controller().abandon(part.reservation);
            self.engine.shared.unit.clear(&orphans);
        }
    }
}

/// The rows of each partition; `None` where all are of one.
fn rows_by_partition<P: AsRef<str>>(partitions: &[P]) -> Vec<(&str, Option<Vec<usize>>)> {
    let Some(first) = partitions.first().map(AsRef::as_ref) else {
        return Vec::new();
    };
    if partitions
        .iter()
        .all(|partition| partition.as_ref() == first)
    {
        return vec![(first, None)];
    }
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut parts: Vec<(&str, Option<Vec<usize>>)> = Vec::new();
    for (row, partition) in partitions.iter().map(AsRef::as_ref).enumerate() {
        let place = *places.entry(partition).or_insert_with(|| {
            parts.push((partition, Some(Vec::new())));
            parts.len() - 1
        });
        if let Some(rows) = &mut parts[place].1 {
            rows.push(row);
        }
    }
    parts
}

fn update_of_rows(update: &FieldUpdate, rows: &[usize]) -> Result<FieldUpdate> {
    let schema = match &update.schema {
        FieldSchemaUpdate::Jagged { dtype, row_shapes } => {
            let dims = rows
                .iter()
                .filter_map(|row| row_shapes.get(*row))
                .flatten()
                .copied()
                .collect();
            FieldSchemaUpdate::Jagged {
                dtype: *dtype,
                row_shapes: RowShapes::new(row_shapes.rank(), rows.len(), dims)?,
            }
        }
        schema => schema.clone(),
    };
    Ok(FieldUpdate {
        name: update.name.clone(),
        schema,
    })
}

pub(crate) fn field_update(column: &ColumnPlan) -> FieldUpdate {
    let schema = match &column.layout {
        ColumnLayout::Dense { dtype, row_shape } => FieldSchemaUpdate::Dense {
            dtype: *dtype,
            row_shape: row_shape.as_slice().into(),
        },
        ColumnLayout::Jagged { dtype, row_shapes } => FieldSchemaUpdate::Jagged {
            dtype: *dtype,
            row_shapes: row_shapes.clone(),
        },
        ColumnLayout::Object { .. } => FieldSchemaUpdate::NonTensor,
    };
    FieldUpdate {
        name: column.field.clone(),
        schema,
    }
}
