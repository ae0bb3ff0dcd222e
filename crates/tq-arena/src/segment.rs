//! A segment: its shared bytes, its kept private mapping, and which pages of that are busy.

use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;

use crate::busy::{Admission, BusyRanges, Claim};
use crate::chunks::{CHUNK, Twice};
use crate::lease::Lease;
use crate::mapping::{PrivateMap, Scanner, SharedMap};
use crate::piece::Piece;
use crate::sync::{Condvar, Mutex, lock, wait};

/// Numbers of segments. Of the whole process, so that an extent of one arena is never taken for one
/// of another. Not behind the `sync` door: it orders nothing, and loom's atomics cannot be static.
static NEXT_ID: AtomicU32 = AtomicU32::new(0);

fn next_id() -> u32 {
    NEXT_ID.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

#[derive(Debug)]
pub(crate) struct Segment {
    shared: SharedMap,
    /// Made at the first view and kept: mapping afresh per view would cost a fault per page.
    private: OnceLock<PrivateMap>,
    /// The leases of a view that is gone stay here until its pages are clean.
    busy: Mutex<BusyRanges<Vec<Lease>>>,
    /// Chunks that views were reverted in, since the first one that was written to; `None` before.
    written: Mutex<Option<Twice>>,
    /// Notified, with `busy` locked, whenever a claimed range is finished.
    finished: Condvar,
}

impl Segment {
    /// A segment of at least `bytes` bytes. Costs address space only, until it is written.
    pub(crate) fn create(bytes: u64) -> io::Result<Self> {
        let len = bytes
            .checked_next_multiple_of(CHUNK)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self::over(SharedMap::create(next_id(), len)?))
    }

    /// A segment of another process, by its memory file, under a number of this process. `is_ours`:
    /// whether an arena made the file.
    pub(crate) fn attach(file: OwnedFd, is_ours: bool) -> io::Result<Self> {
        Ok(Self::over(SharedMap::attach(next_id(), file, is_ours)?))
    }

    fn over(shared: SharedMap) -> Self {
        Self {
            shared,
            private: OnceLock::new(),
            busy: Mutex::new(BusyRanges::default()),
            written: Mutex::new(None),
            finished: Condvar::new(),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.shared.id()
    }

    pub(crate) fn len(&self) -> u64 {
        self.shared.len()
    }

    pub(crate) fn shared(&self) -> &SharedMap {
        &self.shared
    }

    /// Gives the pages of a free piece back to the system.
    pub(crate) fn punch(&self, piece: &mut Piece) {
        if let Err(error) = self.shared.punch(piece) {
            tracing::warn!(%error, ?piece, "free memory stays resident");
        }
    }

    /// The private mapping, made if need be.
    pub(crate) fn private(&self) -> io::Result<&PrivateMap> {
        if let Some(map) = self.private.get() {
            return Ok(map);
        }
        // Two threads may both map; the loser's mapping goes at once, before anyone saw it.
        let map = self.shared.private()?;
        Ok(self.private.get_or_init(|| map))
    }

    /// The address of `len` private bytes at `offset`; `None` before the first
    /// [`Segment::private`].
    pub(crate) fn private_at(&self, offset: u64, len: u64) -> Option<*mut u8> {
        Some(self.private.get()?.at(offset, len))
    }

    /// Makes a page range live for a view, after reverting what waits in it. False when it is busy.
    pub(crate) fn admit(&self, range: &Range<u64>, scanner: &Scanner) -> bool {
        let mut busy = lock(&self.busy);
        loop {
            match busy.admit(range.clone()) {
                Admission::Granted => return true,
                Admission::Busy => return false,
                Admission::Wait => busy = wait(&self.finished, busy),
                Admission::RevertFirst(claims) => {
                    drop(busy);
                    self.revert(claims, scanner);
                    busy = lock(&self.busy);
                }
            }
        }
    }

    /// The view of the live range at `start` is gone; its leases stay until the range is reverted.
    pub(crate) fn park(&self, start: u64, leases: Vec<Lease>) {
        lock(&self.busy).park(start, leases);
    }

    /// Reverts the range at `start`, unless somebody else did or does; returns the range.
    pub(crate) fn revert_at(&self, start: u64, scanner: &Scanner) -> Option<Range<u64>> {
        let claim = lock(&self.busy).claim(start)?;
        let range = claim.range.clone();
        self.revert(vec![claim], scanner);
        Some(range)
    }

    /// The chunks of a reverted range whose private mapping is worth being put together: those that
    /// come back for the second time, as by then the pages themselves mostly were. None in a segment
    /// that no view was written to, where the system maps huge pages by itself.
    pub(crate) fn to_map_whole(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let mut written = lock(&self.written);
        let twice = written.as_mut();
        twice.map_or_else(Vec::new, |twice| twice.take_second(range))
    }

    /// Maps a chunk of the private mapping whole, if it can be.
    pub(crate) fn map_whole(&self, chunk: Range<u64>) {
        if let Some(map) = self.private.get()
            && let Err(error) = map.collapse(chunk.clone())
        {
            tracing::debug!(%error, segment = self.id(), ?chunk, "a view's pages stay small");
        }
    }

    /// Gives up the leases of the waiting range at `start` without a revert: for an arena that is
    /// closed, where no view of it can be asked for any more.
    pub(crate) fn release_at(&self, start: u64) {
        let claim = lock(&self.busy).claim(start);
        drop(claim);
    }

    fn revert(&self, claims: Vec<Claim<Vec<Lease>>>, scanner: &Scanner) {
        // Dropped at the end, when no lock is held and nothing is claimed: the last lease frees the
        // bytes, or runs the release it came with.
        let mut done = Vec::with_capacity(claims.len());
        for claim in claims {
            let Claim { range, kept } = claim;
            let reverted = self.revert_pages(&range, scanner);
            if let Err(error) = &reverted {
                tracing::error!(
                    %error, segment = self.id(), start = range.start, end = range.end,
                    "pages of a view were not reverted; gets of these bytes are copied from now on"
                );
            }
            lock(&self.busy).finish(range.start, reverted.is_ok());
            self.finished.notify_all();
            done.push(kept);
        }
    }

    fn revert_pages(&self, range: &Range<u64>, scanner: &Scanner) -> io::Result<()> {
        let map = self.private()?;
        match scanner.revert(map, range.clone()) {
            Ok(0) => Ok(()),
            Ok(_bytes) => {
                let twice = || Twice::of(self.len());
                lock(&self.written).get_or_insert_with(twice);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, segment = self.id(), "no scan; dropping all private pages");
                map.revert(range.clone())
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::mapping::page_bytes;
    use crate::{Arena, ArenaConfig, GuestArena};

    #[test]
    fn a_release_may_want_pages_that_were_claimed_along_with_its_own() {
        let Some(scanner) = Scanner::open().map(std::sync::Arc::new) else {
            return;
        };
        let host = Arena::new(ArenaConfig::default()).unwrap();
        let page = page_bytes();
        let loan = host.loan(2 * page).unwrap();
        let file = host.segment_file(loan.range().segment).unwrap();
        let segment = std::sync::Arc::new(Segment::attach(file.file, true).unwrap());
        let guest = GuestArena::new();
        let file = host.segment_file(loan.range().segment).unwrap();
        guest.attach(0, file.file, file.len).unwrap();
        for at in [0, page] {
            assert!(segment.admit(&(at..at + page), &scanner));
            let (again, by) = (segment.clone(), scanner.clone());
            // In the end each wants the other's page, whose revert may not be waited for.
            let release = Box::new(move || {
                let other = page - at..2 * page - at;
                assert!(again.admit(&other, &by));
            });
            let lease = guest.lease_remote(0, at, page, release).unwrap();
            segment.park(at, vec![lease]);
        }
        let claims = {
            let mut busy = lock(&segment.busy);
            [0, page].map(|at| busy.claim(at).unwrap()).into()
        };
        segment.revert(claims, &scanner);
        assert!(
            !segment.admit(&(0..2 * page), &scanner),
            "both were granted"
        );
    }
}
