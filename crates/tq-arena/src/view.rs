//! Private, writable views of committed bytes.

use std::ops::Range;
use std::sync::Arc;

use crate::Lease;
use crate::error::ViewError;
use crate::keeper::Keeper;
use crate::mapping::page_bytes;
use crate::shared::{Place, Shared};
use crate::sync::Ordering;

/// A private writable view of committed bytes, for code that wants plain memory (tensors). It costs
/// no copy: only pages that are written are copied, by the kernel, and writes never reach what is
/// stored.
///
/// The memory stays valid as long as the view. Dropping it is cheap, and allowed on any thread and
/// in a forked child; what was written is dropped in the background.
#[derive(Debug)]
pub struct View {
    /// Empty only on the way out of `drop`.
    leases: Vec<Lease>,
    place: Place,
    /// First byte, from the start of the segment.
    offset: u64,
    len: u64,
    /// Start of its busy page range; `None` for a view of no bytes.
    busy: Option<u64>,
}

impl View {
    /// As [`crate::Arena::view`], of whatever arena the leases are of.
    ///
    /// # Errors
    /// As there.
    pub fn of(leases: Vec<Lease>, offset: u64, len: u64) -> Result<Self, ViewError> {
        let shared = match leases.first() {
            Some(lease) => Arc::clone(&lease.place().shared),
            None => return Err(ViewError::NotAdjacent { position: 0 }),
        };
        if shared.birthplace.is_foreign() {
            return Err(ViewError::Unsupported);
        }
        Self::open(&shared, leases, offset, len)
    }

    /// See [`crate::Arena::view`].
    pub(crate) fn open(
        shared: &Arc<Shared>,
        mut leases: Vec<Lease>,
        offset: u64,
        len: u64,
    ) -> Result<Self, ViewError> {
        let whole = span(shared, &leases)?;
        let held = whole.end - whole.start;
        if offset.checked_add(len).is_none_or(|end| end > held) {
            return Err(ViewError::OutOfBounds { offset, len, held });
        }
        let Some(place) = leases.first().map(|lease| lease.place().clone()) else {
            return Err(ViewError::NotAdjacent { position: 0 });
        };
        let scanner = shared.scanner().ok_or(ViewError::Unsupported)?;
        let segment = place.segment.id();
        let system = |source| ViewError::System { segment, source };
        place.segment.private().map_err(system)?;
        Keeper::start(shared).map_err(system)?;

        let bytes = whole.start + offset..whole.start + offset + len;
        let mut busy = None;
        if len > 0 {
            let pages = pages_of(&bytes);
            if !place.segment.admit(&pages, scanner) {
                return Err(ViewError::Busy {
                    segment,
                    offset: bytes.start,
                    end: bytes.end,
                });
            }
            busy = Some(pages.start);
            // Extents outside the view need not wait for its end.
            leases.retain(|lease| {
                let id = lease.id();
                id.offset < bytes.end && id.offset + id.len > bytes.start
            });
        }
        shared.live_views.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            leases,
            place,
            offset: bytes.start,
            len,
            busy,
        })
    }

    /// Bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it holds no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first byte; valid for reads and writes of [`View::len`] bytes while the view lives. Who
    /// writes on one thread and reads on another must synchronise, as with any memory.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        match self.place.segment.private_at(self.offset, self.len) {
            Some(address) if self.len > 0 => address,
            _ => std::ptr::dangling_mut(),
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let leases = std::mem::take(&mut self.leases);
        let Place { segment, shared } = &self.place;
        if shared.birthplace.is_foreign() {
            // The leases too: dropping them could want a lock that no thread here will ever
            // release.
            std::mem::forget(leases);
            return std::mem::forget(self.place.clone());
        }
        shared.live_views.fetch_sub(1, Ordering::Relaxed);
        let Some(start) = self.busy else { return };
        segment.park(start, leases);
        if !shared.keeper.ask_revert(Arc::clone(segment), start) {
            segment.release_at(start);
        }
    }
}

/// The bytes of leases that lie end to end in one segment of `shared`.
fn span(shared: &Arc<Shared>, leases: &[Lease]) -> Result<Range<u64>, ViewError> {
    let mut span: Option<(u32, Range<u64>)> = None;
    for (position, lease) in leases.iter().enumerate() {
        let id = lease.id();
        let continues = span
            .as_ref()
            .is_none_or(|(segment, bytes)| *segment == id.segment && bytes.end == id.offset);
        if !continues || !Arc::ptr_eq(&lease.place().shared, shared) {
            return Err(ViewError::NotAdjacent { position });
        }
        let start = span.map_or(id.offset, |(_, bytes)| bytes.start);
        span = Some((id.segment, start..id.offset + id.len));
    }
    span.map(|(_, bytes)| bytes)
        .ok_or(ViewError::NotAdjacent { position: 0 })
}

/// The whole pages around a byte range.
fn pages_of(bytes: &Range<u64>) -> Range<u64> {
    let page = page_bytes();
    bytes.start / page * page..bytes.end.next_multiple_of(page)
}
