//! The arena: the handle that grants loans, leases and views.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::error::{ArenaError, LeaseError, LoanError, SegmentError, ViewError};
use crate::shared::{Place, Shared};
use crate::{ExtentId, Lease, Loan, View};

/// Settings of an [`Arena`]. All in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArenaConfig {
    /// Size of a segment; a loan near that size or larger gets one of several times it, with a
    /// quarter to spare. Segments are sparse: they cost address space only until they are written.
    /// Default 1 GiB.
    pub segment_bytes: u64,
    /// The most that loans, committed extents, and retired extents still under lease may take
    /// together, rounded as they are stored. Default: no limit.
    pub capacity_bytes: u64,
    /// How much free memory is kept resident for the next loans before the rest is given back to
    /// the system. Writing kept memory is several times faster than writing fresh memory. Default 4
    /// GiB.
    pub retain_bytes: u64,
}

impl Default for ArenaConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            capacity_bytes: u64::MAX,
            retain_bytes: 4 << 30,
        }
    }
}

/// How much of an arena is in use. Bytes unless said; rounded as they are stored: to 64, or to
/// whole pages from 64 KiB on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ArenaUsage {
    /// The limit on [`ArenaUsage::in_use`].
    pub capacity: u64,
    /// Being written.
    pub loaned: u64,
    /// Committed and owned.
    pub committed: u64,
    /// Retired by the owner and still under lease. A view that is gone counts until it is reverted.
    pub retired: u64,
    /// Free, and handed out before, so that the pages are likely resident.
    pub free_resident: u64,
    /// Number of segments mapped.
    pub segments: u64,
    /// Number of views alive.
    pub live_views: u64,
}

impl ArenaUsage {
    /// What counts against the capacity.
    #[must_use]
    pub fn in_use(&self) -> u64 {
        self.loaned + self.committed + self.retired
    }
}

/// The memory file of a segment.
#[derive(Debug)]
pub struct SegmentFile {
    /// A duplicate of its own; opened for reading and writing.
    pub file: OwnedFd,
    /// Its length in bytes.
    pub len: u64,
}

/// A handle on segments of shared memory. Clones are the same arena.
///
/// When the last handle goes, loans, extents, leases and views live on, each keeping its segment
/// mapped; the background thread ends. Dropping the last handle waits for that thread, so whoever
/// drops it must hold no lock that a subscriber of `tracing` needs. After `fork` an arena works in
/// the parent only: the child must make its own.
#[derive(Debug, Clone)]
pub struct Arena {
    handle: Arc<Handle>,
}

/// Closes the arena when the last clone of it goes.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.shared.birthplace.is_foreign() {
            return std::mem::forget(Arc::clone(&self.shared));
        }
        self.shared.close();
    }
}

impl Arena {
    /// An empty arena; the first loan makes the first segment.
    ///
    /// # Errors
    /// [`ArenaError::SegmentSize`] for a segment size of zero or beyond the address space.
    pub fn new(config: ArenaConfig) -> Result<Self, ArenaError> {
        let limit = 1 << 46;
        let found = config.segment_bytes;
        if found == 0 || found > limit {
            return Err(ArenaError::SegmentSize { found, limit });
        }
        Ok(Self::over(Shared::new(&config)))
    }

    pub(crate) fn over(shared: Shared) -> Self {
        Self {
            handle: Arc::new(Handle {
                shared: Arc::new(shared),
            }),
        }
    }

    /// Memory to write, starting on a page from 64 KiB on, on a multiple of 64 below. Zero bytes
    /// are allowed and take up 64.
    ///
    /// # Errors
    /// See [`LoanError`]; nothing is taken then.
    pub fn loan(&self, bytes: u64) -> Result<Loan, LoanError> {
        let shared = self.shared();
        if shared.birthplace.is_foreign() {
            return Err(LoanError::ForeignProcess);
        }
        if shared.is_guest {
            return Err(LoanError::Guest { asked: bytes });
        }
        let (piece, segment) = match shared.reserve(bytes) {
            // Memory that only waits for its revert is as good as free, and soon is.
            Err(LoanError::CapacityExceeded { .. }) if shared.keeper.settle() => {
                shared.reserve(bytes)?
            }
            reserved => reserved?,
        };
        Ok(Loan::new(
            piece,
            bytes,
            Place {
                segment,
                shared: Arc::clone(shared),
            },
        ))
    }

    /// A hold on a committed extent, for reading.
    ///
    /// # Errors
    /// [`LeaseError::Stale`] when the extent was retired, or the name is of another arena.
    pub fn lease(&self, id: ExtentId) -> Result<Lease, LeaseError> {
        let shared = self.shared();
        if shared.birthplace.is_foreign() {
            return Err(LeaseError::ForeignProcess);
        }
        let hold = shared
            .registry
            .lease(id)
            .ok_or(LeaseError::Stale { asked: id })?;
        Ok(Lease::counted(hold))
    }

    /// A private writable view of `len` bytes, from `offset` on, of extents that lie end to end in
    /// one segment. `offset` counts from the start of the first. The view keeps those leases it
    /// needs.
    ///
    /// Views share no pages: one is granted only where no other live view touches the same pages.
    /// Where an earlier view was dropped but its pages are not clean yet, they are cleaned first,
    /// here.
    ///
    /// # Errors
    /// See [`ViewError`]; for each of them a copy is the way out. The leases are dropped, so keep
    /// clones.
    pub fn view(&self, leases: Vec<Lease>, offset: u64, len: u64) -> Result<View, ViewError> {
        let shared = self.shared();
        if shared.birthplace.is_foreign() {
            return Err(ViewError::Unsupported);
        }
        View::open(shared, leases, offset, len)
    }

    /// The memory file of a segment, to be handed to another process of the same user, which may
    /// then map it ([`crate::GuestArena`]). The file cannot be resized.
    ///
    /// # Errors
    /// See [`SegmentError`].
    pub fn segment_file(&self, segment: u32) -> Result<SegmentFile, SegmentError> {
        let shared = self.shared();
        if shared.birthplace.is_foreign() {
            return Err(SegmentError::ForeignProcess);
        }
        let found = shared.segment(segment).filter(|_| !shared.is_guest);
        let found = found.ok_or(SegmentError::Unknown { asked: segment })?;
        let file = found.shared().file();
        let file = file.map_err(|source| SegmentError::System { segment, source })?;
        Ok(SegmentFile {
            file,
            len: found.len(),
        })
    }

    /// How much is in use. All zeros in a forked child.
    #[must_use]
    pub fn usage(&self) -> ArenaUsage {
        let shared = self.shared();
        if shared.birthplace.is_foreign() {
            ArenaUsage::default()
        } else {
            shared.usage()
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }
}
