//! Where batches go, and that they are read from there.

use tq_engine::PlacementPolicy;
use tq_engine::units::host_id;
use tq_proto::ErrorKind;

use crate::cluster::*;
use crate::common::*;

const ROW: u64 = 200_000;

#[test]
fn a_batch_stays_on_the_writers_machine_and_is_read_from_every_other() {
    let cluster = Cluster::new(&[(64 << 20, host_id()), (64 << 20, "far away")]);
    let (here, there) = (cluster.guest(host_id()), cluster.guest("far away"));
    put(&here, "p", &keys(0..8), "x", ROW, 1).unwrap();
    put(&there, "p", &keys(8..16), "x", ROW, 9).unwrap();
    assert_eq!((cluster.samples_at(0), cluster.samples_at(1)), (8, 8));
    for guest in [&here, &there, &cluster.guest("nowhere else")] {
        assert!(is_filled(guest, &keys(0..16), "x", ROW as usize, 1));
        assert!(is_filled(guest, &keys(4..12), "x", ROW as usize, 5));
    }
}

#[test]
fn fields_of_one_sample_may_lie_in_different_units() {
    let cluster = Cluster::new(&[(64 << 20, "a"), (64 << 20, "b")]);
    let (a, b) = (cluster.guest("a"), cluster.guest("b"));
    put(&a, "p", &keys(0..6), "large", ROW, 1).unwrap();
    put(&b, "p", &keys(0..6), "other", ROW, 2).unwrap();
    // Small ones are sent along and stay with the controller.
    put(&a, "p", &keys(0..6), "small", 10, 3).unwrap();
    assert_eq!(cluster.head.engine.usage().unwrap().storage.samples, 6);
    let mut order = keys(0..6);
    order.reverse();
    let batch = b.read("p", &order, None).unwrap();
    let names: Vec<_> = batch
        .columns
        .iter()
        .map(|column| column.field().to_string())
        .collect();
    assert_eq!(names, ["large", "other", "small"]);
    for (column, (row_bytes, fill)) in batch.columns.iter().zip([(ROW, 1), (ROW, 2), (10, 3)]) {
        let bytes = bytes_of(&b, column);
        for (row, bytes) in bytes.chunks(row_bytes as usize).enumerate() {
            assert!(bytes.iter().all(|byte| *byte == fill + 5 - row as u8));
        }
    }
}

#[test]
fn a_full_unit_spills_and_full_units_refuse_without_a_trace() {
    let cluster = Cluster::new(&[(2 << 20, "a"), (3 << 20, "b")]);
    let guest = cluster.guest("a");
    put(&guest, "p", &keys(0..8), "x", ROW, 1).unwrap();
    put(&guest, "p", &keys(8..20), "x", ROW, 2).unwrap();
    assert_eq!((cluster.samples_at(0), cluster.samples_at(1)), (8, 12));
    let error = put(&guest, "p", &keys(20..40), "x", ROW, 3).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CapacityExceeded, "{error:?}");
    assert_eq!(guest.list(Some("p")).unwrap()[0].samples.len(), 20);
    // Cleared room is room again, wherever it is.
    assert_eq!(guest.clear("p", &keys(0..20)).unwrap(), 20);
    eventually("the units' clears", || {
        cluster.samples_at(0) + cluster.samples_at(1) == 0
    });
    put(&guest, "p", &keys(20..32), "x", ROW, 3).unwrap();
    assert!(is_filled(&guest, &keys(20..32), "x", ROW as usize, 3));
}

#[test]
fn small_batches_find_room_elsewhere_when_the_controller_has_none() {
    let cluster = Cluster::new(&[(64 << 20, "a")]);
    let guest = cluster.guest("a");
    let mut written = 0;
    while cluster.samples_at(0) == 0 {
        let range = written..written + 4;
        put(&guest, "p", &keys(range), "x", 16_000, 0).unwrap();
        written += 4;
        assert!(
            written < 1000,
            "the controller has taken {written} rows of 16 kB"
        );
    }
    let all = keys(0..written);
    let bytes = get(&guest, "p", &all, "x").unwrap();
    assert_eq!(bytes.len(), written * 16_000);
    let rows = bytes.chunks(16_000).enumerate();
    assert!(
        rows.map(|(row, bytes)| (row, bytes[0]))
            .all(|(row, byte)| byte == row as u8 % 4)
    );
}

#[test]
fn balanced_batches_are_spread_and_still_become_visible_at_once() {
    let cluster = Cluster::with(
        PlacementPolicy::Balanced,
        &[(64 << 20, "a"), (64 << 20, "b"), (64 << 20, "c")],
    );
    let guest = cluster.guest("a");
    for batch in 0..6 {
        let own = keys(batch * 4..batch * 4 + 4);
        put(&guest, "p", &own, "x", ROW, batch as u8 * 4).unwrap();
    }
    assert!((0..3).all(|unit| cluster.samples_at(unit) == 8));
    assert!(is_filled(&guest, &keys(0..24), "x", ROW as usize, 0));
}

#[test]
fn a_put_that_is_dropped_leaves_nothing_in_any_unit() {
    let cluster = Cluster::new(&[(64 << 20, "a")]);
    let guest = cluster.guest("a");
    drop(
        guest
            .begin_put("p", &keys(0..4), vec![dense("x", ROW)])
            .unwrap(),
    );
    let is_free = |engine| is_empty(engine);
    eventually("the end of the put", || {
        is_free(&cluster.head.engine) && is_free(&cluster.units[0].engine)
    });
}

#[test]
fn a_controller_for_small_batches_leaves_large_ones_to_the_units() {
    let cluster = Cluster::small_only(&[(64 << 20, host_id())]);
    let guest = cluster.guest(host_id());
    put(&guest, "p", &keys(0..4), "x", ROW, 1).unwrap();
    put(&guest, "p", &keys(0..4), "small", 10, 1).unwrap();
    let home = cluster.head.engine.usage().unwrap().storage;
    assert_eq!(
        (cluster.samples_at(0), home.samples, home.fields),
        (4, 4, 1)
    );
    assert!(is_filled(&guest, &keys(0..4), "x", ROW as usize, 1));
}
