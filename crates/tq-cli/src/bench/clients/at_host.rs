//! What the engine says of its guests, and what the system says of its process where it is of this host.

use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::net::sockopt::socket_peercred;
use tq_client::Engine;
use tq_wire::address::Address;

use crate::files;
use crate::memory;

/// How often it is asked whether all have left.
const PAUSE: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct AtHost<'a> {
    engine: &'a Engine,
    /// Of our guests.
    name: String,
    process: Option<u32>,
}

impl<'a> AtHost<'a> {
    pub(super) fn new(engine: &'a Engine, address: &str, name: String) -> Self {
        Self {
            engine,
            name,
            process: process_at(address),
        }
    }

    /// The engine's process; `None` where it is of another host.
    pub(super) fn process(&self) -> Option<u32> {
        self.process
    }

    /// Bytes that are its own, without payload.
    pub(super) fn memory(&self) -> Option<u64> {
        self.process.and_then(memory::private_of)
    }

    pub(super) fn files(&self) -> Option<u64> {
        self.process.and_then(files::open_in)
    }

    /// The sessions of our guests.
    pub(super) fn guests(&self) -> Result<BTreeSet<u64>> {
        let Engine::There(remote) = self.engine else {
            return Ok(BTreeSet::new());
        };
        let guests = remote.overview()?.guests.into_iter();
        let ours = guests.filter(|guest| guest.name == self.name);
        Ok(ours.map(|guest| guest.session).collect())
    }

    /// Waits until they have left; how many have not.
    pub(super) fn left_within(&self, limit: Duration) -> Result<u64> {
        let deadline = Instant::now() + limit;
        loop {
            let left = self.guests()?.len() as u64;
            if left == 0 || Instant::now() >= deadline {
                return Ok(left);
            }
            // The engine tells nobody when a guest has left.
            thread::park_timeout(PAUSE);
        }
    }
}

/// Who listens at a Unix address.
fn process_at(address: &str) -> Option<u32> {
    let Ok(Address::Unix(address)) = Address::parse(address) else {
        return None;
    };
    let stream = UnixStream::connect(address.calls()).ok()?;
    let peer = socket_peercred(stream).ok()?;
    u32::try_from(peer.pid.as_raw_nonzero().get()).ok()
}
