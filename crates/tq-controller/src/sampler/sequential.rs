//! The oldest samples.

use tq_proto::GlobalIndex;

/// The first `batch_size` of `ready`, or `None` where there are fewer.
pub(super) fn oldest(
    ready: impl Iterator<Item = GlobalIndex>,
    batch_size: usize,
) -> Option<Vec<GlobalIndex>> {
    let samples: Vec<_> = ready.take(batch_size).collect();
    (samples.len() == batch_size).then_some(samples)
}
