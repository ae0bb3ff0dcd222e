//! Where a host listens, and who may talk to it.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tq_proto::{Error, ErrorKind, Result};

const SCHEME: &str = "unix:";
/// Longest path of a Unix socket, without the closing zero.
const SOCKET_PATH_BYTES: usize = 107;

/// A host's address: the directory that holds its sockets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    directory: PathBuf,
}

impl Address {
    /// The address of sockets in `directory`.
    ///
    /// # Errors
    /// `InvalidArgument` where the sockets' paths would be longer than the system allows.
    pub fn new(directory: impl Into<PathBuf>) -> Result<Self> {
        let address = Self {
            directory: directory.into(),
        };
        let longest = address.segments().as_os_str().as_bytes().len();
        if longest > SOCKET_PATH_BYTES {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "sockets in {} would have paths of {longest} bytes, the system allows \
                     {SOCKET_PATH_BYTES}; choose a shorter directory",
                    address.directory.display()
                ),
            ));
        }
        Ok(address)
    }

    /// The address written as `unix:<directory>`.
    ///
    /// # Errors
    /// `InvalidArgument` for anything else, and as [`Self::new`].
    pub fn parse(text: &str) -> Result<Self> {
        match text.strip_prefix(SCHEME) {
            Some(directory) if !directory.is_empty() => Self::new(directory),
            _ => Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("{text:?} is no address of a host; give unix:<directory>"),
            )),
        }
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The socket for calls.
    #[must_use]
    pub fn calls(&self) -> PathBuf {
        self.directory.join("calls.sock")
    }

    /// The socket that hands out segments.
    #[must_use]
    pub fn segments(&self) -> PathBuf {
        self.directory.join("segments.sock")
    }

    /// The file that the one host of the directory keeps locked.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.directory.join("lock")
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{SCHEME}{}", self.directory.display())
    }
}

/// Whether a process of user `peer` may talk to one of user `own`.
///
/// # Errors
/// `Unavailable` where they are not the same.
pub fn check_peer(peer: u32, own: u32) -> Result<()> {
    if peer == own {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unavailable,
        format!(
            "the process at the other end belongs to user {peer}, this one to user {own}; host and \
             guests must be of one user"
        ),
    ))
}

/// The user this process acts as.
#[must_use]
pub fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        let address = Address::parse("unix:/run/tq").unwrap();
        assert_eq!(address.to_string(), "unix:/run/tq");
        assert_eq!(address.calls(), Path::new("/run/tq/calls.sock"));
    }

    #[test]
    fn other_words_and_long_paths_are_refused() {
        let long = format!("unix:/{}", "d".repeat(200));
        for text in ["", "unix:", "tcp:host:1", "/run/tq", &long] {
            let error = Address::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{text:?}");
        }
    }

    #[test]
    fn only_the_same_user_is_let_in() {
        assert!(check_peer(1000, 1000).is_ok());
        for (peer, own) in [(0, 1000), (1000, 0), (1001, 1000)] {
            let error = check_peer(peer, own).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
        }
    }
}
