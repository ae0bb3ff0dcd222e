//! Where a host listens, and who may talk to it.

use std::fmt;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tq_proto::{Error, ErrorKind, Result};

const UNIX: &str = "unix:";
const TCP: &str = "tcp:";
/// Longest path of a Unix socket, without the closing zero.
const SOCKET_PATH_BYTES: usize = 107;

/// Where a host is reached.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Address {
    /// On this host, at Unix sockets.
    Unix(UnixAddress),
    /// On this host or another, at a TCP port.
    Tcp(TcpAddress),
}

impl Address {
    /// The address written as `unix:<directory>` or `tcp:<host>:<port>`.
    ///
    /// # Errors
    /// `InvalidArgument` for anything else, and where a path or port is none.
    pub fn parse(text: &str) -> Result<Self> {
        if let Some(directory) = text.strip_prefix(UNIX).filter(|rest| !rest.is_empty()) {
            return UnixAddress::new(directory).map(Self::Unix);
        }
        if let Some(tcp) = text.strip_prefix(TCP) {
            return TcpAddress::parse(tcp).map(Self::Tcp);
        }
        Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("{text:?} is no address of a host; give unix:<directory> or tcp:<host>:<port>"),
        ))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(address) => address.fmt(f),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

/// A TCP port of a host.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TcpAddress {
    /// A name, or an IPv4 or IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl TcpAddress {
    /// `host:port`, an IPv6 address in brackets.
    ///
    /// # Errors
    /// `InvalidArgument` for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let parts = text.rsplit_once(':').and_then(|(host, port)| {
            let host = match host.strip_prefix('[') {
                Some(rest) => rest.strip_suffix(']')?,
                None if host.contains(':') => return None,
                None => host,
            };
            Some((host, port.parse().ok()?)).filter(|(host, _)| !host.is_empty())
        });
        let (host, port) = parts.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("{text:?} is no host and port; give <host>:<port>, IPv6 in brackets"),
            )
        })?;
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }

    /// Whether only processes of this machine reach it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.host == "localhost",
        }
    }

    /// `host:port` as the system's resolver takes it.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for TcpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{TCP}{}", self.authority())
    }
}

/// The directory that holds a host's Unix sockets.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct UnixAddress {
    directory: PathBuf,
}

impl UnixAddress {
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

    /// The socket for direct calls.
    #[must_use]
    pub fn direct(&self) -> PathBuf {
        self.directory.join("direct.sock")
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

impl fmt::Display for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{UNIX}{}", self.directory.display())
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
        for text in [
            "unix:/run/tq",
            "tcp:10.0.0.1:80",
            "tcp:node-7:9",
            "tcp:[::1]:65535",
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        let Address::Unix(address) = Address::parse("unix:/run/tq").unwrap() else {
            panic!("a Unix address")
        };
        assert_eq!(address.calls(), Path::new("/run/tq/calls.sock"));
    }

    #[test]
    fn other_words_and_long_paths_are_refused() {
        let long = format!("unix:/{}", "d".repeat(200));
        for text in [
            "",
            "unix:",
            "/run/tq",
            &long,
            "tcp:",
            "tcp:host",
            "tcp::1",
            "tcp:host:x",
            "tcp:::1",
            "tcp:host:65536",
            "tcp:[::1:5",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{text:?}");
        }
    }

    #[test]
    fn loopback_is_told_from_what_others_reach() {
        for (text, local) in [
            ("127.0.0.5:1", true),
            ("[::1]:1", true),
            ("localhost:1", true),
            ("0.0.0.0:1", false),
            ("node-7:1", false),
        ] {
            assert_eq!(TcpAddress::parse(text).unwrap().is_loopback(), local);
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
