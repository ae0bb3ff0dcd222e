//! Segments of the host that are mapped here, and the connection that keeps them ours.
//!
//! The host takes the end of the connection to its door for the end of every mapping here. So each
//! lease holds the tether, which holds the connection: also when calls are no longer possible, what
//! was read stays as it was.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tq_arena::{GuestArena, Lease, RemoteLoan, SegmentRange};
use tq_proto::{Error, ErrorKind, Result};
use tq_wire::address::{UnixAddress, check_peer, own_user};
use tq_wire::door;

use crate::chores::Chores;

#[derive(Debug)]
pub(crate) struct Tether {
    pub(crate) arena: GuestArena,
    pub(crate) chores: Arc<Chores>,
    session: u64,
    address: UnixAddress,
    deadline: Duration,
    door: Mutex<Door>,
    process: u32,
}

#[derive(Debug, Default)]
struct Door {
    /// Opened when the first segment is needed.
    connection: Option<UnixStream>,
    segments: BTreeSet<u32>,
}

/// A read that the host holds for us; released when the last lease of it is gone.
#[derive(Debug)]
pub(crate) struct ReadHold {
    tether: Arc<Tether>,
    number: u64,
}

impl Drop for ReadHold {
    fn drop(&mut self) {
        self.tether.chores.release(self.number);
    }
}

impl Tether {
    pub(crate) fn new(
        session: u64,
        address: UnixAddress,
        deadline: Duration,
        chores: Arc<Chores>,
    ) -> Self {
        Self {
            arena: GuestArena::new(),
            chores,
            session,
            address,
            deadline,
            door: Mutex::default(),
            process: std::process::id(),
        }
    }

    /// What the host holds as read `number`.
    pub(crate) fn hold(self: &Arc<Self>, number: u64) -> Arc<ReadHold> {
        Arc::new(ReadHold {
            tether: Arc::clone(self),
            number,
        })
    }

    /// A lease on bytes of a read that is held.
    pub(crate) fn lease(&self, range: SegmentRange, hold: &Arc<ReadHold>) -> Result<Lease> {
        self.attach(range.segment)?;
        let hold = Arc::clone(hold);
        let release = Box::new(move || drop(hold));
        self.arena
            .lease_remote(range.segment, range.offset, range.len, release)
            .map_err(refused)
    }

    /// Bytes that the host has loaned to us.
    pub(crate) fn write(&self, range: SegmentRange) -> Result<RemoteLoan> {
        self.attach(range.segment)?;
        self.arena
            .write_remote(range.segment, range.offset, range.len)
            .map_err(refused)
    }

    fn attach(&self, segment: u32) -> Result<()> {
        if self.arena.is_attached(segment) {
            return Ok(());
        }
        let mut door = self.lock();
        let (file, len) = self.ask(&mut door, segment)?.ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                format!("the host has no segment {segment} for this session; it may have ended"),
            )
        })?;
        self.arena.attach(segment, file, len).map_err(refused)?;
        door.segments.insert(segment);
        // The host says nothing when it gives a segment up, and one more is the time to ask: so no
        // more are kept for nothing than the host had at one time.
        for other in door.segments.clone() {
            if other != segment && self.ask(&mut door, other)?.is_none() {
                self.arena.detach(other);
                door.segments.remove(&other);
            }
        }
        Ok(())
    }

    fn ask(&self, door: &mut Door, segment: u32) -> Result<Option<(OwnedFd, u64)>> {
        let failed = |error: io::Error| {
            Error::new(
                ErrorKind::Unavailable,
                format!("the host at {} hands out no segments", self.address),
            )
            .caused_by(error)
        };
        let connection = match &mut door.connection {
            Some(connection) => connection,
            none => none.insert(self.connect().map_err(failed)?),
        };
        let answer = connection
            .write_all(&door::request(self.session, segment))
            .and_then(|()| door::receive(&*connection));
        answer.map_err(failed)
    }

    fn connect(&self) -> io::Result<UnixStream> {
        let connection = UnixStream::connect(self.address.segments())?;
        connection.set_read_timeout(Some(self.deadline))?;
        connection.set_write_timeout(Some(self.deadline))?;
        let peer = rustix::net::sockopt::socket_peercred(&connection)?;
        check_peer(peer.uid.as_raw(), own_user()).map_err(io::Error::other)?;
        Ok(connection)
    }

    fn lock(&self) -> MutexGuard<'_, Door> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Tether {
    fn drop(&mut self) {
        // A child that was forked has the connection too, but only this process may end it.
        if self.process != std::process::id() {
            return;
        }
        let door = self.door.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = &door.connection {
            // A host that is gone needs no telling.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(
        ErrorKind::Internal,
        "the host granted memory that cannot be used here; run the same version of \
         transferqueue-rs at both ends",
    )
    .caused_by(error)
}
