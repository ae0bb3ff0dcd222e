//! Rows taken away field by field, and reads of several units as one.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use tq_storage::ColumnRead;

#[test]
fn rows_of_one_field_go_and_the_others_stay() {
    let unit = unit(Some(3), u64::MAX);
    put(&unit, &indexes(0..3), "a", 100, 1);
    put(&unit, &indexes(0..2), "b", 100, 2);
    assert_eq!(unit.remove_rows("a", &indexes(1..5)), 2);
    assert_eq!(unit.remove_rows("a", &indexes(1..5)), 0);
    assert_eq!(unit.remove_rows("unknown", &indexes(0..5)), 0);
    assert_eq!(unit.usage().samples, 2);
    assert!(unit.has("a", indexes(0..1)[0]) && !unit.has("a", indexes(1..2)[0]));
    assert!(is_pattern(
        &read_one(&unit, &indexes(0..2), "b"),
        &indexes(0..2),
        100,
        2
    ));
    // The room of the sample that has no field any more is another's.
    put(&unit, &indexes(7..8), "a", 100, 3);
    assert_eq!(unit.clear_all(), 3);
    let usage = unit.usage();
    assert_eq!(
        (usage.samples, usage.pending_samples, usage.fields),
        (0, 0, 0)
    );
    assert_eq!(usage.arena.in_use(), 0);
}

#[test]
fn a_put_in_flight_outlives_the_removal_of_rows() {
    let unit = unit(Some(1), u64::MAX);
    put(&unit, &indexes(0..1), "a", 100, 1);
    let again = begin_filled(&unit, &indexes(0..1), "a", 100, 5).unwrap();
    assert_eq!(unit.remove_rows("a", &indexes(0..1)), 1);
    assert_eq!(again.commit().unwrap(), []);
    assert!(is_pattern(
        &read_one(&unit, &indexes(0..1), "a"),
        &indexes(0..1),
        100,
        5
    ));
    assert_eq!(unit.clear(&indexes(0..1)), 1);
    assert_eq!(unit.usage().pending_samples, 0);
}

#[test]
fn reads_of_two_units_are_one_read_in_the_order_asked_for() {
    let (left, right) = (unit(None, u64::MAX), unit(None, u64::MAX));
    put(&left, &indexes(0..4), "x", 1000, 0);
    put(&right, &indexes(4..8), "x", 1000, 0);
    let some = |numbers: &[u64]| {
        numbers
            .iter()
            .map(|n| indexes(*n..*n + 1)[0])
            .collect::<Vec<_>>()
    };
    let parts = || {
        vec![
            (vec![1, 2, 5], read_one(&left, &some(&[0, 1, 3]), "x")),
            (vec![0, 3, 4], read_one(&right, &some(&[7, 4, 5]), "x")),
        ]
    };
    let merged = ColumnRead::merge(field("x"), parts(), 6).unwrap();
    assert!(is_pattern(&merged, &some(&[7, 0, 1, 4, 5, 3]), 1000, 0));
    // Neighbours of one unit are still one run.
    assert_eq!(merged.runs().count(), 4);
    for (positions, rows) in [(vec![1, 2, 4], 6), (vec![1, 2, 6], 6), (vec![1, 2], 6)] {
        let mut lie = parts();
        lie[0].0 = positions;
        assert!(ColumnRead::merge(field("x"), lie, rows).is_err());
    }
    assert!(ColumnRead::merge(field("x"), parts(), 7).is_err());
}
