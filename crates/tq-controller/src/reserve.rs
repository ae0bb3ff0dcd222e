//! Reserve and abandon: global indexes held for a put, and given up when it fails.

use tq_proto::{Error, ErrorKind, GlobalIndex, Key, PartitionId, Result};

use crate::Controller;
use crate::controller::Counters;
use crate::partition::Partition;
use crate::slots::{Slot, Slots, State};
use crate::wording::{invalid, some_of};

/// Global indexes held for a put that is under way. It ends in [`Controller::publish`] or
/// [`Controller::abandon`]; one that is dropped keeps its new keys pending for ever.
#[derive(Debug)]
#[must_use = "publish or abandon it, or its new keys stay pending"]
pub struct Reservation {
    pub(crate) partition: PartitionId,
    pub(crate) slots: Vec<Slot>,
    keys: Vec<Option<Key>>,
    global_indexes: Vec<GlobalIndex>,
    is_new: Vec<bool>,
}

impl Reservation {
    fn new(partition: PartitionId, rows: usize) -> Self {
        Self {
            partition,
            slots: Vec::with_capacity(rows),
            keys: Vec::with_capacity(rows),
            global_indexes: Vec::with_capacity(rows),
            is_new: Vec::with_capacity(rows),
        }
    }

    fn push(&mut self, state: &Partition, slot: Slot) {
        let sample = &state.slots[slot];
        self.slots.push(slot);
        self.keys.push(sample.key.clone());
        self.global_indexes.push(sample.index);
        self.is_new.push(sample.state != State::Visible);
    }

    /// The partition it is for.
    #[must_use]
    pub fn partition(&self) -> &PartitionId {
        &self.partition
    }

    /// The key of each row, in the order they were asked for; none for a sample without a key.
    #[must_use]
    pub fn keys(&self) -> &[Option<Key>] {
        &self.keys
    }

    /// The global index of each row.
    #[must_use]
    pub fn global_indexes(&self) -> &[GlobalIndex] {
        &self.global_indexes
    }

    /// For each row, whether its sample was not visible when it was reserved. Another reservation
    /// may hold the same pending sample.
    #[must_use]
    pub fn is_new(&self) -> &[bool] {
        &self.is_new
    }

    /// A row in messages.
    pub(crate) fn label(&self, row: usize) -> String {
        match &self.keys[row] {
            Some(key) => key.to_string(),
            None => format!("{:?}", self.global_indexes[row]),
        }
    }
}

impl Controller {
    /// Gives each of `keys` its global index: that of its sample where there is one, else that of
    /// the pending sample of a concurrent put of the same key, else that of the lowest
    /// pre-allocated sample, else a fresh one. Nothing of it is visible, neither keys nor a new
    /// partition.
    ///
    /// # Errors
    /// `InvalidArgument` when `keys` is empty or names a key twice; `CapacityExceeded` beyond
    /// about 2^32 samples in a partition. Nothing is reserved then.
    pub fn reserve<K: AsRef<str>>(&mut self, partition: &str, keys: &[K]) -> Result<Reservation> {
        if keys.is_empty() {
            return Err(
                invalid("an empty list of keys was put; name at least one key")
                    .with("partition", partition),
            );
        }
        let (state, counters) = self.room_for(partition, keys.len())?;
        let call = counters.next_call();
        let mut reservation = Reservation::new(state.id.clone(), keys.len());
        let mut repeated = Vec::new();
        let hashes = state.prepare_for(keys);
        for (key, hash) in keys.iter().zip(hashes) {
            let key = key.as_ref();
            match state.slot(hash, key) {
                Some(slot) if state.slots.touch(slot, call) => {
                    state.slots.hold(slot);
                    reservation.push(state, slot);
                }
                Some(_) => repeated.push(key),
                None => {
                    let slot = state.add_key((hash, key.into()), call, counters);
                    reservation.push(state, slot);
                }
            }
        }
        if repeated.is_empty() {
            return Ok(reservation);
        }
        self.abandon(reservation);
        Err(invalid(format!(
            "{} keys were put, but {} came before in the same call; name each key once",
            keys.len(),
            some_of(repeated)
        ))
        .with("partition", partition))
    }

    /// Holds the samples numbered `indexes` for a put by metadata. They are visible or
    /// pre-allocated; publishing makes the latter visible.
    ///
    /// # Errors
    /// `InvalidArgument` when `indexes` is empty or names a sample twice; `NotFound` when the
    /// partition does not exist or holds no such sample (any more), naming the global indexes.
    /// Nothing is reserved then.
    pub fn reserve_indexes(
        &mut self,
        partition: &str,
        indexes: &[GlobalIndex],
    ) -> Result<Reservation> {
        let (state, counters) = self.existing_mut(partition)?;
        let slots = state.locate(indexes)?;
        if slots.is_empty() {
            return Err(invalid(
                "an empty list of global indexes was put; name at least one sample",
            )
            .with("partition", partition));
        }
        let call = counters.next_call();
        let repeated: Vec<_> = slots
            .iter()
            .zip(indexes)
            .filter(|(slot, _)| !state.slots.touch(**slot, call))
            .map(|(_, index)| index)
            .collect();
        if !repeated.is_empty() {
            return Err(invalid(format!(
                "{} rows were put, but global indexes {} came before in the same call; name each \
                 sample once",
                indexes.len(),
                some_of(repeated)
            ))
            .with("partition", partition));
        }
        let mut reservation = Reservation::new(state.id.clone(), slots.len());
        for slot in slots {
            state.slots.hold(slot);
            reservation.push(state, slot);
        }
        Ok(reservation)
    }

    /// Undoes a reservation: its pending samples that no other reservation holds disappear, or are
    /// pre-allocated ones again. Returns the global indexes of the batch that no sample has (any
    /// more); what was stored for them may be dropped.
    pub fn abandon(&mut self, reservation: Reservation) -> Vec<GlobalIndex> {
        let Reservation {
            partition,
            slots,
            global_indexes,
            ..
        } = reservation;
        let Some(state) = self.partitions.get_mut(&partition) else {
            return global_indexes;
        };
        let mut orphans = Vec::new();
        let mut unheld = Vec::new();
        for (slot, index) in slots.into_iter().zip(global_indexes) {
            if !state.slots.holds(slot, index) {
                orphans.push(index);
            } else if state.let_go(slot) {
                unheld.push(slot);
                orphans.push(index);
            }
        }
        state.free(&unheld);
        self.forget_if_unused(&partition);
        orphans
    }

    /// The partition, made if need be and not visible then, with room for `rows` more samples.
    pub(crate) fn room_for(
        &mut self,
        partition: &str,
        rows: usize,
    ) -> Result<(&mut Partition, &mut Counters)> {
        let known = self.partitions.get(partition).map(|state| &state.slots);
        let none = Slots::default();
        let slots = known.unwrap_or(&none);
        if rows > slots.room() {
            return Err(Error::new(
                ErrorKind::CapacityExceeded,
                format!(
                    "{rows} samples were put where {} are held and {} more fit; clear samples or \
                     use another partition",
                    slots.occupied(),
                    slots.room()
                ),
            )
            .with("partition", partition));
        }
        let id = PartitionId::from(partition);
        let state = self
            .partitions
            .entry(id.clone())
            .or_insert_with(|| Partition::new(id));
        Ok((state, &mut self.counters))
    }

    pub(crate) fn forget_if_unused(&mut self, partition: &PartitionId) {
        if self
            .partitions
            .get(partition)
            .is_some_and(Partition::is_forgettable)
        {
            self.partitions.remove(partition);
        }
    }
}
