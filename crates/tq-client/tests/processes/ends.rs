//! Guests and hosts that are killed or stopped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use tq_client::{ConnectConfig, Engine, Interrupt, Remote};
use tq_engine::Interest;
use tq_proto::ErrorKind;

use crate::common::{Host, LIMIT, bytes_of, eventually, get, is_empty, keys, put};
use crate::guest::{LARGE, Process};

#[test]
fn a_guest_killed_between_loan_and_publish_leaves_nothing() {
    let host = Host::new();
    let mut guest = Process::start("loan", &host.address());
    assert_eq!(guest.hear(), "loaned");
    assert_eq!(host.engine.usage().unwrap().storage.arena.loaned, 4 * LARGE);
    guest.kill();
    eventually("the end of the loan", || is_empty(&host.engine));
    assert!(host.engine.list(None).unwrap().is_empty());
    // The keys are free again, too.
    put(&host.engine.clone().into(), "p", &keys(0..4), "x", 8, 1).unwrap();
}

#[test]
fn a_guest_killed_with_leases_gives_them_back() {
    let host = Host::new();
    let engine: Engine = host.engine.clone().into();
    put(&engine, "p", &keys(0..4), "x", LARGE, 1).unwrap();
    let mut guest = Process::start("lease", &host.address());
    guest.hear();
    engine.clear_partition("p").unwrap();
    assert!(!is_empty(&host.engine));
    guest.kill();
    eventually("the end of the leases", || is_empty(&host.engine));
}

fn connect(address: &str, deadline: Duration) -> Engine {
    let config = ConnectConfig {
        deadline,
        ..ConnectConfig::default()
    };
    Remote::connect(address, config).unwrap().into()
}

#[test]
fn a_host_that_stands_still_is_an_error_at_the_deadline() {
    let (host, address) = Process::host();
    let engine = connect(&address, Duration::from_millis(300));
    assert_eq!(engine.list(None).unwrap().len(), 1);
    host.stop();
    for _ in 0..2 {
        let error = engine.list(None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{error:?}");
    }
    let error = put(&engine, "p", &keys(0..1), "y", LARGE, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{error:?}");
    host.signal(Signal::CONT);
    eventually("an answer", || engine.list(None).is_ok());
    // What was given up on is not held for ever.
    eventually("the end of the loan", || {
        engine
            .usage()
            .is_ok_and(|usage| usage.storage.arena.loaned == 0)
    });
}

#[test]
fn a_signal_ends_the_wait_for_a_host_that_stands_still() {
    static CAME: AtomicBool = AtomicBool::new(false);
    let (host, address) = Process::host();
    let config = ConnectConfig {
        interrupt: Some(Interrupt(|| CAME.load(Ordering::Relaxed))),
        ..ConnectConfig::default()
    };
    let engine: Engine = Remote::connect(&address, config).unwrap().into();
    assert_eq!(engine.list(None).unwrap().len(), 1);
    host.stop();
    CAME.store(true, Ordering::Relaxed);
    // The first on a connection of its own, the second over HTTP/2: none is welcomed any more.
    for _ in 0..2 {
        let error = engine.list(None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}");
    }
    let error = put(&engine, "p", &keys(0..1), "y", LARGE, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}");
    CAME.store(false, Ordering::Relaxed);
    host.signal(Signal::CONT);
    assert_eq!(engine.list(None).unwrap().len(), 1);
    eventually("the end of the loan", || {
        engine
            .usage()
            .is_ok_and(|usage| usage.storage.arena.loaned == 0)
    });
}

#[test]
fn calls_find_another_way_where_there_is_none_for_direct_ones() {
    let host = Host::new();
    let directory = host.address().trim_start_matches("unix:").to_owned();
    std::fs::remove_file(format!("{directory}/direct.sock")).unwrap();
    let engine: Engine = host.connect().into();
    put(&engine, "p", &keys(0..2), "x", 8, 1).unwrap();
    put(&engine, "p", &keys(0..2), "y", LARGE, 1).unwrap();
    assert_eq!(get(&engine, "p", &keys(0..2), "x").unwrap().len(), 16);
}

#[test]
fn closing_ends_calls_under_way() {
    let (host, address) = Process::host();
    let remote = Remote::connect(&address, ConnectConfig::default()).unwrap();
    let engine: Engine = remote.clone().into();
    assert_eq!(engine.list(None).unwrap().len(), 1);
    host.stop();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| engine.list(None));
        std::thread::park_timeout(Duration::from_millis(100));
        remote.close();
        let error = call.join().unwrap().unwrap_err();
        let kinds = [ErrorKind::Unavailable, ErrorKind::Closed];
        assert!(kinds.contains(&error.kind()), "{error:?}");
    });
    host.signal(Signal::CONT);
}

#[test]
fn a_host_that_is_killed_is_an_error_and_what_was_read_stays() {
    let (host, address) = Process::host();
    let engine = connect(&address, LIMIT);
    let batch = engine.read("p", &keys(0..4), None).unwrap();
    let (woken, wakes) = std::sync::mpsc::sync_channel(1);
    let wake = Box::new(move || woken.send(()).unwrap());
    let interest = Interest {
        rows: 100,
        consumption: false,
    };
    let _subscription = engine.subscribe("p", interest, wake).unwrap();
    host.kill();
    wakes.recv_timeout(LIMIT).unwrap();
    for error in [
        engine.list(None).unwrap_err(),
        put(&engine, "p", &keys(0..1), "x", 8, 1).unwrap_err(),
        put(&engine, "p", &keys(0..1), "x", LARGE, 1).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    }
    let bytes = bytes_of(&engine, &batch.columns[0]);
    let firsts: Vec<u8> = bytes.chunks(LARGE as usize).map(|row| row[0]).collect();
    assert_eq!(firsts, [7, 8, 9, 10]);
}

#[test]
fn a_call_under_way_when_the_host_dies_ends_with_it() {
    let (host, address) = Process::host();
    let engine = connect(&address, LIMIT);
    host.stop();
    let start = std::time::Instant::now();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| put(&engine, "p", &keys(0..1), "x", 8, 1));
        std::thread::park_timeout(Duration::from_millis(100));
        host.kill();
        let error = call.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    });
    assert!(start.elapsed() < LIMIT, "the call ran into its deadline");
}

#[test]
fn after_a_restart_calls_go_to_the_new_host() {
    let mut host = Host::new();
    let engine: Engine = host.connect().into();
    put(&engine, "p", &keys(0..4), "x", LARGE, 1).unwrap();
    let read = engine.read("p", &keys(0..4), None).unwrap();
    let held = engine
        .begin_put("p", &keys(0..4), vec![crate::common::dense("y", LARGE)])
        .unwrap();
    host.restart();
    assert!(engine.list(None).unwrap().is_empty());
    let error = held.publish(None).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    put(&engine, "p", &keys(0..4), "x", LARGE, 50).unwrap();
    let new = get(&engine, "p", &keys(0..4), "x").unwrap();
    let old = bytes_of(&engine, &read.columns[0]);
    assert_eq!((old[0], new[0]), (1, 50));
    assert_eq!(host.engine.list(None).unwrap().len(), 1);
}

#[test]
fn a_stopped_server_ends_its_guests_calls_and_the_engine_goes_on() {
    let mut host = Host::new();
    let engine: Engine = host.connect().into();
    put(&engine, "p", &keys(0..4), "x", LARGE, 1).unwrap();
    let read = engine.read("p", &keys(0..4), None).unwrap();
    host.stop();
    let error = engine.list(None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // The guest still looks at these bytes, so they are not used again.
    let local: Engine = host.engine.clone().into();
    local.clear_partition("p").unwrap();
    put(&local, "q", &keys(0..8), "x", LARGE, 100).unwrap();
    assert_eq!(bytes_of(&engine, &read.columns[0])[0], 1);
    let error = Remote::connect(&host.address(), ConnectConfig::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn a_guest_that_closes_keeps_what_it_read_and_no_more() {
    let host = Host::new();
    let local: Engine = host.engine.clone().into();
    put(&local, "p", &keys(0..4), "x", LARGE, 1).unwrap();
    let engine: Engine = host.connect().into();
    let read = engine.read("p", &keys(0..4), None).unwrap();
    engine.close();
    assert_eq!(engine.list(None).unwrap_err().kind(), ErrorKind::Closed);
    local.clear_partition("p").unwrap();
    put(&local, "q", &keys(0..8), "x", LARGE, 100).unwrap();
    assert_eq!(bytes_of(&engine, &read.columns[0])[0], 1);
    drop((read, engine));
    local.clear_partition("q").unwrap();
    eventually("the end of the session", || is_empty(&host.engine));
}

#[test]
fn dropped_puts_and_reads_are_told_to_the_host() {
    let host = Host::new();
    let engine: Engine = host.connect().into();
    put(&engine, "p", &keys(0..4), "x", LARGE, 1).unwrap();
    drop(engine.read("p", &keys(0..4), None).unwrap());
    let begun = engine.begin_put("p", &["z"], vec![crate::common::dense("x", LARGE)]);
    drop(begun.unwrap());
    engine.clear_partition("p").unwrap();
    eventually("the release", || is_empty(&host.engine));
}
