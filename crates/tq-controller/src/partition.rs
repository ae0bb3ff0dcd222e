//! One partition: its samples, keys, fields and tag names, kept in step.

use tq_proto::{GlobalIndex, PartitionId};

use crate::controller::Counters;
use crate::field::Fields;
use crate::kv_index::KvIndex;
use crate::slots::{Slot, Slots, State};
use crate::tags::TagNames;

/// State of a partition. One that nothing was published into holds pending samples only and is
/// seen by no query.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) id: PartitionId,
    /// The change that brought it into being; 0 while it only holds pending samples.
    pub(crate) born: u64,
    /// The last visible change.
    pub(crate) sequence: u64,
    pub(crate) slots: Slots,
    pub(crate) keys: KvIndex,
    pub(crate) fields: Fields,
    pub(crate) tag_names: TagNames,
}

impl Partition {
    pub(crate) fn new(id: PartitionId) -> Self {
        Self {
            id,
            born: 0,
            sequence: 0,
            slots: Slots::default(),
            keys: KvIndex::default(),
            fields: Fields::default(),
            tag_names: TagNames::default(),
        }
    }

    pub(crate) fn exists(&self) -> bool {
        self.born != 0
    }

    /// Whether nothing would be lost by forgetting it.
    pub(crate) fn is_forgettable(&self) -> bool {
        !self.exists() && self.slots.occupied() == 0
    }

    /// Records a visible change; the first one creates the partition.
    pub(crate) fn changed(&mut self, counters: &mut Counters) {
        self.sequence = counters.next_change();
        if self.born == 0 {
            self.born = self.sequence;
        }
    }

    /// The slot of a visible sample.
    pub(crate) fn visible_slot(&self, key: &str) -> Option<Slot> {
        self.keys
            .get(key)
            .filter(|slot| self.slots[*slot].state == State::Visible)
    }

    /// Takes visible samples out of every query and frees their slots. Returns their numbers.
    pub(crate) fn clear(&mut self, slots: &[Slot]) -> Vec<GlobalIndex> {
        self.fields.clear(slots);
        self.free(slots)
    }

    /// Frees slots that hold no produced field. Returns the numbers of their samples.
    pub(crate) fn free(&mut self, slots: &[Slot]) -> Vec<GlobalIndex> {
        let indexes = slots.iter().map(|slot| self.slots[*slot].index).collect();
        for slot in slots {
            self.keys.remove(&self.slots[*slot].key);
        }
        self.slots.release(slots);
        indexes
    }
}
