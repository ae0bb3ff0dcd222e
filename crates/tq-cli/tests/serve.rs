//! `tq serve` as a process: starts, is found, is refused, ends.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use common::Place;
use rstest::rstest;
use rustix::process::Signal;
use serde_json::Value;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[rstest]
#[case(Signal::TERM)]
#[case(Signal::INT)]
fn it_is_found_while_it_runs_and_leaves_nothing(#[case] signal: Signal) {
    let place = Place::new();
    let ready_file = place.0.join("ready");
    let running = place.serve(&["--ready-file", ready_file.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&ready_file).unwrap(), running.line);
    let directory = running.path("directory").to_owned();
    assert_eq!(directory, place.base().join("serve"));
    assert_eq!(running.address(), format!("unix:{}", directory.display()));
    assert_eq!(running.ready["tcp_address"], Value::Null);
    assert_eq!(running.ready["secret_file"], Value::Null);
    assert_eq!(mode(&directory), 0o700);
    let announced = format!("{}:{}\n", running.ready["pid"], running.address());
    assert_eq!(place.announced(), Some(announced));
    assert_eq!(mode(&place.base().join("announced")), 0o600);

    running.signal(signal);
    let ended = running.ended();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert_eq!(place.announced(), None);
    assert!(!ready_file.exists());
    assert!(!directory.join("calls.sock").exists());
}

#[test]
fn a_second_one_in_the_same_directory_is_refused() {
    let place = Place::new();
    let first = place.serve(&[]);
    let second = place.run(&["serve"]);
    assert!(second.failure(1).contains("another process serves in"));
    assert_eq!(place.status()["address"], first.address());
    assert_eq!(first.stop().code(), 0);
}

#[test]
fn a_second_one_elsewhere_leaves_the_first_announced() {
    let place = Place::new();
    let first = place.serve(&[]);
    let elsewhere = place.0.join("elsewhere");
    let second = place.serve(&["--dir", elsewhere.to_str().unwrap()]);
    assert_eq!(second.ready["announced"], false);
    assert_eq!(place.status()["address"], first.address());
    let named = place.run(&["status", "--json", "--address", second.address()]);
    assert_eq!(named.json()["id"], second.ready["id"]);
    assert!(second.stop().err.contains("another engine is announced"));
    assert_eq!(place.status()["id"], first.ready["id"]);
}

#[test]
fn it_is_announced_only_where_that_is_wanted() {
    let place = Place::new();
    let running = place.serve(&["--announce=false"]);
    assert_eq!(running.ready["announced"], false);
    assert_eq!(place.announced(), None);
    let error = place.run(&["status"]);
    assert!(error.failure(1).contains("no engine is announced"));
}

#[test]
fn what_a_killed_one_left_is_taken_over() {
    let place = Place::new();
    let killed = place.serve(&[]);
    killed.signal(Signal::KILL);
    assert_eq!(killed.ended().status.code(), None);
    assert!(place.announced().is_some());
    assert_eq!(place.run(&["status", "--health"]).code(), 1);
    let next = place.serve(&[]);
    assert_eq!(next.ready["announced"], true);
    assert_eq!(place.status()["id"], next.ready["id"]);
}

/// Nobody reads its log any more, either.
#[test]
fn a_second_signal_cuts_it_off() {
    let place = Place::new();
    let mut running = place.serve(&["--stop-limit", "600"]);
    // A peer that says nothing is waited for.
    let silent = UnixStream::connect(running.path("directory").join("calls.sock")).unwrap();
    assert_eq!(place.run(&["status", "--health"]).code(), 0);
    running.signal(Signal::TERM);
    running.until_logged("stopping");
    running.signal(Signal::TERM);
    assert_eq!(running.ended().code(), 128 + Signal::TERM.as_raw());
    drop(silent);
}

#[test]
fn a_stop_waits_no_longer_than_its_limit() {
    let place = Place::new();
    let running = place.serve(&["--stop-limit", "0.01"]);
    let silent = UnixStream::connect(running.path("directory").join("calls.sock")).unwrap();
    assert_eq!(place.run(&["status", "--health"]).code(), 0);
    let ended = running.stop();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(ended.err.contains("calls of guests were cut off"));
    drop(silent);
}

#[test]
fn guests_on_tcp_have_to_know_the_secret_that_it_makes() {
    let place = Place::new();
    let running = place.serve(&["--bind", "127.0.0.1:0"]);
    let file = running.path("secret_file").to_owned();
    assert_eq!(file, place.base().join("secret"));
    assert_eq!(mode(&file), 0o600);
    let secret = fs::read_to_string(&file).unwrap();
    let address = running.text("tcp_address").to_owned();
    let status = |file: &Path| {
        let file = file.to_str().unwrap();
        place.run(&[
            "status",
            "--json",
            "--address",
            &address,
            "--secret-file",
            file,
        ])
    };
    assert_eq!(status(&file).json()["id"], running.ready["id"]);
    let other = place.file("other", "another secret than that of the cluster");
    fs::set_permissions(&other, Permissions::from_mode(0o600)).unwrap();
    assert!(status(&other).failure(1).contains("was not met"));
    let without = place.run(&["status", "--address", &address]);
    assert!(without.failure(1).contains("secret"));

    assert!(!running.line.contains(secret.trim()));
    let line = running.line.clone();
    let ended = running.stop();
    assert!(
        !ended.err.contains(secret.trim()) && !ended.err.contains("not encrypted"),
        "{}",
        ended.err
    );
    // The next one has the same.
    let next = place.serve(&["--bind", "127.0.0.1:0"]);
    assert_ne!(next.line, line);
    assert_eq!(fs::read_to_string(&file).unwrap(), secret);
}

#[test]
fn a_secret_that_others_may_read_is_refused() {
    let place = Place::new();
    let file = place.file("secret", "0123456789abcdef0123456789abcdef");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let bind = ["serve", "--bind", "127.0.0.1:0", "--secret-file"];
    let error = place.run(&[&bind[..], &[file.to_str().unwrap()]].concat());
    assert!(error.failure(1).contains("open to other users"));
    assert_eq!(place.announced(), None);
}

#[test]
fn an_open_port_without_tls_is_warned_of() {
    let place = Place::new();
    // Resolves to loopback, but does not look like it.
    let running = place.serve(&["--bind", "127.1:0"]);
    assert!(running.stop().err.contains("not encrypted"));
}

#[test]
fn a_port_that_is_taken_is_an_error_and_leaves_nothing() {
    let place = Place::new();
    let first = place.serve(&["--bind", "127.0.0.1:0", "--announce=false"]);
    let port = first
        .text("tcp_address")
        .trim_start_matches("tcp:")
        .to_owned();
    let elsewhere = place.0.join("elsewhere");
    let second = [
        "serve",
        "--bind",
        &port,
        "--dir",
        elsewhere.to_str().unwrap(),
    ];
    assert!(place.run(&second).failure(1).contains("is the port taken?"));
    assert_eq!(place.announced(), None);
    assert!(!elsewhere.join("calls.sock").exists());
}

#[test]
fn a_directory_that_others_may_look_into_is_refused() {
    let place = Place::new();
    fs::create_dir(place.base()).unwrap();
    fs::set_permissions(place.base(), Permissions::from_mode(0o755)).unwrap();
    let error = place.run(&["serve"]);
    assert!(error.failure(1).contains("no directory of this user alone"));
}
