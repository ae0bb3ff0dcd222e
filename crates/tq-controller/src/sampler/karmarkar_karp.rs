//! Even partitions of lengths, by largest differencing (Karmarkar and Karp): the two most uneven
//! partial solutions are joined, the larger sets of one with the smaller sets of the other, until
//! one solution is left.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use tq_proto::Result;

use super::invalid;

/// Positions of `lengths` in `parts` parts with sums as even as the method finds them, each part
/// ascending. With `equal_size` all parts hold equally many. The outcome depends on the lengths
/// alone, ties included.
///
/// ```
/// let parts = tq_controller::sampler::balanced_partitions(&[10.0, 20.0, 30.0, 40.0], 2, true)?;
/// assert_eq!(parts, [[0, 3], [1, 2]]);
/// # Ok::<(), tq_proto::Error>(())
/// ```
///
/// # Errors
/// `InvalidArgument` where `parts` is 0, exceeds the lengths, or does not divide them although
/// equal sizes are asked for.
pub fn balanced_partitions(
    lengths: &[f64],
    parts: usize,
    equal_size: bool,
) -> Result<Vec<Vec<usize>>> {
    let items = lengths.len();
    if parts == 0 || items < parts {
        return Err(invalid(format!(
            "{items} lengths cannot be put into {parts} parts without an empty one"
        )));
    }
    if equal_size && !items.is_multiple_of(parts) {
        return Err(invalid(format!(
            "{items} lengths cannot be put into {parts} parts of equal size; give a multiple of \
             {parts}"
        )));
    }
    let mut order: Vec<usize> = (0..items).collect();
    order.sort_by(|a, b| lengths[*a].total_cmp(&lengths[*b]).then(a.cmp(b)));
    let per_solution = if equal_size { parts } else { 1 };
    let mut heap: BinaryHeap<Solution> = order
        .chunks(per_solution)
        .map(|positions| Solution::start(positions, lengths, parts))
        .collect();
    let mut solution = heap.pop().unwrap_or_default();
    while let Some(other) = heap.pop() {
        solution.join(other);
        heap.push(solution);
        solution = heap.pop().unwrap_or_default();
    }
    let sorted = |mut set: Set| {
        set.positions.sort_unstable();
        set.positions
    };
    Ok(solution.sets.into_iter().map(sorted).collect())
}

/// Positions that stay together.
#[derive(Debug, Default)]
struct Set {
    sum: f64,
    /// In the order in which they came together, which decides ties.
    positions: Vec<usize>,
}

impl Ord for Set {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = |set: &Self| set.positions.len();
        self.sum
            .total_cmp(&other.sum)
            .then(size(self).cmp(&size(other)))
            .then_with(|| self.positions.cmp(&other.positions))
    }
}

/// A partition of some of the positions, largest set first. Solutions rank by how uneven they are.
#[derive(Debug, Default)]
struct Solution {
    sets: Vec<Set>,
}

impl Solution {
    fn start(positions: &[usize], lengths: &[f64], parts: usize) -> Self {
        let mut sets: Vec<Set> = positions
            .iter()
            .map(|position| Set {
                sum: lengths[*position],
                positions: vec![*position],
            })
            .collect();
        sets.resize_with(parts, Set::default);
        let mut solution = Self { sets };
        solution.sort();
        solution
    }

    fn join(&mut self, other: Self) {
        for (set, added) in self.sets.iter_mut().zip(other.sets.into_iter().rev()) {
            set.sum += added.sum;
            set.positions.extend(added.positions);
        }
        self.sort();
    }

    fn sort(&mut self) {
        self.sets.sort_by(|a, b| b.cmp(a));
    }

    fn spread(&self) -> f64 {
        match (self.sets.first(), self.sets.last()) {
            (Some(largest), Some(smallest)) => largest.sum - smallest.sum,
            _ => 0.0,
        }
    }
}

impl Ord for Solution {
    fn cmp(&self, other: &Self) -> Ordering {
        self.spread()
            .total_cmp(&other.spread())
            .then_with(|| self.sets.first().cmp(&other.sets.first()))
    }
}

/// Equality and partial order that follow `Ord`: floats have no derived ones.
macro_rules! follow_ord {
    ($($name:ident)*) => {$(
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other).is_eq()
            }
        }
        impl Eq for $name {}
    )*};
}
follow_ord!(Set Solution);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assert_parts(lengths: &[f64], parts: usize, equal_size: bool, expected: &[&[usize]]) {
        let found = balanced_partitions(lengths, parts, equal_size).unwrap();
        assert_eq!(found, expected, "{lengths:?}");
    }

    #[test]
    fn known_lengths_have_known_parts() {
        assert_parts(&[10., 20., 30., 40.], 2, true, &[&[0, 3], &[1, 2]]);
        let lengths = [100., 90., 50., 10., 5., 1.];
        assert_parts(&lengths, 2, true, &[&[1, 2, 5], &[0, 3, 4]]);
        let lengths = [100., 10., 10., 10., 10.];
        assert_parts(&lengths, 2, false, &[&[0], &[1, 2, 3, 4]]);
        assert_parts(&[50.; 4], 2, true, &[&[0, 3], &[1, 2]]);
        let lengths = [100., 80., 60., 40., 20., 10.];
        assert_parts(&lengths, 3, true, &[&[0, 5], &[2, 3], &[1, 4]]);
        let lengths = [7., 3., 5., 1., 9., 2.];
        assert_parts(&lengths, 2, false, &[&[0, 2, 5], &[1, 3, 4]]);
    }

    #[test]
    fn parts_that_cannot_be_filled_are_refused() {
        for (items, parts, equal_size) in
            [(1, 2, false), (0, 1, false), (3, 0, false), (3, 2, true)]
        {
            let error = balanced_partitions(&vec![1.0; items], parts, equal_size).unwrap_err();
            assert_eq!(error.kind(), tq_proto::ErrorKind::InvalidArgument);
        }
    }

    proptest! {
        #[test]
        fn every_position_is_in_one_part(
            lengths in prop::collection::vec(0u32..500, 1..60),
            parts in 1usize..6,
            equal_size: bool,
        ) {
            let mut lengths: Vec<f64> = lengths.into_iter().map(f64::from).collect();
            prop_assume!(lengths.len() >= parts);
            if equal_size {
                lengths.truncate(lengths.len() / parts * parts);
            }
            let found = balanced_partitions(&lengths, parts, equal_size).unwrap();
            prop_assert_eq!(found.len(), parts);
            for part in &found {
                prop_assert!(part.is_sorted());
                if equal_size {
                    prop_assert_eq!(part.len(), lengths.len() / parts);
                }
            }
            let mut all = found.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..lengths.len()).collect::<Vec<_>>());
        }
    }
}
