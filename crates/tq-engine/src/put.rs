//! One batch on its way in. Its keys are reserved and its memory is loaned; the caller fills the
//! columns; then it becomes visible at once, or nothing of it ever does.

use std::collections::HashMap;
use std::mem;

use tq_arena::{SegmentRange, Stripes};
use tq_controller::{FieldSchemaUpdate, FieldUpdate, Published, Reservation, Tags};
use tq_proto::{Error, ErrorKind, GlobalIndex, Result, UnitId};
use tq_storage::{ColumnLayout, ColumnPlan, PendingPut, RowShapes};

use crate::embedded::Embedded;
use crate::units::{Order, Placing};
use crate::wait::Change;

/// A batch that is being put. Dropping it undoes it.
pub struct Put {
    engine: Embedded,
    parts: Vec<Part>,
    rows: usize,
    store: Store,
}

/// Where the bytes of a batch are stored.
enum Store {
    /// It has none: a put of tags alone.
    Nowhere,
    /// In the engine's own unit.
    Here(PendingPut),
    /// In another unit, where the writer stores them himself before he publishes.
    There(UnitId),
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
        self.begin_put_placed(partition, keys, columns, None)
    }

    /// As [`Self::begin_put`], by a writer that can store in any unit: [`Put::unit`] tells in which
    /// he is to.
    ///
    /// # Errors
    /// As there.
    pub fn begin_put_placed<K: AsRef<str>>(
        &self,
        partition: &str,
        keys: &[K],
        columns: Vec<ColumnPlan>,
        placing: Option<Placing<'_>>,
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
        put.loan(&indexes, columns, placing)?;
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
        self.begin_put_indexes_placed(partitions, indexes, columns, None)
    }

    /// As [`Self::begin_put_indexes`], by a writer that can store in any unit.
    ///
    /// # Errors
    /// As there.
    pub fn begin_put_indexes_placed<P: AsRef<str>>(
        &self,
        partitions: &[P],
        indexes: &[GlobalIndex],
        columns: Vec<ColumnPlan>,
        placing: Option<Placing<'_>>,
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
        put.loan(indexes, columns, placing)?;
        Ok(put)
    }
}

impl Put {
    fn new(engine: &Embedded, rows: usize) -> Self {
        Self {
            engine: engine.clone(),
            parts: Vec::new(),
            rows,
            store: Store::Nowhere,
        }
    }

    fn loan(
        &mut self,
        indexes: &[GlobalIndex],
        columns: Vec<ColumnPlan>,
        placing: Option<Placing<'_>>,
    ) -> Result<()> {
        if columns.is_empty() {
            return Ok(());
        }
        let unit = placing.map_or(UnitId::HOME, |placing| {
            self.engine.choose_unit(placing, &columns, indexes.len())
        });
        self.store = match unit {
            UnitId::HOME => Store::Here(self.engine.shared.unit.begin_put(indexes, columns)?),
            unit => Store::There(unit),
        };
        Ok(())
    }

    /// The unit of another process that the bytes are to be stored in before the put is published;
    /// `None` where they are written here.
    #[must_use]
    pub fn unit(&self) -> Option<UnitId> {
        match self.store {
            Store::There(unit) => Some(unit),
            Store::Here(_) | Store::Nowhere => None,
        }
    }

    /// The samples of the batch, in row order.
    #[must_use]
    pub fn indexes(&self) -> Vec<GlobalIndex> {
        let mut indexes = vec![GlobalIndex::default(); self.rows];
        for part in &self.parts {
            let own = part.reservation.global_indexes();
            match &part.rows {
                None => indexes.copy_from_slice(own),
                Some(rows) => rows
                    .iter()
                    .zip(own)
                    .for_each(|(row, index)| indexes[*row] = *index),
            }
        }
        indexes
    }

    fn pending(&self) -> Option<&PendingPut> {
        match &self.store {
            Store::Here(pending) => Some(pending),
            Store::There(_) | Store::Nowhere => None,
        }
    }

    fn pending_mut(&mut self) -> Option<&mut PendingPut> {
        match &mut self.store {
            Store::Here(pending) => Some(pending),
            Store::There(_) | Store::Nowhere => None,
        }
    }

    /// Bytes loaned for the batch, padding included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.pending().map_or(0, PendingPut::bytes)
    }

    /// The bytes of each column, in the order given: rows back to back. All are to be written.
    pub fn columns_mut(&mut self) -> Vec<&mut [u8]> {
        self.pending_mut()
            .map(PendingPut::columns_mut)
            .unwrap_or_default()
    }

    /// Where the bytes of each column lie, for a process that writes them in its own mapping; see
    /// [`PendingPut::places`]. `None` for a column without bytes.
    #[must_use]
    pub fn places(&self) -> Vec<Option<SegmentRange>> {
        self.pending().map(PendingPut::places).unwrap_or_default()
    }

    /// Where the memory of all columns lies; see [`PendingPut::place`].
    #[must_use]
    pub fn place(&self) -> Option<SegmentRange> {
        self.pending().and_then(PendingPut::place)
    }

    /// The memory of all columns in parts; see [`PendingPut::stripes`].
    #[must_use]
    pub fn stripes(&mut self, bytes: u64) -> Option<Stripes> {
        self.pending_mut().and_then(|put| put.stripes(bytes))
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
        let unit = self.unit();
        match unit {
            // Whoever was there when it began may be lost by now, and the bytes with him.
            Some(unit) => drop(self.engine.shared.units.reachable(unit)?),
            None => {
                if let Store::Here(pending) = mem::replace(&mut self.store, Store::Nowhere) {
                    pending.commit()?;
                }
            }
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
        let unit = self.unit().unwrap_or(UnitId::HOME);
        let shared = &self.engine.shared;
        // Without further units there is nothing to record.
        let placed = shared.units.in_play().then(|| {
            let fields: Vec<_> = part.fields.iter().map(|field| field.name.clone()).collect();
            (fields, part.reservation.global_indexes().to_vec())
        });
        let mut displaced = Vec::new();
        let published = {
            let mut controller = shared.controller();
            let published = controller.publish(part.reservation, &part.fields, tags);
            if published.is_ok()
                && let Some((fields, indexes)) = &placed
            {
                displaced = controller.place(unit, fields, indexes);
            }
            published
        };
        match published {
            Ok(published) => {
                shared.units.drop_displaced(displaced, &shared.unit);
                shared.waits.changed(&partition, Change::Rows(rows));
                Ok(published)
            }
            Err(refused) => {
                self.drop_orphans(refused.orphans);
                Err(refused.error)
            }
        }
    }

    /// Drops what was stored for samples that are none.
    fn drop_orphans(&self, orphans: Vec<GlobalIndex>) {
        let shared = &self.engine.shared;
        match self.unit() {
            Some(_) if orphans.is_empty() => {}
            Some(unit) => shared.units.order(unit, Order::Clear(orphans)),
            None => drop(shared.unit.clear(&orphans)),
        }
    }
}

impl Embedded {
    fn choose_unit(&self, placing: Placing<'_>, columns: &[ColumnPlan], rows: usize) -> UnitId {
        let shared = &self.shared;
        if !shared.units.in_play() {
            return UnitId::HOME;
        }
        let mut sizes = columns.iter().map(|column| column.layout.bytes(rows));
        let bytes = sizes.try_fold(0u64, |sum, bytes| sum.checked_add(bytes?));
        let used = shared.unit.usage().arena.in_use();
        let free = match shared.config.small_batches_only {
            true => 0,
            false => shared.config.capacity_bytes.saturating_sub(used),
        };
        let policy = shared.config.placement;
        shared
            .units
            .choose(policy, placing, bytes.unwrap_or(u64::MAX), free)
    }
}

impl Drop for Put {
    fn drop(&mut self) {
        if self.parts.is_empty() || self.engine.check().is_err() {
            return;
        }
        // The memory first: nobody may find the keys gone and the room still taken.
        if self.unit().is_none() {
            self.store = Store::Nowhere;
        }
        for part in mem::take(&mut self.parts) {
            let orphans = self.engine.shared.controller().abandon(part.reservation);
            self.drop_orphans(orphans);
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
