//! The directory of the sockets: nobody else's, and one host's at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::net::sockopt::socket_peercred;
use rustix::process::getpid;
use tq_proto::{Error, ErrorKind, Result};
use tq_wire::address::{UnixAddress, own_user};

/// A directory that this process listens in. Dropping it removes the sockets.
#[derive(Debug)]
pub(crate) struct Directory {
    address: UnixAddress,
    /// Locked as long as it is open in this process; a forked child keeps no lock.
    _lock: File,
}

/// The listening sockets.
pub(crate) struct Listeners {
    pub(crate) calls: UnixListener,
    pub(crate) direct: UnixListener,
    pub(crate) segments: UnixListener,
}

impl Directory {
    /// Takes the directory of `address`, which is made where it does not exist.
    pub(crate) fn take(address: UnixAddress) -> Result<Self> {
        let path = address.directory();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| system(path, "cannot be made", error))?;
        check(path)?;
        // Before the lock file is opened: this process's locks are not in each other's way, and
        // closing the file would end the one that is held.
        if is_listening_here(&address) {
            return Err(taken(path, "this process"));
        }
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(address.lock())
            .map_err(|error| system(path, "cannot be written", error))?;
        fcntl_lock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| taken(path, "another process").caused_by(error))?;
        let directory = Self {
            address,
            _lock: lock,
        };
        // Left by a host that was killed; with the lock they are nobody's.
        directory.remove_sockets();
        Ok(directory)
    }

    /// Listens at the directory's sockets.
    pub(crate) fn listen(&self) -> Result<Listeners> {
        let listen = |path: &Path| {
            let listener = UnixListener::bind(path)?;
            fs::set_permissions(path, Permissions::from_mode(0o600))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let refused = |error| system(self.address.directory(), "takes no sockets", error);
        // Guests look for calls first, and expect the others to be there then.
        let direct = listen(&self.address.direct()).map_err(refused)?;
        let segments = listen(&self.address.segments()).map_err(refused)?;
        let calls = listen(&self.address.calls()).map_err(refused)?;
        Ok(Listeners {
            calls,
            direct,
            segments,
        })
    }

    fn remove_sockets(&self) {
        for socket in [
            self.address.calls(),
            self.address.direct(),
            self.address.segments(),
        ] {
            if let Err(error) = fs::remove_file(&socket)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, socket = %socket.display(), "a socket was not removed");
            }
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.remove_sockets();
    }
}

/// Whether a server of this process has the sockets of `address`.
fn is_listening_here(address: &UnixAddress) -> bool {
    UnixStream::connect(address.calls())
        .and_then(|stream| Ok(socket_peercred(&stream)?.pid))
        .is_ok_and(|pid| pid == getpid())
}

fn taken(path: &Path, whose: &str) -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        format!(
            "{whose} serves in {} already; stop that server or choose another directory",
            path.display()
        ),
    )
}

fn check(path: &Path) -> Result<()> {
    let found = fs::symlink_metadata(path).map_err(|error| system(path, "is not there", error))?;
    let own = own_user();
    let why = if !found.is_dir() {
        "is no directory".to_owned()
    } else if found.uid() != own {
        format!(
            "belongs to user {}, this process to user {own}",
            found.uid()
        )
    } else if found.mode() & 0o077 != 0 {
        format!("is open to other users (mode {:o})", found.mode() & 0o777)
    } else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::InvalidArgument,
        format!(
            "{} {why}; give a directory of this user's own with mode 700",
            path.display()
        ),
    ))
}

fn system(path: &Path, what: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::System, format!("{} {what}", path.display())).caused_by(error)
}
