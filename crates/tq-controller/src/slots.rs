//! The dense table of samples: one slot each, freed slots used again, visible samples linked in
//! the order in which they became visible.

use std::ops::{Index, IndexMut};

use tq_proto::{GlobalIndex, Key};

use crate::index_table::IndexTable;
use crate::tags::Tags;

/// Place of a sample in its partition.
pub(crate) type Slot = u32;

/// No slot.
pub(crate) const NONE: Slot = Slot::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nobody's; its contents mean nothing.
    Free,
    /// Reserved by that many reservations and seen by no query.
    Pending(u32),
    Visible,
}

#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) index: GlobalIndex,
    pub(crate) key: Key,
    pub(crate) tags: Tags,
    pub(crate) state: State,
    /// The last call that touched this slot, to find repetitions within one call.
    call: u64,
    previous: Slot,
    next: Slot,
}

/// All samples of a partition.
#[derive(Debug)]
pub(crate) struct Slots {
    samples: Vec<Sample>,
    free: Vec<Slot>,
    /// Visible samples only.
    by_index: IndexTable,
    first: Slot,
    last: Slot,
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            samples: Vec::new(),
            free: Vec::new(),
            by_index: IndexTable::default(),
            first: NONE,
            last: NONE,
        }
    }
}

impl Slots {
    /// Visible samples.
    pub(crate) fn visible(&self) -> usize {
        self.by_index.len()
    }

    /// Visible and pending samples.
    pub(crate) fn occupied(&self) -> usize {
        self.samples.len() - self.free.len()
    }

    /// How many more samples the slot numbers can address.
    pub(crate) fn room(&self) -> usize {
        NONE as usize - self.occupied()
    }

    /// Slot of a visible sample.
    pub(crate) fn find(&self, index: GlobalIndex) -> Option<Slot> {
        self.by_index.get(index)
    }

    /// Whether `slot` still holds the sample numbered `index`.
    pub(crate) fn holds(&self, slot: Slot, index: GlobalIndex) -> bool {
        self.samples
            .get(slot as usize)
            .is_some_and(|sample| sample.state != State::Free && sample.index == index)
    }

    /// Marks `slot` as touched by `call`; false when that call had touched it before.
    pub(crate) fn touch(&mut self, slot: Slot, call: u64) -> bool {
        std::mem::replace(&mut self[slot].call, call) != call
    }

    /// Makes room for `more` samples about to come.
    pub(crate) fn prepare(&mut self, more: usize) {
        self.samples.reserve(more.saturating_sub(self.free.len()));
    }

    /// Puts a pending sample into a free slot. The caller has checked [`Self::room`].
    pub(crate) fn add(&mut self, index: GlobalIndex, key: Key, call: u64) -> Slot {
        let sample = Sample {
            index,
            key,
            tags: Tags::default(),
            state: State::Pending(1),
            call,
            previous: NONE,
            next: NONE,
        };
        if let Some(slot) = self.free.pop() {
            self[slot] = sample;
            return slot;
        }
        self.samples.push(sample);
        // The caller has checked that slot numbers suffice.
        #[allow(clippy::cast_possible_truncation)]
        let slot = (self.samples.len() - 1) as Slot;
        slot
    }

    /// Makes the pending samples among `slots` visible, in this order.
    pub(crate) fn show(&mut self, slots: &[Slot]) {
        for slot in slots {
            let last = self.last;
            let sample = &mut self[*slot];
            if sample.state == State::Visible {
                continue;
            }
            sample.state = State::Visible;
            sample.previous = last;
            sample.next = NONE;
            let index = sample.index;
            match last {
                NONE => self.first = *slot,
                last => self[last].next = *slot,
            }
            self.last = *slot;
            self.by_index.insert(index, *slot);
        }
    }

    /// Frees `slots`, visible or pending. Afterwards they are handed out again in this order.
    pub(crate) fn release(&mut self, slots: &[Slot]) {
        for slot in slots.iter().rev() {
            if self[*slot].state == State::Visible {
                self.unlink(*slot);
            }
            let sample = &mut self[*slot];
            sample.state = State::Free;
            // A free slot holds no memory of its last sample.
            sample.key = Key::default();
            sample.tags = Tags::default();
            self.free.push(*slot);
        }
        if self.occupied() == 0 {
            *self = Self::default();
        }
    }

    fn unlink(&mut self, slot: Slot) {
        let Sample {
            index,
            previous,
            next,
            ..
        } = self[slot];
        self.by_index.remove(index);
        match previous {
            NONE => self.first = next,
            previous => self[previous].next = next,
        }
        match next {
            NONE => self.last = previous,
            next => self[next].previous = previous,
        }
    }

    /// Visible slots in the order in which they became visible.
    pub(crate) fn in_order(&self) -> InOrder<'_> {
        InOrder {
            slots: self,
            next: self.first,
            left: self.visible(),
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

/// Walk over the visible slots.
#[derive(Debug, Clone)]
pub(crate) struct InOrder<'a> {
    slots: &'a Slots,
    next: Slot,
    left: usize,
}

impl<'a> Iterator for InOrder<'a> {
    type Item = (Slot, &'a Sample);

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == NONE {
            return None;
        }
        let slot = self.next;
        let sample = &self.slots[slot];
        self.next = sample.next;
        self.left -= 1;
        Some((slot, sample))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for InOrder<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(slots: &mut Slots, index: u64) -> Slot {
        slots.add(GlobalIndex(index), Key::from(index.to_string()), 0)
    }

    fn order(slots: &Slots) -> Vec<u64> {
        slots.in_order().map(|(_, sample)| sample.index.0).collect()
    }

    #[test]
    fn freed_slots_come_back_and_order_follows_visibility() {
        let mut slots = Slots::default();
        let given: Vec<_> = (0..5).map(|index| add(&mut slots, index)).collect();
        slots.show(&[given[3], given[0], given[1], given[2], given[4]]);
        slots.release(&[given[0], given[4], given[3]]);
        assert_eq!(order(&slots), [1, 2]);
        let again: Vec<_> = (5..8).map(|index| add(&mut slots, index)).collect();
        assert_eq!(again, [given[0], given[4], given[3]]);
        slots.show(&again);
        assert_eq!(order(&slots), [1, 2, 5, 6, 7]);
        assert_eq!(slots.in_order().len(), 5);
    }

    #[test]
    fn a_reused_slot_does_not_hold_its_former_sample() {
        let mut slots = Slots::default();
        let kept = add(&mut slots, 0);
        let slot = add(&mut slots, 1);
        assert!(slots.holds(slot, GlobalIndex(1)));
        slots.release(&[slot]);
        assert!(!slots.holds(slot, GlobalIndex(1)));
        assert_eq!(add(&mut slots, 2), slot);
        assert!(!slots.holds(slot, GlobalIndex(1)));
        assert!(slots.holds(kept, GlobalIndex(0)));
    }

    #[test]
    fn an_emptied_table_gives_its_memory_back() {
        let mut slots = Slots::default();
        let given: Vec<_> = (0..100).map(|index| add(&mut slots, index)).collect();
        slots.show(&given);
        slots.release(&given);
        assert_eq!(slots.samples.capacity(), 0);
        assert_eq!(slots.in_order().next().map(|(slot, _)| slot), None);
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
