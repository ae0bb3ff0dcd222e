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
    pages: FxHashMap<u64, Page<T>>,
    occupied: u64,
}

const fn locate(index: GlobalIndex) -> (u64, usize) {
    (index.0 >> PAGE_BITS, index.0 as usize & (PAGE_CELLS - 1))
}

impl<T: Copy> PagedTable<T> {
    pub(crate) fn new() -> Self {
        Self {
            pages: FxHashMap::default(),
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
        self.pages.iter().flat_map(|(number, page)| {
            let first = *number << PAGE_BITS;
            let occupied = (0u64..).zip(&page.cells).filter(|(_, cell)| cell.is_some());
            occupied.map(move |(cell, _)| GlobalIndex(first + cell))
        })
    }

    pub(crate) fn get(&self, index: GlobalIndex) -> Option<T> {
        let (page, cell) = locate(index);
        self.pages.get(&page)?.cells[cell]
    }

    /// Sets a cell and returns what it held.
    pub(crate) fn insert(&mut self, index: GlobalIndex, value: T) -> Option<T> {
        let (page, cell) = locate(index);
        let page = self.pages.entry(page).or_insert_with(|| Page {
            cells: vec![None; PAGE_CELLS].into_boxed_slice(),
            occupied: 0,
        });
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
        let page = self.pages.get_mut(&number)?;
        let old = page.cells[cell].take()?;
        page.occupied -= 1;
        self.occupied -= 1;
        if page.occupied == 0 {
            self.pages.remove(&number);
        }
        Some(old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_vanish_with_their_last_cell() {
        let mut table = PagedTable::new();
        let far = GlobalIndex(u64::MAX);
        assert_eq!(table.insert(GlobalIndex(0), 1u32), None);
        assert_eq!(table.insert(far, 2), None);
        assert_eq!(table.insert(far, 3), Some(2));
        assert_eq!((table.len(), table.pages.len()), (2, 2));
        assert_eq!(table.get(far), Some(3));
        assert_eq!(table.get(GlobalIndex(PAGE_CELLS as u64)), None);
        assert_eq!(table.remove(far), Some(3));
        assert_eq!(table.remove(far), None);
        assert_eq!((table.len(), table.pages.len()), (1, 1));
        assert_eq!(table.remove(GlobalIndex(0)), Some(1));
        assert!(table.is_empty() && table.pages.is_empty());
    }

    #[test]
    fn a_cell_of_two_numbers_takes_eight_bytes() {
        assert_eq!(size_of::<Option<(crate::slab::SlotId, u32)>>(), 8);
    }
}
