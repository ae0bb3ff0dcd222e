//! Holds on memory that another process owns and granted to this one.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use crate::extent::ExtentId;
use crate::grants::{Grants, Reading};
use crate::mapping::SharedMap;
use crate::piece::Piece;
use crate::segment::Segment;
use crate::shared::Place;
use crate::sync::{Mutex, lock};

/// Tells the owner of the memory that a lease on it has ended.
pub(crate) type Release = Box<dyn FnOnce() + Send>;

/// A segment of another process, and what this one holds of it.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) segment: Arc<Segment>,
    /// Held for a look and a change, never while anything else runs.
    pub(crate) grants: Mutex<Grants>,
}

/// What a lease on remote memory and its clones have in common.
pub(crate) struct RemoteHold {
    pub(crate) id: ExtentId,
    pub(crate) place: Place,
    attached: Arc<Attached>,
    /// `None` only on the way out of `drop`.
    reading: Option<Reading>,
    /// Locked only so that leases can be shared between threads; `drop` alone looks inside.
    release: Mutex<Option<Release>>,
}

impl RemoteHold {
    pub(crate) fn new(
        reading: Reading,
        place: Place,
        attached: Arc<Attached>,
        release: Release,
    ) -> Self {
        let piece = reading.piece();
        let id = ExtentId {
            segment: piece.segment(),
            offset: piece.offset(),
            len: piece.len(),
            generation: 0,
        };
        Self {
            id,
            place,
            attached,
            reading: Some(reading),
            release: Mutex::new(Some(release)),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.reading {
            Some(reading) => self.map().bytes(reading.piece(), self.id.len),
            None => &[],
        }
    }

    fn map(&self) -> &SharedMap {
        self.place.segment.shared()
    }
}

impl fmt::Debug for RemoteHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteHold")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Drop for RemoteHold {
    fn drop(&mut self) {
        if self.place.shared.birthplace.is_foreign() {
            // `get_mut`, as no thread of this process will ever release a lock held at the fork.
            let release = self.release.get_mut();
            std::mem::forget(release.unwrap_or_else(PoisonError::into_inner).take());
            std::mem::forget(Arc::clone(&self.attached));
            return std::mem::forget(self.place.clone());
        }
        // First: once it is told, the owner may grant these bytes to a writer of this process.
        if let Some(reading) = self.reading.take() {
            lock(&self.attached.grants).end_read(reading);
        }
        let release = lock(&self.release).take();
        if let Some(release) = release
            && catch_unwind(AssertUnwindSafe(release)).is_err()
        {
            // A panic here would end the thread that reverts views, or a drop during a panic.
            tracing::error!(id = %self.id, "the release of a lease panicked; its owner may wait");
        }
    }
}

/// Memory of another process that it loaned to this one: exclusive, writable, read by nobody.
///
/// What becomes of the bytes is agreed with that process; drop this before telling it that they
/// are written.
#[derive(Debug)]
pub struct RemoteLoan {
    /// `None` only on the way out of `drop`.
    piece: Option<Piece>,
    place: Place,
    attached: Arc<Attached>,
}

impl RemoteLoan {
    pub(crate) fn new(piece: Piece, place: Place, attached: Arc<Attached>) -> Self {
        Self {
            piece: Some(piece),
            place,
            attached,
        }
    }

    /// Bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.piece.as_ref().map_or(0, Piece::len)
    }

    /// Whether it is of no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, to write. What they hold before is unspecified.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        match &mut self.piece {
            Some(piece) => {
                let len = piece.len();
                self.place.segment.shared().bytes_mut(piece, len)
            }
            None => &mut [],
        }
    }
}

impl Drop for RemoteLoan {
    fn drop(&mut self) {
        if self.place.shared.birthplace.is_foreign() {
            std::mem::forget(Arc::clone(&self.attached));
            return std::mem::forget(self.place.clone());
        }
        if let Some(piece) = self.piece.take() {
            lock(&self.attached.grants).end_write(piece);
        }
    }
}
