//! Committed byte ranges: their names, and the hold of their owner.

use std::fmt;
use std::sync::Arc;

use crate::Lease;
use crate::keeper::Keeper;
use crate::shared::PlacedHold;

/// Names a committed byte range. A plain value: holding one holds no memory, and a stale one is
/// refused by [`crate::Arena::lease`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExtentId {
    /// The segment; its number is never used again within the process. A segment of another process
    /// has a number of this one here.
    pub segment: u32,
    /// First byte, from the start of the segment.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// Never given twice within an arena; from 1 on. 0 for memory of another process.
    pub generation: u64,
}

/// A byte range of a segment, as it can be told to another process. A plain value: it holds no
/// memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentRange {
    /// The segment, as numbered by the process that owns it.
    pub segment: u32,
    /// First byte, from the start of the segment.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
}

impl ExtentId {
    /// Where the bytes lie.
    #[must_use]
    pub fn range(&self) -> SegmentRange {
        SegmentRange {
            segment: self.segment,
            offset: self.offset,
            len: self.len,
        }
    }
}

impl fmt::Display for ExtentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "extent of {} bytes at {} in segment {}, generation {}",
            self.len, self.offset, self.segment, self.generation
        )
    }
}

/// The owner's hold on committed bytes. Dropping it retires the extent: no new lease is granted,
/// and the memory is used again once the leases have gone.
#[derive(Debug)]
pub struct Extent {
    hold: Arc<PlacedHold>,
}

impl Extent {
    pub(crate) fn new(hold: Arc<PlacedHold>) -> Self {
        Self { hold }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> ExtentId {
        self.hold.id
    }

    /// Bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.hold.id.len
    }

    /// Whether it holds no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A hold for reading. Takes no lock.
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.hold.count.add_lease();
        Lease::counted(Arc::clone(&self.hold))
    }
}

impl Drop for Extent {
    fn drop(&mut self) {
        let shared = &self.hold.place.shared;
        if shared.birthplace.is_foreign() {
            return std::mem::forget(Arc::clone(&self.hold));
        }
        if shared.registry.retire(&self.hold) {
            Keeper::ask_care(shared);
        }
    }
}
