//! Global index to slot, in pages of consecutive numbers.
//!
//! A batch has consecutive global indexes, so its entries share pages and stay in the cache, which
//! a table hashed by single numbers would spread out. A page goes with its last entry: memory
//! follows the samples held, not the numbers used up.

use rustc_hash::FxHashMap;
use tq_proto::GlobalIndex;

use crate::slots::{NONE, Slot};

/// Entries of a page: few, so that a lone long-lived sample holds little.
const PAGE: usize = 64;

#[derive(Debug)]
struct Page {
    slots: [Slot; PAGE],
    entries: u32,
}

/// Slots of the visible samples by global index.
#[derive(Debug, Default)]
pub(crate) struct IndexTable {
    pages: FxHashMap<u64, Box<Page>>,
    entries: usize,
}

impl IndexTable {
    const fn place(index: GlobalIndex) -> (u64, usize) {
        (index.0 / PAGE as u64, (index.0 % PAGE as u64) as usize)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries
    }

    pub(crate) fn get(&self, index: GlobalIndex) -> Option<Slot> {
        let (page, place) = Self::place(index);
        self.pages
            .get(&page)
            .map(|page| page.slots[place])
            .filter(|slot| *slot != NONE)
    }

    /// Adds an entry for `index`, which must have none.
    pub(crate) fn insert(&mut self, index: GlobalIndex, slot: Slot) {
        let (page, place) = Self::place(index);
        let page = self.pages.entry(page).or_insert_with(|| {
            Box::new(Page {
                slots: [NONE; PAGE],
                entries: 0,
            })
        });
        page.slots[place] = slot;
        page.entries += 1;
        self.entries += 1;
    }

    /// Takes out the entry of `index`, which must have one.
    pub(crate) fn remove(&mut self, index: GlobalIndex) {
        let (number, place) = Self::place(index);
        if let Some(page) = self.pages.get_mut(&number) {
            page.slots[place] = NONE;
            page.entries -= 1;
            self.entries -= 1;
            if page.entries == 0 {
                self.pages.remove(&number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_page_goes_with_its_last_entry() {
        let mut table = IndexTable::default();
        for index in [0, 63, 64, 1 << 40] {
            table.insert(GlobalIndex(index), 1);
        }
        assert_eq!((table.len(), table.pages.len()), (4, 3));
        table.remove(GlobalIndex(0));
        assert_eq!(table.pages.len(), 3);
        table.remove(GlobalIndex(63));
        table.remove(GlobalIndex(1 << 40));
        assert_eq!((table.len(), table.pages.len()), (1, 1));
        assert_eq!(table.get(GlobalIndex(63)), None);
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(steps in prop::collection::vec((0u64..300, 0u32..9), 0..200)) {
            let mut table = IndexTable::default();
            let mut model = HashMap::new();
            for (index, slot) in steps {
                if model.remove(&index).is_some() {
                    table.remove(GlobalIndex(index));
                } else {
                    table.insert(GlobalIndex(index), slot);
                    model.insert(index, slot);
                }
            }
            prop_assert_eq!(table.len(), model.len());
            for index in 0..300 {
                prop_assert_eq!(table.get(GlobalIndex(index)), model.get(&index).copied());
            }
        }
    }
}
