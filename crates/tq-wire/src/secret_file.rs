//! The cluster's secret in a file: text, of which white space around it is no part.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::process;

use tq_proto::{Error, ErrorKind, Result};

use crate::address::own_user;
use crate::secret::Secret;

/// No secret is longer; a file that is, is something else.
const MOST_BYTES: u64 = 4096;

/// The secret in the file at `path`.
///
/// # Errors
/// `InvalidArgument` where there is no such file, where it is not this user's alone, and where it
/// holds no secret; `System` where it cannot be read.
pub fn read(path: &Path) -> Result<Secret> {
    match open(path)? {
        Some(file) => of_file(path, file),
        None => Err(refused(
            path,
            "does not exist; copy it from the host, or give the right one",
        )),
    }
}

/// The secret in the file at `path`, which is made with a random one where it does not exist.
///
/// # Errors
/// As [`read`]; `System` where it cannot be made.
pub fn read_or_make(path: &Path) -> Result<Secret> {
    if let Some(file) = open(path)? {
        return of_file(path, file);
    }
    let failed = |error| system(path, "cannot be made", error);
    let made = path.with_extension(format!("new-{}", process::id()));
    let secret = Secret::generate()?;
    let digits = secret.as_bytes().iter().map(|byte| format!("{byte:02x}"));
    let text = digits.collect::<String>() + "\n";
    let linked = write(&made, &text).and_then(|()| fs::hard_link(&made, path));
    // It has served its purpose, or was not made.
    let _ = fs::remove_file(&made);
    match linked {
        Ok(()) => {}
        // Another process was faster: its secret is the one.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    read(path)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The file at `path`; `None` where there is none.
fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(system(path, "cannot be read", error)),
    }
}

fn of_file(path: &Path, file: File) -> Result<Secret> {
    let failed = |error| system(path, "cannot be read", error);
    // Of the open file, so that what is checked is what is read.
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(refused(path, "is no file"));
    }
    let own = own_user();
    if found.uid() != own {
        let why = format!(
            "belongs to user {}, this process to user {own}",
            found.uid()
        );
        return Err(refused(path, &why));
    }
    if found.mode() & 0o077 != 0 {
        let why = format!(
            "is open to other users (mode {:o}); make it 600, and change the secret where somebody \
             may have read it",
            found.mode() & 0o777
        );
        return Err(refused(path, &why));
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(refused(path, "is too long for a secret"));
    }
    Secret::new(bytes.trim_ascii()).map_err(|error| refused(path, "holds none").caused_by(error))
}

fn refused(path: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        format!("the file {} for the cluster's secret {why}", path.display()),
    )
}

fn system(path: &Path, what: &str, error: io::Error) -> Error {
    Error::new(
        ErrorKind::System,
        format!(
            "the file {} for the cluster's secret {what}",
            path.display()
        ),
    )
    .caused_by(error)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    /// A directory that goes with the test.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("tq-secret-{name}-{}", process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn a_missing_file_is_made_once_and_is_this_users_alone() {
        let place = Place::new("made");
        let path = place.0.join("secret");
        assert_eq!(read(&path).unwrap_err().kind(), ErrorKind::InvalidArgument);
        let made = read_or_make(&path).unwrap();
        assert!(made == read_or_make(&path).unwrap() && made == read(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&place.0).unwrap().count(), 1);
    }

    #[test]
    fn white_space_around_a_secret_is_no_part_of_it() {
        let place = Place::new("space");
        let path = place.0.join("secret");
        write(&path, "  0123456789abcdef \n").unwrap();
        assert!(read(&path).unwrap() == Secret::new(*b"0123456789abcdef").unwrap());
    }

    #[test]
    fn files_that_others_may_read_and_those_without_a_secret_are_refused() {
        let place = Place::new("refused");
        let path = place.0.join("secret");
        let long = "x".repeat(5000);
        for (text, mode) in [
            ("0123456789abcdef", 0o640),
            ("0123456789abcdef", 0o604),
            ("short", 0o600),
            ("", 0o600),
            (&long, 0o600),
        ] {
            write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            for found in [read(&path), read_or_make(&path)] {
                let error = found.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
                assert!(!error.to_string().contains("0123456789"));
            }
        }
        assert!(read(&place.0).is_err());
    }
}
