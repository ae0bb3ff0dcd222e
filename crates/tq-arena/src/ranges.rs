//! A set of byte ranges, kept merged, that can be searched by size.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// How many ranges of one size class a search looks at before it goes on to the next class. It
/// bounds the cost of a loan when many small holes have built up.
const SCAN_LIMIT: usize = 16;

/// Disjoint ranges of bytes; neighbours that touch are merged.
#[derive(Debug, Default)]
pub(crate) struct RangeSet {
    /// start -> end.
    by_start: BTreeMap<u64, u64>,
    /// (floor of log2 of the length, start): finds a fit without walking every small hole.
    by_class: BTreeSet<(u32, u64)>,
    total: u64,
}

impl RangeSet {
    /// Bytes in the set.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Adds a range of which no byte may be in the set yet; returns the whole range that its bytes lie
    /// in now.
    ///
    /// # Panics
    /// When a byte is there already. It would mean that memory was freed twice, and going on would
    /// hand the same bytes to two owners.
    pub(crate) fn insert(&mut self, range: Range<u64>) -> Range<u64> {
        if range.is_empty() {
            return range;
        }
        assert!(
            !self.overlaps(&range),
            "bytes {}..{} were freed twice: a bug in tq-arena",
            range.start,
            range.end
        );
        let (mut start, mut end) = (range.start, range.end);
        if let Some((&before, &before_end)) = self.by_start.range(..start).next_back()
            && before_end == start
        {
            self.unlink(before, before_end);
            start = before;
        }
        if let Some(&after_end) = self.by_start.get(&end) {
            self.unlink(end, after_end);
            end = after_end;
        }
        self.link(start, end);
        start..end
    }

    /// Takes out whatever part of `range` is in the set; returns how many bytes that was.
    pub(crate) fn subtract(&mut self, range: Range<u64>) -> u64 {
        let before = self.total;
        while let Some((start, end)) = self.last_overlap(&range) {
            self.unlink(start, end);
            if end > range.end {
                self.link(range.end, end);
            }
            if start < range.start {
                self.link(start, range.start);
            }
        }
        before - self.total
    }

    /// The lowest start, a multiple of `align`, of `len` bytes that are all in the set. Looks at a
    /// bounded number of ranges, so a tight fit among very many small ones may be passed over.
    pub(crate) fn fit(&self, len: u64, align: u64) -> Option<u64> {
        let mut best: Option<u64> = None;
        let mut class = class_of(len);
        while let Some(&(found, _)) = self.by_class.range((class, 0)..).next() {
            let lowest = self
                .by_class
                .range((found, 0)..(found + 1, 0))
                .take(SCAN_LIMIT)
                .filter_map(|&(_, start)| {
                    let aligned = start.checked_next_multiple_of(align)?;
                    let end = self.by_start.get(&start)?;
                    (aligned.checked_add(len)? <= *end).then_some(aligned)
                })
                .next();
            best = match (best, lowest) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            class = found + 1;
        }
        best
    }

    /// The ranges of at least about `len` bytes (those of its size class and above), highest first.
    pub(crate) fn at_least(&self, len: u64) -> Vec<Range<u64>> {
        let large = self.by_class.range((class_of(len), 0)..);
        let mut starts: Vec<u64> = large.map(|(_, start)| *start).collect();
        starts.sort_unstable_by(|a, b| b.cmp(a));
        let range = |start: u64| Some(start..*self.by_start.get(&start)?);
        starts.into_iter().filter_map(range).collect()
    }

    /// The parts of the set inside `bounds`, highest first.
    pub(crate) fn within(&self, bounds: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        self.by_start
            .range(..bounds.end)
            .rev()
            .take_while(move |(_, end)| **end > bounds.start)
            .map(move |(start, end)| (*start).max(bounds.start)..(*end).min(bounds.end))
    }

    fn overlaps(&self, range: &Range<u64>) -> bool {
        self.last_overlap(range).is_some()
    }

    fn last_overlap(&self, range: &Range<u64>) -> Option<(u64, u64)> {
        let (&start, &end) = self.by_start.range(..range.end).next_back()?;
        (end > range.start && !range.is_empty()).then_some((start, end))
    }

    fn link(&mut self, start: u64, end: u64) {
        self.by_start.insert(start, end);
        self.by_class.insert((class_of(end - start), start));
        self.total += end - start;
    }

    fn unlink(&mut self, start: u64, end: u64) {
        self.by_start.remove(&start);
        self.by_class.remove(&(class_of(end - start), start));
        self.total -= end - start;
    }
}

/// Floor of log2; 0 for 0.
fn class_of(len: u64) -> u32 {
    len.checked_ilog2().unwrap_or(0)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_merge_and_a_fit_is_the_lowest() {
        let mut set = RangeSet::default();
        set.insert(0..64);
        set.insert(128..4096);
        assert_eq!(set.insert(64..128), 0..4096);
        assert_eq!(set.at_least(64).last(), Some(&(0..4096)));
        set.insert(8192..20000);
        assert_eq!(set.fit(64, 64), Some(0));
        assert_eq!(set.fit(4097, 64), Some(8192));
        assert_eq!(set.fit(64, 8192), Some(0));
        assert_eq!(set.fit(1 << 20, 64), None);
    }

    #[test]
    #[should_panic(expected = "freed twice")]
    fn a_double_free_is_loud() {
        let mut set = RangeSet::default();
        set.insert(0..64);
        set.insert(32..96);
    }

    proptest! {
        #[test]
        fn behaves_like_a_set_of_bytes(
            steps in prop::collection::vec((any::<bool>(), 0u64..200, 1u64..40), 1..60),
            len in 1u64..50,
        ) {
            let mut set = RangeSet::default();
            let mut model = vec![false; 256];
            for (add, start, len) in steps {
                let range = start..start + len;
                let cells = &mut model[start as usize..(start + len) as usize];
                let held = cells.iter().filter(|held| **held).count() as u64;
                if !add {
                    prop_assert_eq!(set.subtract(range), held);
                    cells.fill(false);
                } else if held == 0 {
                    set.insert(range);
                    cells.fill(true);
                }
                prop_assert_eq!(set.total(), model.iter().filter(|held| **held).count() as u64);
            }
            // Few ranges, so the bounded search is exact here.
            let naive = (0..256 - len).step_by(8)
                .find(|&at| model[at as usize..(at + len) as usize].iter().all(|held| *held));
            let few = set.at_least(0).len() <= SCAN_LIMIT;
            match set.fit(len, 8) {
                Some(found) => prop_assert_eq!(Some(found), naive),
                None => prop_assert!(naive.is_none() || !few),
            }
        }
    }
}
