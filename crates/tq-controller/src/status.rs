//! Growing bitmaps over dense slots.

use crate::pages::{PageNo, bit_of, page_of};
use crate::slots::Slot;

/// A set of slots, one word for each page. Memory follows the highest slot in it; an empty one
/// holds none.
#[derive(Debug, Default, Clone)]
pub(crate) struct Bitmap {
    words: Vec<u64>,
    ones: usize,
}

impl Bitmap {
    const fn place(slot: Slot) -> (usize, u64) {
        (page_of(slot) as usize, bit_of(slot))
    }

    /// The slots of `page` that are in the set.
    pub(crate) fn word(&self, page: PageNo) -> u64 {
        self.words.get(page as usize).copied().unwrap_or(0)
    }

    pub(crate) fn contains(&self, slot: Slot) -> bool {
        let (word, bit) = Self::place(slot);
        self.words.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// Adds `slot`; true when it was not in the set before.
    pub(crate) fn insert(&mut self, slot: Slot) -> bool {
        let (word, bit) = Self::place(slot);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let added = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.ones += usize::from(added);
        added
    }

    /// Takes `slot` out; true when it was in the set.
    pub(crate) fn remove(&mut self, slot: Slot) -> bool {
        if !self.contains(slot) {
            return false;
        }
        let (word, bit) = Self::place(slot);
        self.words[word] &= !bit;
        self.ones -= 1;
        if self.ones == 0 {
            self.words = Vec::new();
        }
        true
    }

    /// Slots in the set, kept up to date by every change.
    pub(crate) fn len(&self) -> usize {
        self.ones
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ones == 0
    }

    pub(crate) fn contains_all(&self, slots: &[Slot]) -> bool {
        slots.iter().all(|slot| self.contains(*slot))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::pages::slots_of;

    #[test]
    fn bits_at_both_sides_of_a_word_border_are_apart() {
        let mut bitmap = Bitmap::default();
        assert!(bitmap.insert(63));
        assert!(!bitmap.contains(64));
        assert!(bitmap.insert(64));
        assert!(!bitmap.insert(64));
        assert!(bitmap.remove(63));
        assert!(bitmap.contains(64));
        assert_eq!(bitmap.len(), 1);
    }

    #[test]
    fn asking_beyond_the_end_neither_grows_nor_fails() {
        let mut bitmap = Bitmap::default();
        assert!(!bitmap.contains(u32::MAX - 1));
        assert!(!bitmap.remove(u32::MAX - 1));
        assert!(bitmap.words.is_empty());
    }

    #[test]
    fn all_of_a_list_means_each_of_it() {
        let mut bitmap = Bitmap::default();
        for slot in [1, 64, 128] {
            bitmap.insert(slot);
        }
        assert!(bitmap.contains_all(&[]));
        assert!(bitmap.contains_all(&[128, 1, 64, 1]));
        assert!(!bitmap.contains_all(&[1, 65]));
        assert!(!bitmap.contains_all(&[1, 4096]));
    }

    #[test]
    fn the_last_removal_gives_the_memory_back() {
        let mut bitmap = Bitmap::default();
        bitmap.insert(100_000);
        bitmap.remove(100_000);
        assert_eq!(bitmap.words.capacity(), 0);
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(steps in prop::collection::vec((any::<bool>(), 0u32..200), 0..300)) {
            let mut bitmap = Bitmap::default();
            let mut model = BTreeSet::new();
            for (insert, slot) in steps {
                if insert {
                    prop_assert_eq!(bitmap.insert(slot), model.insert(slot));
                } else {
                    prop_assert_eq!(bitmap.remove(slot), model.remove(&slot));
                }
                prop_assert_eq!(bitmap.len(), model.len());
            }
            for slot in 0..260 {
                prop_assert_eq!(bitmap.contains(slot), model.contains(&slot));
            }
            let by_word = (0..5).flat_map(|page| slots_of(page, bitmap.word(page)));
            prop_assert_eq!(by_word.collect::<BTreeSet<_>>(), model.clone());
            let members: Vec<_> = model.iter().copied().collect();
            prop_assert!(bitmap.contains_all(&members));
        }
    }
}
