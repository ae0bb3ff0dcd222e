//! Samples in use and samples promised to puts in flight.
//!
//! A sample counts once, whether it is stored, named by a put in flight, or both. A clear that
//! meets puts in flight is remembered until they have ended, so that their rows of the cleared
//! samples die on arrival: a writer that lost that race leaves nothing behind.

use std::num::NonZeroU32;

use rustc_hash::FxHashMap;
use tq_proto::GlobalIndex;

use crate::paged::PagedTable;

/// Point in the order of clears at which a put began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Ticket(u64);

/// A put that would exceed the limit on samples.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Full {
    pub(crate) asked: u64,
    pub(crate) in_use: u64,
    pub(crate) limit: u64,
}

pub(crate) struct Admission {
    limit: Option<u64>,
    in_use: u64,
    /// Puts in flight per sample.
    pending: PagedTable<NonZeroU32>,
    /// Samples that were cleared while pending, and when.
    cleared: FxHashMap<GlobalIndex, Ticket>,
    now: Ticket,
}

impl Admission {
    pub(crate) fn new(limit: Option<u64>) -> Self {
        Self {
            limit,
            in_use: 0,
            pending: PagedTable::new(),
            cleared: FxHashMap::default(),
            now: Ticket(0),
        }
    }

    /// Samples that are stored or named by a put in flight.
    pub(crate) fn in_use(&self) -> u64 {
        self.in_use
    }

    /// Admits a put of distinct `indexes`, all or none. `stored` says which of them are stored.
    pub(crate) fn admit(
        &mut self,
        indexes: &[GlobalIndex],
        stored: impl Fn(GlobalIndex) -> bool,
    ) -> Result<Ticket, Full> {
        let is_new =
            |pending: &PagedTable<_>, index| pending.get(index).is_none() && !stored(index);
        let new = indexes
            .iter()
            .filter(|index| is_new(&self.pending, **index))
            .count() as u64;
        if let Some(limit) = self.limit
            && self.in_use.saturating_add(new) > limit
        {
            return Err(Full {
                asked: new,
                in_use: self.in_use,
                limit,
            });
        }
        self.in_use += new;
        for index in indexes {
            let others = self.pending.insert(*index, NonZeroU32::MIN);
            if let Some(others) = others {
                self.pending.insert(*index, others.saturating_add(1));
            }
        }
        Ok(self.now)
    }

    /// Whether a put admitted at `ticket` lost `index` to a clear.
    pub(crate) fn lost(&self, index: GlobalIndex, ticket: Ticket) -> bool {
        !self.cleared.is_empty() && self.cleared.get(&index).is_some_and(|when| *when > ticket)
    }

    /// A put that named `index` has ended; `stored` says whether the sample is stored now.
    pub(crate) fn settle(&mut self, index: GlobalIndex, stored: bool) {
        let Some(puts) = self.pending.remove(index) else {
            debug_assert!(false, "{index:?} was settled more often than admitted");
            return;
        };
        if let Some(others) = NonZeroU32::new(puts.get() - 1) {
            self.pending.insert(index, others);
            return;
        }
        if !self.cleared.is_empty() {
            self.cleared.remove(&index);
        }
        if !stored {
            self.in_use -= 1;
        }
    }

    /// A clear begins; what it clears is lost to every put admitted before.
    pub(crate) fn begin_clear(&mut self) {
        self.now.0 += 1;
    }

    /// `index` is not stored any more; puts that name it keep their place.
    pub(crate) fn forget(&mut self, index: GlobalIndex) {
        if self.pending.get(index).is_none() {
            self.in_use -= 1;
        }
    }

    /// `index` was cleared; `stored` says whether the sample was stored until now.
    pub(crate) fn clear(&mut self, index: GlobalIndex, stored: bool) {
        if self.pending.get(index).is_some() {
            self.cleared.insert(index, self.now);
        } else if stored {
            self.in_use -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: GlobalIndex = GlobalIndex(1);
    const B: GlobalIndex = GlobalIndex(2);

    #[test]
    fn a_sample_named_by_two_puts_counts_once() {
        let mut admission = Admission::new(Some(1));
        let nothing = |_| false;
        admission.admit(&[A], nothing).unwrap();
        admission.admit(&[A], nothing).unwrap();
        let full = Full {
            asked: 1,
            in_use: 1,
            limit: 1,
        };
        assert_eq!(admission.admit(&[A, B], nothing), Err(full));
        admission.settle(A, false);
        assert_eq!(admission.in_use(), 1);
        admission.settle(A, false);
        assert_eq!(admission.in_use(), 0);
        admission.admit(&[B], nothing).unwrap();
    }

    #[test]
    fn a_clear_is_lost_to_earlier_puts_only_and_forgotten_with_the_last() {
        let mut admission = Admission::new(None);
        let early = admission.admit(&[A, B], |_| false).unwrap();
        admission.begin_clear();
        admission.clear(A, false);
        let late = admission.admit(&[A], |_| false).unwrap();
        assert!(admission.lost(A, early) && !admission.lost(B, early));
        assert!(!admission.lost(A, late));
        admission.settle(A, false);
        admission.settle(B, true);
        admission.settle(A, true);
        assert_eq!(admission.in_use(), 2);
        assert!(admission.cleared.is_empty() && admission.pending.is_empty());
        admission.begin_clear();
        admission.clear(A, true);
        admission.clear(B, true);
        assert_eq!(admission.in_use(), 0);
    }
}
