//! Clears, in two steps around the drop of what is stored.
//!
//! [`Controller::begin_clear_keys`] and its siblings take the samples out of every query, free
//! their slots and hand out a ticket with their global indexes; the caller drops what is stored
//! for these, then ends the ticket with [`Controller::finish_clear`]. The slots need not wait for
//! the drop: whoever still holds one of the numbers finds another number in the slot, and a key
//! put again gets a new number, so the drop cannot hit it. Until its end a ticket is kept here, so
//! that bytes whose drop failed, or whose clearer died, can still be named.

use std::sync::Arc;

use tq_proto::GlobalIndex;

use crate::Controller;
use crate::slots::{Slot, State};

/// Samples that are no longer visible and may still be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "drop what is stored for its indexes, then finish the clear"]
pub struct ClearTicket {
    number: u64,
    global_indexes: Arc<[GlobalIndex]>,
}

impl ClearTicket {
    /// The samples that were cleared; none when nothing matched.
    #[must_use]
    pub fn global_indexes(&self) -> &[GlobalIndex] {
        &self.global_indexes
    }
}

impl Controller {
    /// Hides the samples of `keys`. Unknown keys, keys still being put for the first time and
    /// unknown partitions are passed over.
    pub fn begin_clear_keys<K: AsRef<str>>(&mut self, partition: &str, keys: &[K]) -> ClearTicket {
        let slots = self.visible(partition).map_or_else(Vec::new, |state| {
            state.visible_slots(keys).flatten().collect()
        });
        self.clear_slots(partition, slots)
    }

    /// Hides the samples numbered `global_indexes`, pre-allocated ones too. Other numbers are passed
    /// over.
    pub fn begin_clear_indexes(
        &mut self,
        partition: &str,
        global_indexes: &[GlobalIndex],
    ) -> ClearTicket {
        let slots = self.visible(partition).map_or_else(Vec::new, |state| {
            global_indexes
                .iter()
                .filter_map(|index| state.slots.find(*index))
                .collect()
        });
        self.clear_slots(partition, slots)
    }

    /// Hides all samples of `partition`, pre-allocated ones too, and forgets it with its fields
    /// and what its tasks have consumed; none when it does not exist. Puts that only bring new
    /// keys and are under way create it anew when they publish.
    pub fn drop_partition(&mut self, partition: &str) -> Option<ClearTicket> {
        let (state, _) = self.visible_mut(partition)?;
        let (taken, gone): (Vec<_>, Vec<_>) = state.slots.counted_slots().partition(|slot| {
            let sample = &state.slots[*slot];
            matches!(sample.state, State::Pending { .. }) && sample.key.is_some()
        });
        for slot in taken {
            state.slots.uncount(slot);
        }
        let ticket = self.clear_slots(partition, gone);
        if let Some(mut state) = self.partitions.remove(partition)
            && state.slots.occupied() > 0
        {
            state.born = 0;
            state.fields = Default::default();
            state.tag_names = Default::default();
            state.receipts = Default::default();
            state.parcels = Default::default();
            state.consumption = Default::default();
            state.log = Default::default();
            self.partitions.insert(state.id.clone(), state);
        }
        Some(ticket)
    }

    /// Ends a clear: nothing is stored for its samples any more. Ending it twice is harmless.
    pub fn finish_clear(&mut self, ticket: &ClearTicket) {
        self.unfinished.remove(&ticket.number);
    }

    /// Clears that were begun and not finished, oldest first.
    pub fn unfinished_clears(&self) -> impl Iterator<Item = &ClearTicket> {
        self.unfinished.values()
    }

    /// Clears `slots` of `partition`; a slot may come more than once.
    fn clear_slots(&mut self, partition: &str, mut slots: Vec<Slot>) -> ClearTicket {
        let call = self.counters.next_call();
        let number = self.counters.next_ticket();
        let mut global_indexes = Vec::new();
        if let Some(state) = self.partitions.get_mut(partition) {
            slots.retain(|slot| state.slots.touch(*slot, call));
            if !slots.is_empty() {
                let keys = slots
                    .iter()
                    .filter_map(|slot| state.slots[*slot].key.clone());
                let keys: Vec<_> = keys.collect();
                global_indexes = state.clear(&slots);
                state.changed(&[], &mut self.counters);
                self.tombstones.add(&state.id, state.sequence, keys);
            }
        }
        let ticket = ClearTicket {
            number,
            global_indexes: global_indexes.into(),
        };
        if !ticket.global_indexes.is_empty() {
            self.unfinished.insert(number, ticket.clone());
        }
        ticket
    }
}
