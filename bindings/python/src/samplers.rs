//! What the classes of `transfer_queue.sampler` compute with when they are called directly.

use pyo3::prelude::*;
use tq_controller::sampler::{self, Groups};
use tq_proto::GlobalIndex;

use crate::errors::OrRaise;

/// Samples of the first `groups` groups of `size` consecutive indexes, in one ascending list;
/// `None` where there are fewer. Without `groups`, those of all there are. `ready` may have any
/// order.
#[pyfunction]
#[pyo3(signature = (ready, size, groups))]
pub(crate) fn grpo_groups(
    mut ready: Vec<u64>,
    size: usize,
    groups: Option<usize>,
) -> Option<Vec<u64>> {
    ready.sort_unstable();
    let ready = ready.into_iter().map(GlobalIndex);
    let firsts: Vec<_> = Groups::new(ready, size)
        .take(groups.unwrap_or(usize::MAX))
        .collect();
    let members = |first: GlobalIndex| (0..size as u64).map(move |offset| first.0 + offset);
    groups
        .is_none_or(|groups| firsts.len() == groups)
        .then(|| firsts.into_iter().flat_map(members).collect())
}

/// Positions of `lengths` in `parts` parts of even sums; see `get_seqlen_balanced_partitions`.
#[pyfunction]
pub(crate) fn balanced_partitions(
    py: Python<'_>,
    lengths: Vec<f64>,
    parts: usize,
    equal_size: bool,
) -> PyResult<Vec<Vec<usize>>> {
    sampler::balanced_partitions(&lengths, parts, equal_size).or_raise(py)
}

/// Positions of `lengths` for each rank, or `None` where they do not close a batch; see
/// `StreamingTokenBudgetSampler`. A rank takes at most `budget` in sum and `most` lengths.
#[pyfunction]
pub(crate) fn pack_lengths(
    lengths: Vec<f64>,
    ranks: usize,
    budget: f64,
    most: usize,
) -> Option<Vec<Vec<usize>>> {
    sampler::pack(&lengths, ranks, budget, most)
}
