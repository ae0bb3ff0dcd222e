//! Puts pages that are in use together into huge ones: `MADV_COLLAPSE` (Linux 6.1).
//!
//! It heeds neither `enabled` nor `shmem_enabled` below `/sys/kernel/mm/transparent_hugepage`, but
//! for `deny` in the latter; see `Documentation/admin-guide/mm/transhuge.rst` of the kernel.

use std::io;
use std::ops::Range;

use super::{Mapped, PrivateMap, SharedMap};
use crate::chunks::CHUNK;

impl SharedMap {
    /// Moves the pages of one chunk into a huge page, which this mapping and the others of the file
    /// then map at once. Whoever reads or writes there meanwhile waits, for about a millisecond, and
    /// sees the same bytes before and after.
    ///
    /// # Errors
    /// Those of the system: no page of the chunk is resident, no huge page is free, or somebody
    /// holds on to a page. All stays as it was.
    pub(crate) fn collapse(&self, chunk: Range<u64>) -> io::Result<()> {
        collapse(&self.mapped, chunk)
    }
}

impl PrivateMap {
    /// Maps a chunk of the file that is a huge page as one, where this mapping has small pages from
    /// before it was. The system does so by itself, but not for a mapping that was ever written to.
    ///
    /// # Errors
    /// Those of the system, as where a page is private. All stays as it was.
    pub(crate) fn collapse(&self, chunk: Range<u64>) -> io::Result<()> {
        collapse(&self.0, chunk)
    }
}

fn collapse(mapped: &Mapped, chunk: Range<u64>) -> io::Result<()> {
    let len = chunk.end - chunk.start;
    let start = mapped.at(chunk.start, len);
    // SAFETY: the range lies inside the mapping, and the advice changes nothing that its bytes say,
    // not even while they are written.
    match unsafe { libc::madvise(start.cast(), len as usize, libc::MADV_COLLAPSE) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether this system can do it, and its huge pages are of [`CHUNK`] bytes: tried out on one.
pub(crate) fn can_collapse() -> bool {
    match try_out() {
        Ok(()) => true,
        Err(error) => {
            tracing::debug!(%error, "this system puts no pages together");
            false
        }
    }
}

fn try_out() -> io::Result<()> {
    let (shared, mut piece) = SharedMap::for_trial(CHUNK)?;
    shared.bytes_mut(&mut piece, 1).fill(1);
    shared.collapse(0..CHUNK)
}
