//! Processes that work on the same samples.

use crate::common::{Host, eventually, get, is_empty, keys, put};
use crate::guest::{LARGE, Process};

#[test]
fn a_guest_reads_what_the_host_put_and_the_host_reads_what_it_puts() {
    let host = Host::new();
    let engine = host.engine.clone().into();
    put(&engine, "small", &keys(0..4), "x", 16, 3).unwrap();
    put(&engine, "large", &keys(0..4), "x", LARGE, 5).unwrap();
    let mut guest = Process::start("copy", &host.address());
    assert_eq!(guest.hear(), "copied");
    let copies = ["a", "b", "c", "d"].map(String::from);
    for partition in ["small", "large"] {
        let put = get(&engine, partition, &keys(0..4), "x").unwrap();
        assert!(get(&engine, partition, &copies, "x").unwrap() == put);
    }
    drop(guest);
    engine.clear_partition("small").unwrap();
    engine.clear_partition("large").unwrap();
    eventually("the end of the guest's session", || is_empty(&host.engine));
}

#[test]
fn leased_rows_stay_as_they_were_while_their_sample_is_gone() {
    let host = Host::new();
    let engine = host.engine.clone().into();
    put(&engine, "p", &keys(0..4), "x", LARGE, 1).unwrap();
    let mut guest = Process::start("lease", &host.address());
    assert_eq!(guest.hear(), (4 * LARGE).to_string());
    engine.clear_partition("p").unwrap();
    let usage = host.engine.usage().unwrap().storage.arena;
    assert_eq!((usage.committed, usage.retired), (0, 4 * LARGE));
    // Would take the same memory if it could.
    put(&engine, "q", &keys(0..8), "x", LARGE, 100).unwrap();
    guest.tell("look");
    assert_eq!(guest.hear(), "[1, 2, 3, 4]");
    guest.tell("drop");
    eventually("the release", || {
        host.engine.usage().unwrap().storage.arena.retired == 0
    });
}

#[test]
fn a_guest_is_woken_by_what_the_host_and_other_guests_put() {
    let host = Host::new();
    let mut guest = Process::start("wait", &host.address());
    assert_eq!(guest.hear(), "waiting");
    put(&host.engine.clone().into(), "p", &keys(0..2), "x", 8, 1).unwrap();
    put(&host.connect().into(), "p", &keys(2..4), "x", 8, 1).unwrap();
    assert_eq!(guest.hear(), "woken");
}
