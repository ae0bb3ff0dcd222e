//! Numbered slots that are reused.

use std::num::NonZeroU32;

/// Number of an occupied slot. Not zero, so that `Option<SlotId>` takes four bytes too.
pub(crate) type SlotId = NonZeroU32;

/// Values under small numbers; the number of a removed value is handed out again.
pub(crate) struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<SlotId>,
}

fn position(id: SlotId) -> usize {
    id.get() as usize - 1
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(crate) fn insert(&mut self, value: T) -> SlotId {
        if let Some(id) = self.free.pop() {
            self.slots[position(id)] = Some(value);
            return id;
        }
        // Saturation is out of reach: 2^32 live slots would take hundreds of GiB by themselves.
        let next = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(Some(value));
        SlotId::MIN.saturating_add(next)
    }

    pub(crate) fn get(&self, id: SlotId) -> Option<&T> {
        self.slots.get(position(id))?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: SlotId) -> Option<&mut T> {
        self.slots.get_mut(position(id))?.as_mut()
    }

    pub(crate) fn remove(&mut self, id: SlotId) -> Option<T> {
        let value = self.slots.get_mut(position(id))?.take()?;
        self.free.push(id);
        Some(value)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_slot_is_reused_and_only_once() {
        let mut slab = Slab::new();
        let a = slab.insert('a');
        let b = slab.insert('b');
        assert_eq!(slab.remove(a), Some('a'));
        assert_eq!(slab.remove(a), None);
        assert_eq!(slab.get(a), None);
        let c = slab.insert('c');
        let d = slab.insert('d');
        assert_eq!(c, a);
        assert_eq!(
            (slab.get(b), slab.get(c), slab.get(d)),
            (Some(&'b'), Some(&'c'), Some(&'d'))
        );
        assert_eq!(slab.len(), 3);
    }
}
