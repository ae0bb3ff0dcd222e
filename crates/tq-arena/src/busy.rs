//! Which pages of a segment's private mapping somebody may have written. No locks, no memory.

use std::collections::BTreeMap;
use std::ops::Range;

/// Page ranges of views: alive, or gone and not reverted yet. `T` is what a range keeps until it is
/// reverted: the leases of its view.
#[derive(Debug)]
pub(crate) struct BusyRanges<T> {
    /// Disjoint, by start.
    by_start: BTreeMap<u64, Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    end: u64,
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    /// A view of it is alive.
    Live,
    /// The view is gone; pages may be dirty.
    Waiting(T),
    /// Somebody is reverting it right now.
    Reverting,
    /// The revert failed; no view of it is given any more.
    Lost,
}

/// A range somebody has undertaken to revert; return it through [`BusyRanges::finish`].
#[derive(Debug)]
pub(crate) struct Claim<T> {
    pub(crate) range: Range<u64>,
    pub(crate) kept: T,
}

/// The answer to a request for a view.
#[derive(Debug)]
pub(crate) enum Admission<T> {
    /// The range is live now.
    Granted,
    /// A live (or lost) range overlaps.
    Busy,
    /// Revert these first, finish them, and ask again.
    RevertFirst(Vec<Claim<T>>),
    /// Others are reverting overlapping ranges; ask again when they are done.
    Wait,
}

impl<T> Default for BusyRanges<T> {
    fn default() -> Self {
        Self {
            by_start: BTreeMap::new(),
        }
    }
}

impl<T> BusyRanges<T> {
    /// Asks to make `range` live.
    pub(crate) fn admit(&mut self, range: Range<u64>) -> Admission<T> {
        let overlapping: Vec<u64> = self
            .by_start
            .range(..range.end)
            .rev()
            .take_while(|(_, entry)| entry.end > range.start)
            .map(|(start, _)| *start)
            .collect();
        let states = || {
            overlapping
                .iter()
                .filter_map(|start| self.by_start.get(start))
        };
        if states().any(|entry| matches!(entry.state, State::Live | State::Lost)) {
            return Admission::Busy;
        }
        if overlapping.is_empty() {
            let live = Entry {
                end: range.end,
                state: State::Live,
            };
            self.by_start.insert(range.start, live);
            return Admission::Granted;
        }
        let claims: Vec<_> = overlapping
            .iter()
            .filter_map(|start| self.claim(*start))
            .collect();
        if claims.is_empty() {
            Admission::Wait
        } else {
            Admission::RevertFirst(claims)
        }
    }

    /// The view of the live range at `start` is gone; `kept` stays until the range is reverted.
    pub(crate) fn park(&mut self, start: u64, kept: T) {
        if let Some(entry) = self.by_start.get_mut(&start) {
            debug_assert!(matches!(entry.state, State::Live), "a view is parked once");
            entry.state = State::Waiting(kept);
        }
    }

    /// Undertakes to revert the range at `start`, if it waits for that.
    pub(crate) fn claim(&mut self, start: u64) -> Option<Claim<T>> {
        let entry = self.by_start.get_mut(&start)?;
        match std::mem::replace(&mut entry.state, State::Reverting) {
            State::Waiting(kept) => Some(Claim {
                range: start..entry.end,
                kept,
            }),
            other => {
                entry.state = other;
                None
            }
        }
    }

    /// The claimed range at `start` is clean again, or is given up when it could not be reverted.
    pub(crate) fn finish(&mut self, start: u64, reverted: bool) {
        if reverted {
            self.by_start.remove(&start);
        } else if let Some(entry) = self.by_start.get_mut(&start) {
            entry.state = State::Lost;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn granted(busy: &mut BusyRanges<u32>, range: Range<u64>) -> bool {
        matches!(busy.admit(range), Admission::Granted)
    }

    #[test]
    fn live_ranges_exclude_what_overlaps_and_nothing_else() {
        let mut busy = BusyRanges::default();
        assert!(granted(&mut busy, 10..20));
        assert!(granted(&mut busy, 20..30));
        assert!(granted(&mut busy, 0..10));
        for range in [0..1, 9..11, 15..16, 29..99, 0..99] {
            assert!(matches!(busy.admit(range), Admission::Busy));
        }
        assert!(granted(&mut busy, 30..31));
    }

    #[test]
    fn a_waiting_range_is_reverted_before_it_is_live_again() {
        let mut busy = BusyRanges::default();
        assert!(granted(&mut busy, 0..10));
        assert!(granted(&mut busy, 10..20));
        busy.park(0, 7);
        busy.park(10, 8);
        let Admission::RevertFirst(claims) = busy.admit(5..15) else {
            panic!("both wait")
        };
        let mut kept: Vec<_> = claims.iter().map(|claim| claim.kept).collect();
        kept.sort_unstable();
        assert_eq!(kept, [7, 8]);
        assert!(matches!(busy.admit(0..5), Admission::Wait));
        assert!(busy.claim(0).is_none(), "a claim is exclusive");
        for claim in claims {
            busy.finish(claim.range.start, true);
        }
        assert!(granted(&mut busy, 5..15));
    }

    #[test]
    fn a_live_neighbour_means_no_revert_is_begun() {
        let mut busy = BusyRanges::default();
        assert!(granted(&mut busy, 0..10));
        assert!(granted(&mut busy, 10..20));
        busy.park(0, 7);
        assert!(matches!(busy.admit(5..15), Admission::Busy));
        assert_eq!(
            busy.claim(0).map(|claim| (claim.range, claim.kept)),
            Some((0..10, 7))
        );
    }

    #[test]
    fn a_range_that_cannot_be_reverted_is_never_live_again() {
        let mut busy = BusyRanges::default();
        assert!(granted(&mut busy, 0..10));
        busy.park(0, 7);
        assert!(busy.claim(0).is_some());
        busy.finish(0, false);
        assert!(matches!(busy.admit(0..1), Admission::Busy));
        assert!(granted(&mut busy, 10..11));
    }
}
