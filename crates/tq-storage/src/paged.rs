//! Table from global index to a small cell, in pages that come and go.
//!
//! Global indexes rise for ever and are never reused, while those alive lie close together: pages
//! of neighbours cost eight bytes a cell and no rehash, and vanish once all in them is cleared.

use rustc_hash::FxHashMap;
use tq_proto::GlobalIndex;

const PAGE_BITS: u32 = 12;
const PAGE_CELLS: usize = 1 << PAGE_BITS;

struct Page<T> {
    cells: Box<[Option<T>]>,
    occupied: usize,
}

pub(crate) struct PagedTable<T> {
    pages: Vec<Page<T>>,
    /// Places in `pages`, by page number.
    places: FxHashMap<u64, usize>,
    /// Places that hold no page.
    unused: Vec<usize>,
    /// The cells of a page that is no longer used, all of them empty: a table that holds a sample
    /// only for the time of a put would make a page for each put.
    spare: Option<Box<[Option<T>]>>,
    /// Number and place of the page written last: the next index is mostly a neighbour.
    last: Option<(u64, usize)>,
    occupied: u64,
}

const fn locate(index: GlobalIndex) -> (u64, usize) {
    (index.0 >> PAGE_BITS, index.0 as usize & (PAGE_CELLS - 1))
}

impl<T: Copy> PagedTable<T> {
    pub(crate) fn new() -> Self {
        Self {
            pages: Vec::new(),
            places: FxHashMap::default(),
            unused: Vec::new(),
            spare: None,
            last: None,
            occupied: 0,
        }
    }

    /// Occupied cells.
    pub(crate) fn len(&self) -> u64 {
        self.occupied
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.occupied == 0
    }

    /// Global indexes of the occupied cells, in no order.
    pub(crate) fn indexes(&self) -> impl Iterator<Item = GlobalIndex> {
        self.places.iter().flat_map(|(number, place)| {
            let first = *number << PAGE_BITS;
            let occupied = (0u64..)
                .zip(&self.pages[*place].cells)
                .filter(|(_, cell)| cell.is_some());
            occupied.map(move |(cell, _)| GlobalIndex(first + cell))
        })
    }

    pub(crate) fn get(&self, index: GlobalIndex) -> Option<T> {
        let (number, cell) = locate(index);
        self.pages[self.place(number)?].cells[cell]
    }

    /// Sets a cell and returns what it held.
    pub(crate) fn insert(&mut self, index: GlobalIndex, value: T) -> Option<T> {
        let (number, cell) = locate(index);
        let place = self.place(number).unwrap_or_else(|| self.open(number));
        self.last = Some((number, place));
        let page = &mut self.pages[place];
        let old = page.cells[cell].replace(value);
        if old.is_none() {
            page.occupied += 1;
            self.occupied += 1;
        }
        old
    }

    /// Empties a cell and returns what it held.
    pub(crate) fn remove(&mut self, index: GlobalIndex) -> Option<T> {
        let (number, cell) = locate(index);
        let place = self.place(number)?;
        let page = &mut self.pages[place];
        let old = page.cells[cell].take()?;
        page.occupied -= 1;
        self.occupied -= 1;
        if page.occupied > 0 {
            self.last = Some((number, place));
            return Some(old);
        }
        self.spare = Some(std::mem::take(&mut page.cells));
        self.places.remove(&number);
        self.unused.push(place);
        self.last = None;
        Some(old)
    }

    fn place(&self, number: u64) -> Option<usize> {
        match self.last {
            Some((last, place)) if last == number => Some(place),
            _ => self.places.get(&number).copied(),
        }
    }

    fn open(&mut self, number: u64) -> usize {
        let cells = self.spare.take();
        let page = Page {
            cells: cells.unwrap_or_else(|| vec![None; PAGE_CELLS].into_boxed_slice()),
            occupied: 0,
        };
        let place = match self.unused.pop() {
            Some(place) => {
                self.pages[place] = page;
                place
            }
            None => {
                self.pages.push(page);
                self.pages.len() - 1
            }
        };
        self.places.insert(number, place);
        place
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pages_vanish_with_their_last_cell() {
        let mut table = PagedTable::new();
        let far = GlobalIndex(u64::MAX);
        assert_eq!(table.insert(GlobalIndex(0), 1u32), None);
        assert_eq!(table.insert(far, 2), None);
        assert_eq!(table.insert(far, 3), Some(2));
        assert_eq!((table.len(), table.places.len()), (2, 2));
        assert_eq!(table.get(far), Some(3));
        assert_eq!(table.get(GlobalIndex(PAGE_CELLS as u64)), None);
        assert_eq!(table.remove(far), Some(3));
        assert_eq!(table.remove(far), None);
        assert_eq!((table.len(), table.places.len()), (1, 1));
        assert_eq!(table.remove(GlobalIndex(0)), Some(1));
        assert!(table.is_empty() && table.places.is_empty());
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(steps in prop::collection::vec((0u64..4, 0u64..3, 0u32..9), 0..200)) {
            let mut table = PagedTable::new();
            let mut model = HashMap::new();
            for (page, cell, value) in steps {
                let index = page * PAGE_CELLS as u64 + cell;
                if value == 0 {
                    prop_assert_eq!(table.remove(GlobalIndex(index)), model.remove(&index));
                } else {
                    let old = model.insert(index, value);
                    prop_assert_eq!(table.insert(GlobalIndex(index), value), old);
                }
                prop_assert_eq!(table.len(), model.len() as u64);
                for index in (0..4).flat_map(|page| (0..3).map(move |cell| page << PAGE_BITS | cell)) {
                    prop_assert_eq!(table.get(GlobalIndex(index)), model.get(&index).copied());
                }
            }
        }
    }

    #[test]
    fn a_cell_of_two_numbers_takes_eight_bytes() {
        assert_eq!(size_of::<Option<(crate::slab::SlotId, u32)>>(), 8);
    }
}
