//! Samples before their data: inserted without a key, registered under one, or pre-allocated.

use tq_proto::{GlobalIndex, Result};

use crate::Controller;
use crate::slots::State;
use crate::wording::invalid;

impl Controller {
    /// Adds `count` samples without key and fields to `partition`, which is created if need be.
    /// Pre-allocated samples are used up first. Returns the global indexes, ascending.
    ///
    /// # Errors
    /// `InvalidArgument` when `count` is 0; `CapacityExceeded` as [`Self::reserve`]. Nothing is
    /// added then.
    pub fn insert(&mut self, partition: &str, count: usize) -> Result<Vec<GlobalIndex>> {
        if count == 0 {
            return Err(invalid("0 samples were inserted; insert at least one")
                .with("partition", partition));
        }
        let (state, counters) = self.room_for(partition, count)?;
        let call = counters.next_call();
        state.slots.prepare(count);
        let mut slots = Vec::with_capacity(count);
        for _ in 0..count {
            let slot = match state.slots.take_spare(call) {
                Some(slot) => slot,
                None => state.slots.add(counters.next_index(), None, call),
            };
            slots.push(slot);
        }
        state.slots.show(&slots);
        state.changed(&slots, counters);
        Ok(slots.iter().map(|slot| state.slots[*slot].index).collect())
    }

    /// Creates `partition` with `count` samples that are counted in every status, but hold no data
    /// and no key, until inserts and new keys use them up, lowest global index first. Does nothing
    /// to a partition that exists.
    ///
    /// # Errors
    /// `CapacityExceeded` as [`Self::reserve`]. Nothing is added then.
    pub fn preallocate(&mut self, partition: &str, count: usize) -> Result<()> {
        if self.has_partition(partition) {
            return Ok(());
        }
        let (state, counters) = self.room_for(partition, count)?;
        state.slots.prepare(count);
        for _ in 0..count {
            state.slots.add_reserved(counters.next_index());
        }
        state.changed(&[], counters);
        Ok(())
    }

    /// Makes each of `keys` a visible sample, without fields where it is new; `partition` is
    /// created if need be. Returns the global index of each, that of a key named twice twice.
    ///
    /// # Errors
    /// `InvalidArgument` when `keys` is empty; `CapacityExceeded` as [`Self::reserve`]. Nothing is
    /// added then.
    pub fn register_keys<K: AsRef<str>>(
        &mut self,
        partition: &str,
        keys: &[K],
    ) -> Result<Vec<GlobalIndex>> {
        if keys.is_empty() {
            return Err(
                invalid("an empty list of keys was registered; name at least one key")
                    .with("partition", partition),
            );
        }
        let (state, counters) = self.room_for(partition, keys.len())?;
        let call = counters.next_call();
        let hashes = state.prepare_for(keys);
        let mut slots = Vec::with_capacity(keys.len());
        let mut unseen = Vec::new();
        for (key, hash) in keys.iter().zip(hashes) {
            let key = key.as_ref();
            let slot = match state.slot(hash, key) {
                Some(slot) => slot,
                None => state.add_key((hash, key.into()), call, counters),
            };
            slots.push(slot);
            // A put under way may hold the key already; its sample is shown before it publishes.
            if state.slots[slot].state != State::Visible {
                unseen.push(slot);
            }
        }
        if !unseen.is_empty() {
            state.slots.show(&unseen);
            state.changed(&unseen, counters);
        }
        Ok(slots.iter().map(|slot| state.slots[*slot].index).collect())
    }
}
