//! Units that end, connections to units that are lost, and controllers that are started anew.

use std::sync::atomic::Ordering;

use tq_engine::units::host_id;
use tq_proto::ErrorKind;

use crate::cluster::*;
use crate::common::*;
use crate::proxy::Proxy;

const ROW: u64 = 100_000;

#[test]
fn a_lost_unit_takes_its_rows_along_and_no_others() {
    let mut cluster = Cluster::new(&[(64 << 20, "a"), (64 << 20, "b")]);
    let (a, b) = (cluster.guest("a"), cluster.guest("b"));
    put(&a, "p", &keys(0..4), "x", ROW, 1).unwrap();
    put(&b, "p", &keys(4..8), "x", ROW, 5).unwrap();
    put(&b, "p", &keys(0..4), "y", ROW, 9).unwrap();
    let lost = cluster.units[0].id;
    cluster.units[0].end();
    eventually("the loss", || {
        a.units().unwrap().iter().any(|unit| unit.is_lost)
    });

    let error = get(&a, "p", &keys(0..8), "x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let text = error.to_string();
    assert!(
        text.contains("unit on a") && text.contains("#0, #1, #2, #3"),
        "{text}"
    );
    assert!(is_filled(&a, &keys(4..8), "x", ROW as usize, 5));
    assert!(is_filled(&a, &keys(0..4), "y", ROW as usize, 9));
    // New batches go where there is somebody.
    put(&a, "p", &keys(8..10), "x", ROW, 20).unwrap();
    assert_eq!(cluster.samples_at(1), 10);

    let rows = a.lost_rows(Some("p")).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].1.unit, &*rows[0].1.field), (lost, "x"));
    assert_eq!(a.reset_lost(None).unwrap(), rows);
    assert_eq!(a.lost_rows(None).unwrap(), []);
    // Not produced any more: they do not fail, they are not there.
    let batch = a.read("p", &keys(0..4), None).unwrap();
    assert_eq!(batch.ready, ["y".into()]);
    assert!(!a.is_produced("p", &["x".into()]).unwrap());
    put(&b, "p", &keys(0..4), "x", ROW, 1).unwrap();
    assert!(is_filled(&a, &keys(0..8), "x", ROW as usize, 1));
}

#[test]
fn a_unit_that_was_cut_off_comes_back_with_its_rows_and_hears_what_it_missed() {
    let mut cluster = Cluster::new(&[]);
    let proxy = Proxy::new(&cluster.head.tcp_address());
    cluster
        .units
        .push(Unit::join(&proxy.address, 64 << 20, "a"));
    let guest = cluster.guest("a");
    put(&guest, "p", &keys(0..4), "x", ROW, 1).unwrap();
    put(&guest, "p", &keys(4..8), "x", ROW, 5).unwrap();
    assert_eq!(cluster.samples_at(0), 8);
    let before = cluster.units[0].id;
    // The next byte that passes ends the connection: its report of how full it is.
    proxy.left.store(0, Ordering::Relaxed);
    let joined = proxy.connections.load(Ordering::Relaxed);
    eventually("another connection", || {
        proxy.connections.load(Ordering::Relaxed) > joined
    });
    guest.clear("p", &keys(4..8)).unwrap();
    eventually("the clear", || cluster.samples_at(0) == 4);
    let units = guest.units().unwrap();
    assert_eq!((units.len(), units[1].id), (2, before));
    eventually("the return", || !guest.units().unwrap()[1].is_lost);
    assert!(is_filled(&guest, &keys(0..4), "x", ROW as usize, 1));
}

#[test]
fn a_controller_that_is_started_anew_finds_its_units_empty() {
    let mut cluster = Cluster::new(&[(64 << 20, host_id())]);
    let guest = cluster.guest(host_id());
    put(&guest, "p", &keys(0..4), "x", ROW, 1).unwrap();
    cluster.head.restart();
    eventually("the return of the unit", || {
        guest.units().is_ok_and(|units| units.len() == 2)
    });
    assert_eq!(cluster.samples_at(0), 0);
    assert!(guest.list(None).unwrap().is_empty());
    put(&guest, "p", &keys(0..4), "x", ROW, 1).unwrap();
    assert!(is_filled(&guest, &keys(0..4), "x", ROW as usize, 1));
}
