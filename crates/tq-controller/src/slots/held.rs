//! Samples held by puts under way: pre-allocated ones are taken and given back.

use tq_proto::Key;

use super::{Slot, Slots, State};
use crate::tags::Tags;

/// What became of a slot that a put let go of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LetGo {
    /// It holds a sample, or another put holds it.
    Held,
    /// Nobody holds it; it is to be released.
    Unheld,
    /// It is a pre-allocated sample again, without the key that the put gave it.
    Reserved(Option<Key>),
}

impl Slots {
    /// Takes the pre-allocated sample of the lowest index for a put.
    pub(crate) fn take_spare(&mut self, call: u64) -> Option<Slot> {
        let (_, slot) = self.spare.pop_first()?;
        let sample = &mut self[slot];
        sample.call = call;
        sample.state = State::Pending {
            holders: 1,
            counted: true,
        };
        Some(slot)
    }

    /// Keeps the sample at `slot` for one more put, until it is shown or let go of.
    pub(crate) fn hold(&mut self, slot: Slot) {
        let sample = &mut self[slot];
        match &mut sample.state {
            State::Pending { holders, .. } => *holders += 1,
            State::Reserved => {
                sample.state = State::Pending {
                    holders: 1,
                    counted: true,
                };
                let index = sample.index;
                self.spare.remove(&index);
            }
            State::Visible | State::Free => {}
        }
    }

    /// Undoes one [`Self::hold`], [`Self::add`] or [`Self::take_spare`].
    pub(crate) fn let_go(&mut self, slot: Slot) -> LetGo {
        let sample = &mut self[slot];
        match &mut sample.state {
            State::Pending {
                holders: 1,
                counted: false,
            } => LetGo::Unheld,
            State::Pending { holders: 1, .. } => {
                sample.state = State::Reserved;
                let (index, key) = (sample.index, sample.key.take());
                self.spare.insert(index, slot);
                LetGo::Reserved(key)
            }
            State::Pending { holders, .. } => {
                *holders -= 1;
                LetGo::Held
            }
            State::Visible | State::Reserved | State::Free => LetGo::Held,
        }
    }

    /// Makes a pre-allocated sample that a put holds one that is only the put's.
    pub(crate) fn uncount(&mut self, slot: Slot) {
        let sample = &mut self[slot];
        if let State::Pending { counted, .. } = &mut sample.state
            && std::mem::take(counted)
        {
            sample.tags = Tags::default();
            let index = sample.index;
            self.reserved.remove(slot);
            self.by_index.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use tq_proto::GlobalIndex;

    use super::*;

    fn counted(slots: &Slots) -> Vec<u64> {
        let slots = slots.counted_slots().map(|slot| slots[slot].index.0);
        slots.collect()
    }

    #[test]
    fn a_reserved_sample_is_counted_through_a_put_that_fails_and_one_that_does_not() {
        let mut slots = Slots::default();
        for index in 0..3 {
            slots.add_reserved(GlobalIndex(index));
        }
        let taken = slots.take_spare(1).unwrap();
        slots[taken].key = Some("a".into());
        slots.hold(1);
        slots.hold(1);
        assert_eq!(counted(&slots), [0, 1, 2]);
        assert_eq!(slots.let_go(1), LetGo::Held);
        assert_eq!(slots.let_go(1), LetGo::Reserved(None));
        assert_eq!(slots.let_go(taken), LetGo::Reserved(Some("a".into())));
        assert_eq!(slots.take_spare(2), Some(taken));
        slots.show(&[taken, 2]);
        assert_eq!((slots.visible(), slots.counted()), (2, 3));
        assert_eq!(slots.take_spare(3), Some(1));
        assert_eq!(slots.take_spare(4), None);
        slots.uncount(1);
        assert_eq!(counted(&slots), [0, 2]);
        assert_eq!(slots.let_go(1), LetGo::Unheld);
        slots.release(&[0, 1, 2], |_| {});
        assert_eq!(slots.counted(), 0);
    }
}
