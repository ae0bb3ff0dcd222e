//! Groups of consecutive global indexes: the samples of one prompt are inserted together.

use tq_proto::GlobalIndex;

/// First indexes of the groups of `size` consecutive indexes in an ascending sequence, found as
/// they are asked for. Groups do not overlap and start wherever enough consecutive indexes follow.
///
/// ```
/// use tq_controller::sampler::Groups;
/// use tq_proto::GlobalIndex;
///
/// let ready = [0, 1, 3, 4, 5, 6].map(GlobalIndex);
/// let firsts: Vec<_> = Groups::new(ready.into_iter(), 3).map(|first| first.0).collect();
/// assert_eq!(firsts, [3]);
/// ```
#[derive(Debug)]
pub struct Groups<I> {
    ready: I,
    size: u64,
}

impl<I> Groups<I> {
    /// Groups of `ready`, which must ascend; a `size` of 0 counts as 1.
    pub fn new(ready: I, size: usize) -> Self {
        Self {
            ready,
            size: size.max(1) as u64,
        }
    }
}

impl<I: Iterator<Item = GlobalIndex>> Iterator for Groups<I> {
    type Item = GlobalIndex;

    fn next(&mut self) -> Option<GlobalIndex> {
        let mut first = self.ready.next()?.0;
        let mut count = 1;
        while count < self.size {
            let index = self.ready.next()?.0;
            // No sum: the last index there is has no successor.
            if index > first && index - first == count {
                count += 1;
            } else {
                (first, count) = (index, 1);
            }
        }
        Some(GlobalIndex(first))
    }
}

/// The samples of the group that starts with `first`.
pub(super) fn members(first: GlobalIndex, size: usize) -> impl Iterator<Item = GlobalIndex> {
    (first.0..=first.0 + (size as u64 - 1)).map(GlobalIndex)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn firsts(ready: &[u64], size: usize) -> Vec<u64> {
        Groups::new(ready.iter().copied().map(GlobalIndex), size)
            .map(|first| first.0)
            .collect()
    }

    #[test]
    fn groups_start_anywhere_and_do_not_overlap() {
        assert_eq!(firsts(&[0, 1, 3, 4, 5, 6, 7, 9, 10, 11], 3), [3, 9]);
        assert_eq!(firsts(&[5, 6, 7, 8, 9, 10, 11, 12], 4), [5, 9]);
        assert_eq!(firsts(&[0, 2, 4], 2), [0; 0]);
        assert_eq!(firsts(&[3, 8], 1), [3, 8]);
        assert_eq!(firsts(&[u64::MAX - 1, u64::MAX], 2), [u64::MAX - 1]);
    }

    #[test]
    fn a_repeated_index_starts_over() {
        assert_eq!(firsts(&[1, 1, 2], 2), [1]);
        assert_eq!(firsts(&[1, 1, 1], 2), [0; 0]);
    }

    #[test]
    fn no_more_is_walked_than_a_group_needs() {
        let endless = (7..).map(GlobalIndex);
        assert_eq!(Groups::new(endless, 4).nth(2), Some(GlobalIndex(15)));
    }

    proptest! {
        #[test]
        fn agrees_with_sliding_windows(
            ready in prop::collection::vec(0u64..40, 0..60), size in 1usize..6,
        ) {
            let mut ready = ready;
            ready.sort_unstable();
            let (mut expected, mut at) = (Vec::new(), 0);
            while at + size <= ready.len() {
                let window = &ready[at..at + size];
                if window.windows(2).all(|pair| pair[1] == pair[0] + 1) {
                    expected.push(window[0]);
                    at += size;
                } else {
                    at += 1;
                }
            }
            prop_assert_eq!(firsts(&ready, size), expected);
        }
    }
}
