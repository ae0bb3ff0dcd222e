//! The file that tells processes of this user where an engine is.
//!
//! ```text
//! <base>/announced       <process>:<address>\n   mode 0600
//! <base>/announced.lock  held (flock) by whoever writes or removes the other
//! ```
//!
//! `_rendezvous.py` of the Python package reads and writes the same.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};
use tq_wire::address::Address;

use crate::place;
use crate::signals::Signals;
use crate::whole_file;

/// How long whoever has the lock is waited for, and how often it is looked for.
const LOCK_LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// An engine that is announced. Dropping it withdraws that.
#[derive(Debug)]
pub(crate) struct Announced {
    address: String,
}

/// The address that is announced; `None` where there is none.
pub(crate) fn announced() -> Result<Option<String>> {
    match fs::read_to_string(file()?) {
        Ok(text) => Ok(address_in(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("the rendezvous file of this user cannot be read"),
    }
}

fn address_in(text: &str) -> Option<String> {
    let (_, address) = text.trim().split_once(':')?;
    (!address.is_empty()).then(|| address.to_owned())
}

fn file() -> Result<PathBuf> {
    Ok(place::base()?.join("announced"))
}

impl Announced {
    /// Announces the engine at `address`. `None` where another one is announced and lives: it stays,
    /// because processes may be about to join it.
    pub(crate) fn new(address: &str, signals: &mut Signals) -> Result<Option<Self>> {
        let deadline = Instant::now() + LOCK_LIMIT;
        let lock = loop {
            if let Some(lock) = try_lock()? {
                break lock;
            }
            if Instant::now() >= deadline {
                tracing::warn!(
                    "another process has been announcing an engine for {LOCK_LIMIT:?}; this one is \
                     not announced, and has to be named by its address"
                );
                return Ok(None);
            }
            // A signal waits until the engine is up and is to be stopped.
            signals.pause(PAUSE);
        };
        if let Some(other) = announced()?.filter(|other| other != address && lives(other)) {
            tracing::warn!(
                other,
                "another engine is announced to the processes of this user; this one has to be \
                 named by its address"
            );
            return Ok(None);
        }
        let file = file()?;
        whole_file::replace(&file, &format!("{}:{address}\n", process::id()))
            .with_context(|| format!("{} cannot be written", file.display()))?;
        drop(lock);
        Ok(Some(Self {
            address: address.to_owned(),
        }))
    }

    fn withdraw(&self) -> Result<()> {
        let file = file()?;
        // Who holds the lock is about to announce another engine, or removes the file itself.
        let _lock = try_lock()?;
        if announced()?.as_ref() == Some(&self.address) {
            fs::remove_file(file)?;
        }
        Ok(())
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        if let Err(error) = self.withdraw() {
            // Harmless: whoever reads it finds nobody there.
            tracing::warn!(%error, "the rendezvous file was not removed");
        }
    }
}

/// The lock, which ends when it is dropped; `None` where somebody else has it.
fn try_lock() -> Result<Option<File>> {
    let path = file()?.with_file_name("announced.lock");
    let lock = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("{} cannot be opened", path.display()))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(lock)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be locked", path.display())),
    }
}

/// Whether somebody listens at a Unix address.
fn lives(address: &str) -> bool {
    match Address::parse(address) {
        Ok(Address::Unix(address)) => UnixStream::connect(address.calls()).is_ok(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_stands_behind_the_process() {
        assert_eq!(
            address_in("7:unix:/run/x\n").as_deref(),
            Some("unix:/run/x")
        );
        for text in ["", "7", "7:", "\n"] {
            assert_eq!(address_in(text), None, "{text:?}");
        }
    }
}
