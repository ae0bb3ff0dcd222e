//! Slots in pages of 64: one page is one word of every bitmap over slots.
//!
//! A page is filled in the order in which its samples came, that is in ascending global index, and
//! used again only when all its slots are free. The pages in use are linked in the order in which
//! they were opened. So a walk over the pages meets the samples in ascending global index, however
//! often slots were used again, and needs no sort and no look at samples that were cleared.

use crate::slots::Slot;

/// Number of a page; its slots are those from 64 times this number on.
pub(crate) type PageNo = u32;

/// No page.
pub(crate) const NO_PAGE: PageNo = PageNo::MAX;

/// Slots of a page.
pub(crate) const PAGE: u32 = u64::BITS;

/// So many pages leave `Slot::MAX` free to mean "no slot".
const MOST: usize = (Slot::MAX / PAGE) as usize;

/// The page of a slot.
pub(crate) const fn page_of(slot: Slot) -> PageNo {
    slot / PAGE
}

/// The bit of a slot in the words of its page.
pub(crate) const fn bit_of(slot: Slot) -> u64 {
    1 << (slot % PAGE)
}

/// The slots of the bits set in a word of `page`, ascending.
pub(crate) fn slots_of(page: PageNo, mut word: u64) -> impl Iterator<Item = Slot> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros())?;
        word &= word - 1;
        Some(page * PAGE + bit)
    })
}

#[derive(Debug)]
struct Page {
    /// Slots that hold a sample, whatever its state.
    occupied: u64,
    /// Slots given out since the page was opened.
    filled: u32,
    /// Grows from page to page in the order of their opening.
    opened: u64,
    previous: PageNo,
    next: PageNo,
}

/// A page that went out of use with its last sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vacated {
    pub(crate) page: PageNo,
    /// The page behind it, or else the one before it; `NO_PAGE` for the last one in use.
    pub(crate) heir: PageNo,
}

/// The pages of a partition.
#[derive(Debug)]
pub(crate) struct Pages {
    pages: Vec<Page>,
    unused: Vec<PageNo>,
    first: PageNo,
    /// The only page with slots to give out.
    last: PageNo,
    opened: u64,
    occupied: usize,
}

impl Default for Pages {
    fn default() -> Self {
        Self {
            pages: Vec::new(),
            unused: Vec::new(),
            first: NO_PAGE,
            last: NO_PAGE,
            opened: 0,
            occupied: 0,
        }
    }
}

impl Pages {
    fn page(&self, page: PageNo) -> &Page {
        &self.pages[page as usize]
    }

    fn page_mut(&mut self, page: PageNo) -> &mut Page {
        &mut self.pages[page as usize]
    }

    /// Slots that hold a sample.
    pub(crate) fn occupied(&self) -> usize {
        self.occupied
    }

    /// How many more slots can be given out.
    pub(crate) fn room(&self) -> usize {
        (MOST - self.pages.len() + self.unused.len()) * PAGE as usize + self.left_in_last()
    }

    /// Slots that can be given out without growing.
    pub(crate) fn at_hand(&self) -> usize {
        self.unused.len() * PAGE as usize + self.left_in_last()
    }

    fn left_in_last(&self) -> usize {
        match self.last {
            NO_PAGE => 0,
            last => (PAGE - self.page(last).filled) as usize,
        }
    }

    /// Gives out the next slot. The caller has checked [`Self::room`].
    pub(crate) fn take(&mut self) -> Slot {
        if self.left_in_last() == 0 {
            self.open();
        }
        let last = self.last;
        let page = self.page_mut(last);
        let slot = last * PAGE + page.filled;
        page.filled += 1;
        page.occupied |= bit_of(slot);
        self.occupied += 1;
        slot
    }

    fn open(&mut self) {
        let (previous, opened) = (self.last, self.opened);
        self.opened += 1;
        let page = Page {
            occupied: 0,
            filled: 0,
            opened,
            previous,
            next: NO_PAGE,
        };
        let number = match self.unused.pop() {
            Some(number) => {
                *self.page_mut(number) = page;
                number
            }
            None => {
                self.pages.push(page);
                // The caller has checked that page numbers suffice.
                #[allow(clippy::cast_possible_truncation)]
                let number = (self.pages.len() - 1) as PageNo;
                number
            }
        };
        match previous {
            NO_PAGE => self.first = number,
            previous => self.page_mut(previous).next = number,
        }
        self.last = number;
    }

    /// Takes back a slot that was given out. Tells when its page went out of use with it.
    pub(crate) fn give_back(&mut self, slot: Slot) -> Option<Vacated> {
        let number = page_of(slot);
        self.occupied -= 1;
        let page = self.page_mut(number);
        page.occupied &= !bit_of(slot);
        if page.occupied != 0 {
            return None;
        }
        let Page { previous, next, .. } = *page;
        match previous {
            NO_PAGE => self.first = next,
            previous => self.page_mut(previous).next = next,
        }
        match next {
            NO_PAGE => self.last = previous,
            next => self.page_mut(next).previous = previous,
        }
        self.unused.push(number);
        Some(Vacated {
            page: number,
            heir: if next == NO_PAGE { previous } else { next },
        })
    }

    /// The page opened first of those in use.
    pub(crate) fn first(&self) -> PageNo {
        self.first
    }

    /// The page in use that was opened after `page`.
    pub(crate) fn after(&self, page: PageNo) -> PageNo {
        self.page(page).next
    }

    /// Whether `page` was opened before `other`; both are in use.
    pub(crate) fn is_before(&self, page: PageNo, other: PageNo) -> bool {
        self.page(page).opened < self.page(other).opened
    }

    /// The slots of `page` that hold a sample.
    pub(crate) fn occupied_word(&self, page: PageNo) -> u64 {
        self.page(page).occupied
    }

    /// The pages in use from `start` on, in order.
    pub(crate) fn from(&self, start: PageNo) -> impl Iterator<Item = PageNo> + '_ {
        let used = |page: PageNo| (page != NO_PAGE).then_some(page);
        std::iter::successors(used(start), move |page| used(self.after(*page)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_order(pages: &Pages) -> Vec<Slot> {
        pages
            .from(pages.first())
            .flat_map(|page| slots_of(page, pages.occupied_word(page)))
            .collect()
    }

    #[test]
    fn a_page_is_used_again_only_when_all_of_it_is_free_and_then_at_the_end() {
        let mut pages = Pages::default();
        let given: Vec<_> = (0..160).map(|_| pages.take()).collect();
        assert_eq!(given, Vec::from_iter(0..160));
        for slot in 0..63 {
            assert_eq!(pages.give_back(slot), None);
        }
        assert_eq!(pages.take(), 160);
        let vacated = Vacated { page: 0, heir: 1 };
        assert_eq!(pages.give_back(63), Some(vacated));
        // What is left of the open page comes first.
        let more: Vec<_> = (0..32).map(|_| pages.take()).collect();
        assert_eq!((more[0], more[30], more[31]), (161, 191, 0));
        assert_eq!(
            in_order(&pages),
            (64..192).chain([0]).collect::<Vec<Slot>>()
        );
        assert!(pages.is_before(2, 0));
        assert_eq!(pages.occupied(), 129);
    }

    #[test]
    fn a_page_that_is_emptied_before_it_was_full_starts_afresh() {
        let mut pages = Pages::default();
        let given: Vec<_> = (0..70).map(|_| pages.take()).collect();
        for slot in &given[64..69] {
            assert_eq!(pages.give_back(*slot), None);
        }
        let vacated = Vacated { page: 1, heir: 0 };
        assert_eq!(pages.give_back(69), Some(vacated));
        assert_eq!(pages.take(), 64);
        for slot in 0..64 {
            pages.give_back(slot);
        }
        let vacated = Vacated {
            page: 1,
            heir: NO_PAGE,
        };
        assert_eq!(pages.give_back(64), Some(vacated));
        assert_eq!(in_order(&pages), []);
        assert_eq!(pages.pages.len(), 2);
    }

    #[test]
    fn room_counts_what_is_left_of_pages() {
        let mut pages = Pages::default();
        let all = pages.room();
        assert_eq!(pages.at_hand(), 0);
        pages.take();
        assert_eq!((pages.room(), pages.at_hand()), (all - 1, 63));
        pages.take();
        pages.give_back(0);
        assert_eq!(pages.room(), all - 2);
        pages.give_back(1);
        assert_eq!((pages.room(), pages.at_hand()), (all, 64));
    }
}
