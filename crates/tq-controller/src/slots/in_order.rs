//! The order in which samples with a key became visible, as links between their slots.

use tq_proto::Key;

use super::{NONE, Sample, Slot, Slots};

impl Slots {
    pub(super) fn link(&mut self, slot: Slot) {
        let last = std::mem::replace(&mut self.last, slot);
        let sample = &mut self[slot];
        sample.previous = last;
        sample.next = NONE;
        match last {
            NONE => self.first = slot,
            last => self[last].next = slot,
        }
        self.keyed += 1;
    }

    pub(super) fn unlink(&mut self, slot: Slot) {
        let Sample { previous, next, .. } = self[slot];
        match previous {
            NONE => self.first = next,
            previous => self[previous].next = next,
        }
        match next {
            NONE => self.last = previous,
            next => self[next].previous = previous,
        }
        self.keyed -= 1;
    }

    /// Visible samples with a key, in the order in which they became visible.
    pub(crate) fn in_order(&self) -> InOrder<'_> {
        InOrder {
            slots: self,
            next: self.first,
            left: self.keyed,
        }
    }
}

/// Walk over the visible samples that have a key.
#[derive(Debug, Clone)]
pub(crate) struct InOrder<'a> {
    slots: &'a Slots,
    next: Slot,
    left: usize,
}

impl<'a> Iterator for InOrder<'a> {
    type Item = (Slot, &'a Key, &'a Sample);

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == NONE {
            return None;
        }
        let slot = self.next;
        let sample = &self.slots[slot];
        self.next = sample.next;
        self.left -= 1;
        // Only samples with a key are linked.
        sample.key.as_ref().map(|key| (slot, key, sample))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for InOrder<'_> {}
