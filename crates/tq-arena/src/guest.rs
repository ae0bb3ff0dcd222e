//! The arena of a process that reads and writes the segments of another one on the same host.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::error::{AttachError, GrantError};
use crate::grants::{Contradiction, Grants};
use crate::remote::{Attached, RemoteHold};
use crate::segment::Segment;
use crate::shared::{Place, Shared};
use crate::sync::{Mutex, lock};
use crate::{Arena, Lease, RemoteLoan};

/// Segments of one other process, mapped here. Clones are the same arena.
///
/// The other process, the *host*, owns the memory and says what may be read and written; see the
/// crate's documentation for who vouches for what. Segments go by the host's numbers in every call
/// here. The leases themselves name segments by numbers of this process, so those of several hosts,
/// and of arenas of this process, are never taken for each other.
#[derive(Debug, Clone)]
pub struct GuestArena {
    arena: Arena,
    /// By the host's numbers. Held for look-ups only, not while a file is mapped.
    pub(crate) attached: Arc<Mutex<BTreeMap<u32, Arc<Attached>>>>,
}

impl Default for GuestArena {
    fn default() -> Self {
        Self::new()
    }
}

impl GuestArena {
    /// An arena without segments yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            arena: Arena::over(Shared::guest()),
            attached: Arc::default(),
        }
    }

    /// The arena that views of leases of this one are asked of. It gives no loans, and of its usage
    /// only segments and live views are counted.
    #[must_use]
    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Maps the host's segment number `segment`, once; again with the same file does nothing.
    /// `len` is what the host says of the length of `file`.
    ///
    /// # Errors
    /// See [`AttachError`]; nothing is mapped then.
    pub fn attach(&self, segment: u32, file: OwnedFd, len: u64) -> Result<(), AttachError> {
        self.attach_of(segment, file, Some(len))
    }

    /// The same with a file that another program made, whose length nobody has announced.
    pub(crate) fn attach_whole(&self, segment: u32, file: OwnedFd) -> Result<(), AttachError> {
        self.attach_of(segment, file, None)
    }

    fn attach_of(
        &self,
        segment: u32,
        file: OwnedFd,
        announced: Option<u64>,
    ) -> Result<(), AttachError> {
        if self.shared().birthplace.is_foreign() {
            return Err(AttachError::ForeignProcess);
        }
        let refused = |source| AttachError::Refused { segment, source };
        let attached = Segment::attach(file, announced.is_some()).map_err(refused)?;
        let found = attached.len();
        if let Some(announced) = announced.filter(|announced| *announced != found) {
            return Err(AttachError::Length {
                segment,
                announced,
                found,
            });
        }
        let same_file = |old: &Attached| old.segment.shared().is_same_file(attached.shared());
        match lock(&self.attached).entry(segment) {
            Entry::Occupied(old) if same_file(old.get()).map_err(refused)? => return Ok(()),
            Entry::Occupied(_) => return Err(AttachError::Taken { segment }),
            Entry::Vacant(free) => {
                let attached = Arc::new(attached);
                self.shared().adopt(&attached);
                free.insert(Arc::new(Attached {
                    grants: Mutex::new(Grants::new(attached.id(), found)),
                    segment: attached,
                }));
            }
        }
        Ok(())
    }

    /// Forgets a segment that the host has given back to the system; it stays mapped as long as
    /// there are leases on it. False where it was not attached.
    pub fn detach(&self, segment: u32) -> bool {
        if self.shared().birthplace.is_foreign() {
            return false;
        }
        let gone = lock(&self.attached).remove(&segment);
        if let Some(gone) = &gone {
            self.shared().disown(gone.segment.id());
        }
        // Unmapping may take long, so not under the lock.
        gone.is_some()
    }

    /// Whether the host's segment number `segment` is attached, so that its file need not be asked
    /// for.
    #[must_use]
    pub fn is_attached(&self, segment: u32) -> bool {
        self.find(segment).is_ok()
    }

    /// A lease on `len` bytes that the host holds leased for this process until `release` is run.
    ///
    /// That happens exactly once, on whatever thread, when the last clone of the lease and the last
    /// view of it are gone and what was written in views is reverted. No lock of this crate is held
    /// meanwhile. In a forked child it never runs; on an error it is dropped without being run. Where
    /// it panics, that is logged and goes no further.
    ///
    /// # Errors
    /// See [`GrantError`].
    pub fn lease_remote(
        &self,
        segment: u32,
        offset: u64,
        len: u64,
        release: Box<dyn FnOnce() + Send>,
    ) -> Result<Lease, GrantError> {
        let attached = self.find(segment)?;
        let reading = lock(&attached.grants).read(offset, len);
        let reading = reading.map_err(|found| refusal(&attached, segment, (offset, len), found))?;
        let hold = RemoteHold::new(reading, self.place(&attached), attached, release);
        Ok(Lease::remote(Arc::new(hold)))
    }

    /// `len` bytes that the host has loaned to this process, to write.
    ///
    /// # Errors
    /// See [`GrantError`].
    pub fn write_remote(
        &self,
        segment: u32,
        offset: u64,
        len: u64,
    ) -> Result<RemoteLoan, GrantError> {
        let attached = self.find(segment)?;
        let piece = lock(&attached.grants).write(offset, len);
        let piece = piece.map_err(|found| refusal(&attached, segment, (offset, len), found))?;
        Ok(RemoteLoan::new(piece, self.place(&attached), attached))
    }

    fn find(&self, segment: u32) -> Result<Arc<Attached>, GrantError> {
        if self.shared().birthplace.is_foreign() {
            return Err(GrantError::ForeignProcess);
        }
        let attached = lock(&self.attached).get(&segment).cloned();
        attached.ok_or(GrantError::UnknownSegment { segment })
    }

    fn place(&self, attached: &Attached) -> Place {
        Place {
            segment: Arc::clone(&attached.segment),
            shared: Arc::clone(self.shared()),
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        self.arena.shared()
    }
}

fn refusal(
    attached: &Attached,
    segment: u32,
    (offset, len): (u64, u64),
    found: Contradiction,
) -> GrantError {
    match found {
        Contradiction::Outside => GrantError::OutOfBounds {
            segment,
            offset,
            len,
            held: attached.segment.len(),
        },
        Contradiction::Shared => GrantError::InUse {
            segment,
            offset,
            len,
        },
    }
}
