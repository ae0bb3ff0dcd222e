//! Where a server listens: nobody else's directory, one server at a time, and nothing left behind.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tq_engine::{Embedded, EmbeddedConfig};
use tq_proto::{ErrorKind, Result};
use tq_server::{Server, ServerConfig};

/// A directory for one test; removed with it.
struct Place(PathBuf);

impl Place {
    fn new(test: &str) -> Self {
        let place = std::env::temp_dir().join(format!("tq-{test}-{}", std::process::id()));
        fs::create_dir(&place).unwrap();
        fs::set_permissions(&place, Permissions::from_mode(0o700)).unwrap();
        Self(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn start(directory: &Path) -> Result<Server> {
    let engine = Embedded::new(EmbeddedConfig::default()).unwrap();
    Server::start(engine, ServerConfig::new(directory))
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn sockets_are_the_users_own_and_go_with_the_server() {
    let place = Place::new("own");
    let directory = place.0.join("deep").join("down");
    let server = start(&directory).unwrap();
    assert_eq!(server.address(), format!("unix:{}", directory.display()));
    assert_eq!(mode(&directory), 0o700);
    for socket in ["calls.sock", "segments.sock", "lock"] {
        assert_eq!(mode(&directory.join(socket)), 0o600, "{socket}");
    }
    server.stop();
    assert!(!directory.join("calls.sock").exists());
    assert!(!directory.join("segments.sock").exists());
}

#[test]
fn a_directory_that_others_can_look_into_is_refused() {
    let place = Place::new("open");
    for open in [0o750, 0o701, 0o777] {
        fs::set_permissions(&place.0, Permissions::from_mode(open)).unwrap();
        let error = start(&place.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains("mode 700"), "{error}");
    }
}

#[test]
fn a_link_or_a_file_is_no_directory() {
    let place = Place::new("link");
    let [real, link, file] = ["real", "link", "file"].map(|name| place.0.join(name));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    fs::write(&file, "").unwrap();
    assert_eq!(start(&link).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert!(start(&file).is_err());
}

#[test]
fn one_server_at_a_time_and_the_next_after_a_killed_one() {
    let place = Place::new("one");
    let first = start(&place.0).unwrap();
    let error = start(&place.0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    drop(first);
    // What a host leaves that was killed.
    drop(std::os::unix::net::UnixListener::bind(place.0.join("calls.sock")).unwrap());
    drop(start(&place.0).unwrap());
}

#[test]
fn a_closed_engine_and_too_long_a_path_are_refused() {
    let place = Place::new("long");
    let error = start(&place.0.join("d".repeat(120))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let engine = Embedded::new(EmbeddedConfig::default()).unwrap();
    engine.close();
    let error = Server::start(engine, ServerConfig::new(&place.0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}
