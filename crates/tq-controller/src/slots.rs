//! The dense table of samples: one slot each, in pages of ascending global index; visible samples
//! with a key are also linked in the order in which they became visible.

mod held;
mod in_order;

use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};

use tq_proto::{GlobalIndex, Key};

use crate::index_table::IndexTable;
use crate::pages::{PageNo, Pages, Vacated, slots_of};
use crate::status::Bitmap;
use crate::tags::Tags;

pub(crate) use held::LetGo;
pub(crate) use in_order::InOrder;

/// Place of a sample in its partition.
pub(crate) type Slot = u32;

/// No slot.
pub(crate) const NONE: Slot = Slot::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nobody's; its contents mean nothing.
    Free,
    /// Pre-allocated and taken by no put: counted, but never ready.
    Reserved,
    /// Held by that many puts under way. One that was pre-allocated stays counted.
    Pending {
        holders: u32,
        counted: bool,
    },
    Visible,
}

#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) index: GlobalIndex,
    pub(crate) key: Option<Key>,
    pub(crate) tags: Tags,
    pub(crate) state: State,
    /// The last call that touched this slot, to find repetitions within one call.
    call: u64,
    previous: Slot,
    next: Slot,
}

impl Sample {
    /// The sample in messages: its key, or its global index where it has none.
    pub(crate) fn label(&self) -> String {
        match &self.key {
            Some(key) => key.to_string(),
            None => format!("{:?}", self.index),
        }
    }
}

/// All samples of a partition.
#[derive(Debug)]
pub(crate) struct Slots {
    samples: Vec<Sample>,
    pages: Pages,
    /// The counted samples: visible ones and pre-allocated ones.
    by_index: IndexTable,
    visible: Bitmap,
    /// Pre-allocated samples that are not visible yet.
    reserved: Bitmap,
    /// Those of them that no put holds, in the order in which they are used up.
    spare: BTreeMap<GlobalIndex, Slot>,
    first: Slot,
    last: Slot,
    keyed: usize,
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            samples: Vec::new(),
            pages: Pages::default(),
            by_index: IndexTable::default(),
            visible: Bitmap::default(),
            reserved: Bitmap::default(),
            spare: BTreeMap::new(),
            first: NONE,
            last: NONE,
            keyed: 0,
        }
    }
}

impl Slots {
    /// Visible samples.
    pub(crate) fn visible(&self) -> usize {
        self.visible.len()
    }

    /// Visible and pre-allocated samples.
    pub(crate) fn counted(&self) -> usize {
        self.by_index.len()
    }

    /// Samples of any state.
    pub(crate) fn occupied(&self) -> usize {
        self.pages.occupied()
    }

    /// How many more samples the slot numbers can address.
    pub(crate) fn room(&self) -> usize {
        self.pages.room()
    }

    pub(crate) fn pages(&self) -> &Pages {
        &self.pages
    }

    /// The visible samples of `page`.
    pub(crate) fn visible_word(&self, page: PageNo) -> u64 {
        self.visible.word(page)
    }

    /// The samples of `page`, whatever their state.
    pub(crate) fn occupied_word(&self, page: PageNo) -> u64 {
        self.pages.occupied_word(page)
    }

    /// Slot of a visible or pre-allocated sample.
    pub(crate) fn find(&self, index: GlobalIndex) -> Option<Slot> {
        self.by_index.get(index)
    }

    /// Whether `slot` still holds the sample numbered `index`.
    pub(crate) fn holds(&self, slot: Slot, index: GlobalIndex) -> bool {
        self.samples
            .get(slot as usize)
            .is_some_and(|sample| sample.state != State::Free && sample.index == index)
    }

    /// Slots of the visible and pre-allocated samples, in ascending global index.
    pub(crate) fn counted_slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.pages
            .from(self.pages.first())
            .flat_map(|page| slots_of(page, self.visible.word(page) | self.reserved.word(page)))
    }

    /// Marks `slot` as touched by `call`; false when that call had touched it before.
    pub(crate) fn touch(&mut self, slot: Slot, call: u64) -> bool {
        std::mem::replace(&mut self[slot].call, call) != call
    }

    /// Makes room for `more` samples about to come.
    pub(crate) fn prepare(&mut self, more: usize) {
        self.samples
            .reserve(more.saturating_sub(self.pages.at_hand()));
    }

    /// Puts a pending sample into a free slot. The caller has checked [`Self::room`], and `index`
    /// is higher than any before it.
    pub(crate) fn add(&mut self, index: GlobalIndex, key: Option<Key>, call: u64) -> Slot {
        let sample = Sample {
            index,
            key,
            tags: Tags::default(),
            state: State::Pending {
                holders: 1,
                counted: false,
            },
            call,
            previous: NONE,
            next: NONE,
        };
        let slot = self.pages.take();
        match self.samples.get_mut(slot as usize) {
            Some(free) => *free = sample,
            None => self.samples.push(sample),
        }
        slot
    }

    /// Pre-allocates a sample, under the conditions of [`Self::add`].
    pub(crate) fn add_reserved(&mut self, index: GlobalIndex) {
        let slot = self.add(index, None, 0);
        self[slot].state = State::Reserved;
        self.reserved.insert(slot);
        self.by_index.insert(index, slot);
        self.spare.insert(index, slot);
    }

    /// Makes the samples among `slots` that are not visible yet so, in this order.
    pub(crate) fn show(&mut self, slots: &[Slot]) {
        for slot in slots {
            let sample = &mut self[*slot];
            let before = std::mem::replace(&mut sample.state, State::Visible);
            let (index, is_keyed) = (sample.index, sample.key.is_some());
            match before {
                State::Visible => continue,
                State::Reserved | State::Pending { counted: true, .. } => {
                    self.spare.remove(&index);
                    self.reserved.remove(*slot);
                }
                State::Pending { counted: false, .. } | State::Free => {
                    self.by_index.insert(index, *slot);
                }
            }
            self.visible.insert(*slot);
            if is_keyed {
                self.link(*slot);
            }
        }
    }

    /// Frees `slots`, whatever their state, and tells of the pages that go out of use.
    pub(crate) fn release(&mut self, slots: &[Slot], mut vacated: impl FnMut(Vacated)) {
        for slot in slots {
            let sample = &mut self[*slot];
            let before = std::mem::replace(&mut sample.state, State::Free);
            // A free slot holds no memory of its last sample.
            sample.tags = Tags::default();
            let (index, is_keyed) = (sample.index, sample.key.take().is_some());
            match before {
                State::Visible => {
                    self.visible.remove(*slot);
                    self.by_index.remove(index);
                    if is_keyed {
                        self.unlink(*slot);
                    }
                }
                State::Reserved | State::Pending { counted: true, .. } => {
                    self.spare.remove(&index);
                    self.reserved.remove(*slot);
                    self.by_index.remove(index);
                }
                State::Pending { counted: false, .. } | State::Free => {}
            }
            if let Some(page) = self.pages.give_back(*slot) {
                vacated(page);
            }
        }
        if self.occupied() == 0 {
            *self = Self::default();
        }
    }
}

impl Index<Slot> for Slots {
    type Output = Sample;

    fn index(&self, slot: Slot) -> &Sample {
        &self.samples[slot as usize]
    }
}

impl IndexMut<Slot> for Slots {
    fn index_mut(&mut self, slot: Slot) -> &mut Sample {
        &mut self.samples[slot as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(slots: &mut Slots, index: u64) -> Slot {
        slots.add(GlobalIndex(index), Some(index.to_string().into()), 0)
    }

    fn release(slots: &mut Slots, gone: &[Slot]) -> Vec<PageNo> {
        let mut pages = Vec::new();
        slots.release(gone, |vacated| pages.push(vacated.page));
        pages
    }

    fn order(slots: &Slots) -> Vec<u64> {
        let keys = slots.in_order().map(|(_, key, _)| key.parse().unwrap());
        keys.collect()
    }

    fn counted(slots: &Slots) -> Vec<u64> {
        let slots = slots.counted_slots().map(|slot| slots[slot].index.0);
        slots.collect()
    }

    #[test]
    fn listings_follow_visibility_and_counts_follow_the_index() {
        let mut slots = Slots::default();
        let given: Vec<_> = (0..5).map(|index| add(&mut slots, index)).collect();
        slots.show(&[given[3], given[0], given[1], given[2], given[4]]);
        assert_eq!(order(&slots), [3, 0, 1, 2, 4]);
        release(&mut slots, &[given[0], given[4], given[3]]);
        assert_eq!(order(&slots), [1, 2]);
        let more: Vec<_> = (5..8).map(|index| add(&mut slots, index)).collect();
        slots.show(&[more[2], more[0], more[1]]);
        assert_eq!(order(&slots), [1, 2, 7, 5, 6]);
        assert_eq!(counted(&slots), [1, 2, 5, 6, 7]);
        assert_eq!(slots.in_order().len(), 5);
    }

    #[test]
    fn slots_are_used_again_by_pages_and_counts_stay_in_order() {
        let mut slots = Slots::default();
        let given: Vec<_> = (0..128).map(|index| add(&mut slots, index)).collect();
        slots.show(&given);
        assert_eq!(release(&mut slots, &given[..63]), Vec::<PageNo>::new());
        assert_eq!(add(&mut slots, 128), 128);
        assert_eq!(release(&mut slots, &given[63..64]), [0]);
        let more: Vec<_> = (129..200).map(|index| add(&mut slots, index)).collect();
        slots.show(&more);
        assert_eq!(more[63..], [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(counted(&slots), Vec::from_iter((64..128).chain(129..200)));
    }

    #[test]
    fn a_reused_slot_does_not_hold_its_former_sample() {
        let mut slots = Slots::default();
        let page: Vec<_> = (0..64).map(|index| add(&mut slots, index)).collect();
        let kept = add(&mut slots, 64);
        assert!(slots.holds(page[1], GlobalIndex(1)));
        release(&mut slots, &page);
        assert!(!slots.holds(page[1], GlobalIndex(1)));
        let again: Vec<_> = (65..130).map(|index| add(&mut slots, index)).collect();
        assert_eq!(again[64], page[1]);
        assert!(!slots.holds(page[1], GlobalIndex(1)));
        assert!(slots.holds(kept, GlobalIndex(64)));
    }

    #[test]
    fn an_emptied_table_gives_its_memory_back() {
        let mut slots = Slots::default();
        let given: Vec<_> = (0..100).map(|index| add(&mut slots, index)).collect();
        slots.show(&given);
        release(&mut slots, &given);
        assert_eq!(slots.samples.capacity(), 0);
        assert!(slots.in_order().next().is_none());
        assert!(!slots.holds(given[0], GlobalIndex(0)));
    }

    #[test]
    fn a_call_touches_a_slot_once() {
        let mut slots = Slots::default();
        let slot = add(&mut slots, 0);
        assert!(slots.touch(slot, 1));
        assert!(!slots.touch(slot, 1));
        assert!(slots.touch(slot, 2));
    }
}
