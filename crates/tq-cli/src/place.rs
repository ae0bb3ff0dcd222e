//! The directory of this user's engines: each has its sockets in a directory below it, and the
//! rendezvous file lies in it. `_rendezvous.py` of the Python package keeps the same rule, and a test
//! there holds the two together.

use std::fs::{self, DirBuilder};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::fs::{Access, access};
use tq_wire::address::own_user;

/// A longer one leaves no room for the names of sockets, whose paths the system holds short.
const LONGEST_RUNTIME: usize = 40;
/// Where temporary files lie, if the environment does not say.
const TEMPORARY: [&str; 3] = ["/tmp", "/var/tmp", "/usr/tmp"];

/// The directory of this user's engines, which is made where it does not exist.
pub(crate) fn base() -> Result<PathBuf> {
    let base = path();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&base)
        .with_context(|| format!("{} cannot be made", base.display()))?;
    let found = fs::symlink_metadata(&base)?;
    if !found.is_dir() || found.mode() & 0o077 != 0 || found.uid() != own_user() {
        bail!(
            "{} is no directory of this user alone; have it removed, or set XDG_RUNTIME_DIR to one \
             that is",
            base.display()
        );
    }
    Ok(base)
}

/// Where [`base`] is, whether or not it exists.
fn path() -> PathBuf {
    let runtime = variable("XDG_RUNTIME_DIR").map(PathBuf::from);
    let fits = |runtime: &PathBuf| {
        let length = runtime.as_os_str().as_bytes().len();
        length > 0 && length < LONGEST_RUNTIME && access(runtime, Access::WRITE_OK).is_ok()
    };
    match runtime.filter(fits) {
        Some(runtime) => runtime.join("transferqueue"),
        None => temporary().join(format!("transferqueue-{}", own_user())),
    }
}

fn temporary() -> PathBuf {
    let named = ["TMPDIR", "TEMP", "TMP"].into_iter().filter_map(variable);
    let usual = TEMPORARY.into_iter().map(Into::into);
    let usable = |path: &PathBuf| path.is_dir() && access(path, Access::WRITE_OK).is_ok();
    let mut candidates = named.map(PathBuf::from).chain(usual);
    let found = candidates.find(usable);
    found.unwrap_or_else(|| PathBuf::from(TEMPORARY[0]))
}

#[expect(
    clippy::disallowed_methods,
    reason = "no setting of ours: the system says where a user's files lie"
)]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Makes a path absolute, so that it means the same to other processes.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} is no path", path.display()))
}
