//! One partition: its samples, keys, fields, tag names, receipts, parcels and consumption, kept in
//! step.

use tq_proto::{Error, ErrorKind, GlobalIndex, Key, PartitionId, Result};

use crate::changes::ChangeLog;
use crate::consumption::Consumption;
use crate::controller::Counters;
use crate::field::Fields;
use crate::kv_index::{KeyHash, KvIndex};
use crate::parcels::ParcelTable;
use crate::receipts::ReceiptTable;
use crate::slots::{LetGo, Slot, Slots, State};
use crate::tags::TagNames;
use crate::wording::some_of;

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
    pub(crate) receipts: ReceiptTable,
    pub(crate) parcels: ParcelTable,
    pub(crate) consumption: Consumption,
    pub(crate) log: ChangeLog,
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
            receipts: ReceiptTable::default(),
            parcels: ParcelTable::default(),
            consumption: Consumption::default(),
            log: ChangeLog::default(),
        }
    }

    pub(crate) fn exists(&self) -> bool {
        self.born != 0
    }

    /// Whether nothing would be lost by forgetting it.
    pub(crate) fn is_forgettable(&self) -> bool {
        !self.exists() && self.slots.occupied() == 0
    }

    /// Records a visible change, of `slots` where it leaves them visible; the first one creates the
    /// partition.
    pub(crate) fn changed(&mut self, slots: &[Slot], counters: &mut Counters) {
        self.sequence = counters.next_change();
        self.log.changed(self.sequence, slots, &self.slots);
        if self.born == 0 {
            self.born = self.sequence;
        }
    }

    /// The slot of a sample, visible or not.
    pub(crate) fn slot(&self, hash: KeyHash, key: &str) -> Option<Slot> {
        self.keys.get(hash, key, &self.slots)
    }

    /// The hashes of a batch's keys, to look them up.
    pub(crate) fn hashes<K: AsRef<str>>(&self, keys: &[K]) -> Vec<KeyHash> {
        keys.iter()
            .map(|key| self.keys.hash(key.as_ref()))
            .collect()
    }

    /// The slots of the visible samples of `keys`, in this order; none for what is no such key.
    pub(crate) fn visible_slots<K: AsRef<str>>(
        &self,
        keys: &[K],
    ) -> impl Iterator<Item = Option<Slot>> {
        let hashes = self.hashes(keys);
        keys.iter().zip(hashes).map(|(key, hash)| {
            let slot = self.slot(hash, key.as_ref())?;
            (self.slots[slot].state == State::Visible).then_some(slot)
        })
    }

    /// Slots of the visible and pre-allocated samples numbered `indexes`, in this order.
    ///
    /// # Errors
    /// `NotFound` naming the global indexes of no such sample.
    pub(crate) fn locate(&self, indexes: &[GlobalIndex]) -> Result<Vec<Slot>> {
        let mut slots = Vec::with_capacity(indexes.len());
        let mut unknown = Vec::new();
        for index in indexes {
            match self.slots.find(*index) {
                Some(slot) => slots.push(slot),
                None => unknown.push(index),
            }
        }
        if unknown.is_empty() {
            return Ok(slots);
        }
        Err(Error::new(
            ErrorKind::NotFound,
            format!(
                "global indexes {} are of no sample; they were cleared or belong to another \
                 partition",
                some_of(unknown)
            ),
        )
        .with("partition", &self.id))
    }

    /// Makes room for `keys` about to be added; their hashes.
    pub(crate) fn prepare_for<K: AsRef<str>>(&mut self, keys: &[K]) -> Vec<KeyHash> {
        // Batches are mostly all new or all known.
        let is_new = |key: &str| self.slot(self.keys.hash(key), key).is_none();
        if keys.first().is_some_and(|key| is_new(key.as_ref())) {
            self.slots.prepare(keys.len());
            self.keys.prepare(keys.len());
        }
        self.hashes(keys)
    }

    /// A pending sample under a key that has none: the lowest pre-allocated one, or else a fresh
    /// one.
    pub(crate) fn add_key(
        &mut self,
        (hash, key): (KeyHash, Key),
        call: u64,
        counters: &mut Counters,
    ) -> Slot {
        let slot = match self.slots.take_spare(call) {
            Some(slot) => {
                self.slots[slot].key = Some(key);
                slot
            }
            None => self.slots.add(counters.next_index(), Some(key), call),
        };
        self.keys.insert(hash, slot);
        slot
    }

    /// Marks samples consumed by `task`.
    pub(crate) fn mark_consumed(&mut self, task: &str, slots: &[Slot]) {
        self.consumption.mark(task, slots, self.slots.pages());
    }

    /// Takes samples out of every query and frees their slots. Returns their numbers.
    pub(crate) fn clear(&mut self, slots: &[Slot]) -> Vec<GlobalIndex> {
        self.fields.clear(slots);
        self.consumption.clear(slots);
        self.free(slots)
    }

    /// Frees slots that hold no produced field. Returns the numbers of their samples.
    pub(crate) fn free(&mut self, slots: &[Slot]) -> Vec<GlobalIndex> {
        let mut indexes = Vec::with_capacity(slots.len());
        let mut keyed = Vec::with_capacity(slots.len());
        for slot in slots {
            let sample = &self.slots[*slot];
            indexes.push(sample.index);
            keyed.extend(sample.key.as_ref().map(|key| (self.keys.hash(key), *slot)));
        }
        for (hash, slot) in keyed {
            self.keys.remove(hash, slot);
        }
        self.receipts.clear(slots);
        self.parcels.clear(slots);
        let consumption = &mut self.consumption;
        self.slots
            .release(slots, |vacated| consumption.vacated(vacated));
        indexes
    }

    /// Lets go of a slot for a put that failed; true when nobody holds it any more and it is to be
    /// freed.
    pub(crate) fn let_go(&mut self, slot: Slot) -> bool {
        match self.slots.let_go(slot) {
            LetGo::Unheld => true,
            LetGo::Reserved(key) => {
                if let Some(key) = key {
                    self.keys.remove(self.keys.hash(&key), slot);
                }
                false
            }
            LetGo::Held => false,
        }
    }
}
