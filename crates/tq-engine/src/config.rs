//! Settings of the embedded engine.

use crate::units::PlacementPolicy;

/// Settings of the embedded engine; sizes in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EmbeddedConfig {
    /// The most samples that may be stored; no limit where `None`.
    pub max_samples: Option<u64>,
    /// The most bytes that payload may take.
    pub capacity_bytes: u64,
    /// Size of a shared-memory segment.
    pub segment_bytes: u64,
    /// Free memory that is kept resident, so that the next batch finds warm pages.
    pub retain_bytes: u64,
    /// The most threads one call copies with, its own among them.
    pub threads: usize,
    /// Whether batches go to other storage units wherever one has room, and this one takes only
    /// those that come along with their call.
    pub small_batches_only: bool,
    /// Which storage unit a batch goes to, where there are several.
    pub placement: PlacementPolicy,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self {
            max_samples: None,
            capacity_bytes: u64::MAX,
            segment_bytes: 1 << 30,
            retain_bytes: 4 << 30,
            threads: std::thread::available_parallelism()
                .map_or(1, usize::from)
                .min(8),
            small_batches_only: false,
            placement: PlacementPolicy::default(),
        }
    }
}
