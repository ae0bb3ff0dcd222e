//! Lengths packed onto ranks, each up to a budget.

/// Ranks that are filled one length at a time: the least loaded rank with room takes it, among
/// equally loaded ones that with fewer lengths, then the first.
///
/// No rank stays empty before another holds two, so that a batch which is closed leaves no rank
/// without work.
#[derive(Debug)]
pub struct Packing {
    loads: Vec<Load>,
    budget: f64,
    most: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Load {
    sum: f64,
    count: usize,
}

impl Packing {
    /// Empty ranks with room for `budget` in sum and for `most` lengths each.
    #[must_use]
    pub fn new(ranks: usize, budget: f64, most: usize) -> Self {
        Self {
            loads: vec![Load::default(); ranks],
            budget,
            most,
        }
    }

    /// The rank that takes `length`, or `None` where it fits on none.
    pub fn place(&mut self, length: f64) -> Option<usize> {
        let fits = |load: &Load| load.count < self.most && load.sum + length <= self.budget;
        let (rank, load) = self
            .loads
            .iter_mut()
            .enumerate()
            .filter(|(_, load)| fits(load))
            .min_by(|(_, a), (_, b)| a.sum.total_cmp(&b.sum).then(a.count.cmp(&b.count)))?;
        load.sum += length;
        load.count += 1;
        Some(rank)
    }

    /// Whether every rank holds as many lengths as it may, or has used up its budget.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.loads
            .iter()
            .all(|load| load.count >= self.most || load.sum >= self.budget)
    }
}

/// Packs `lengths` in order until the next fits on no rank or all ranks are full. Gives the
/// positions of each rank, or `None` where the lengths end first. A length over `budget` ends the
/// batch as one that does not fit; the caller refuses those.
///
/// ```
/// let packed = tq_controller::sampler::pack(&[60.0, 30.0, 50.0, 40.0], 2, 100.0, 8);
/// assert_eq!(packed, None); // one more might still fit beside the 60
/// let packed = tq_controller::sampler::pack(&[60.0, 30.0, 50.0, 40.0, 30.0], 2, 100.0, 8);
/// assert_eq!(packed, Some(vec![vec![0, 3], vec![1, 2]]));
/// ```
#[must_use]
pub fn pack(lengths: &[f64], ranks: usize, budget: f64, most: usize) -> Option<Vec<Vec<usize>>> {
    let mut packing = Packing::new(ranks, budget, most);
    let mut shares = vec![Vec::new(); ranks];
    for (position, length) in lengths.iter().enumerate() {
        let Some(rank) = packing.place(*length) else {
            return Some(shares);
        };
        shares[rank].push(position);
        if packing.is_full() {
            return Some(shares);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ties_go_to_the_rank_with_fewer_lengths_and_then_to_the_first() {
        let mut packing = Packing::new(3, 10.0, 4);
        let ranks: Vec<_> = [0.0, 0.0, 5.0, 0.0, 0.0]
            .map(|length| packing.place(length))
            .into();
        assert_eq!(ranks, [Some(0), Some(1), Some(2), Some(0), Some(1)]);
    }

    #[test]
    fn a_rank_without_budget_or_places_is_full() {
        assert_eq!(
            pack(&[10.0, 4.0, 3.0], 2, 10.0, 2),
            Some(vec![vec![0], vec![1, 2]])
        );
        assert_eq!(pack(&[10.0, 4.0], 2, 10.0, 2), None);
        assert_eq!(
            pack(&[10.0, 4.0, 7.0], 2, 10.0, 2),
            Some(vec![vec![0], vec![1]])
        );
    }

    proptest! {
        #[test]
        fn a_closed_batch_is_a_prefix_within_all_bounds(
            lengths in prop::collection::vec(0u32..=20, 0..80),
            ranks in 1usize..5, budget in 20u32..60, most in 1usize..8,
        ) {
            let lengths: Vec<f64> = lengths.into_iter().map(f64::from).collect();
            let budget = f64::from(budget);
            let Some(shares) = pack(&lengths, ranks, budget, most) else { return Ok(()) };
            prop_assert_eq!(shares.len(), ranks);
            let sum = |share: &[usize]| share.iter().map(|place| lengths[*place]).sum::<f64>();
            for share in &shares {
                prop_assert!(!share.is_empty() && share.len() <= most && share.is_sorted());
                prop_assert!(sum(share) <= budget);
            }
            let mut all = shares.concat();
            all.sort_unstable();
            prop_assert_eq!(&all, &(0..all.len()).collect::<Vec<_>>());
            let next = lengths.get(all.len());
            let fits = |share: &Vec<usize>| {
                share.len() < most && next.is_some_and(|next| sum(share) + next <= budget)
            };
            let full = shares.iter().all(|share| share.len() == most || sum(share) >= budget);
            prop_assert!(full || (next.is_some() && !shares.iter().any(fits)));
        }
    }
}
