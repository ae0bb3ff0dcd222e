//! Names and numbers by which samples are addressed.

use std::fmt;
use std::sync::Arc;

/// Name of a partition: a set of samples with a status of its own, such as one train step.
pub type PartitionId = Arc<str>;
/// Name of a field (one column), such as `prompt_ids`.
pub type FieldName = Arc<str>;
/// A user's own name for a sample, unique within its partition.
pub type Key = Arc<str>;
/// Name of a consumer; each task consumes on its own.
pub type TaskName = Arc<str>;

/// Number of a sample, unique over all partitions of a controller and never handed out twice, so
/// that a stale holder can miss its sample but never hit a stranger's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct GlobalIndex(pub u64);

/// Number of a storage unit in its cluster, never handed out twice by one controller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[repr(transparent)]
pub struct UnitId(pub u32);

impl UnitId {
    /// The unit in the controller's own process.
    pub const HOME: Self = Self(0);
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for GlobalIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Display for GlobalIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
