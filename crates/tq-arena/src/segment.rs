//! A segment: its shared bytes, its kept private mapping, and which pages of that are busy.

use std::io;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;

use crate::busy::{Admission, BusyRanges, Claim};
use crate::lease::Lease;
use crate::mapping::{PrivateMap, Scanner, SharedMap};
use crate::sync::{Condvar, Mutex, lock, wait};

/// Segments are rounded up to this, the size of a huge page.
const GRAIN: u64 = 2 << 20;

/// Numbers of segments. Of the whole process, so that an extent of one arena is never taken for one
/// of another. Not behind the `sync` door: it orders nothing, and loom's atomics cannot be static.
static NEXT_ID: AtomicU32 = AtomicU32::new(0);

#[derive(Debug)]
pub(crate) struct Segment {
    shared: SharedMap,
    len: u64,
    /// Made at the first view and kept: mapping afresh per view would cost a fault per page.
    private: OnceLock<PrivateMap>,
    /// The leases of a view that is gone stay here until its pages are clean.
    busy: Mutex<BusyRanges<Vec<Lease>>>,
    /// Notified, with `busy` locked, whenever a claimed range is finished.
    finished: Condvar,
}

impl Segment {
    /// A segment of at least `bytes` bytes. Costs address space only, until it is written.
    pub(crate) fn create(bytes: u64) -> io::Result<Self> {
        let len = bytes
            .checked_next_multiple_of(GRAIN)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let id = NEXT_ID.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let shared = SharedMap::create(id, len)?;
        let busy = Mutex::new(BusyRanges::default());
        Ok(Self {
            shared,
            len,
            private: OnceLock::new(),
            busy,
            finished: Condvar::new(),
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.shared.id()
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn shared(&self) -> &SharedMap {
        &self.shared
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

    /// Reverts the range at `start`, unless somebody else did or does.
    pub(crate) fn revert_at(&self, start: u64, scanner: &Scanner) {
        let claim = lock(&self.busy).claim(start);
        self.revert(claim.into_iter().collect(), scanner);
    }

    /// Gives up the leases of the waiting range at `start` without a revert: for an arena that is
    /// closed, where no view of it can be asked for any more.
    pub(crate) fn release_at(&self, start: u64) {
        let claim = lock(&self.busy).claim(start);
        drop(claim);
    }

    /// [`Segment::release_at`] for every waiting range.
    pub(crate) fn release_all(&self) {
        let claims = lock(&self.busy).claim_all();
        drop(claims);
    }

    fn revert(&self, claims: Vec<Claim<Vec<Lease>>>, scanner: &Scanner) {
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
            // Only now, and outside the lock: the last lease may free the bytes.
            drop(kept);
        }
    }

    fn revert_pages(&self, range: &Range<u64>, scanner: &Scanner) -> io::Result<()> {
        let map = self.private()?;
        match scanner.revert(map, range.clone()) {
            Ok(_bytes) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, segment = self.id(), "no scan; dropping all private pages");
                map.revert(range.clone())
            }
        }
    }
}
