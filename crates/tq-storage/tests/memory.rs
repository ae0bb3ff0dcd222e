//! Where bytes lie, how long they stay, and when they are given back.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use tq_arena::ViewError;
use tq_proto::{DType, GlobalIndex};
use tq_storage::{ColumnLayout, ColumnPlan, ColumnRead, RowLayout, RowShapes};

const MIB: u64 = 1 << 20;

#[test]
fn a_batch_in_put_order_is_contiguous_over_all_its_groups() {
    let unit = unit(None, u64::MAX);
    let at = indexes(100..1124);
    put(&unit, &at, "a", 4096, 7);
    let read = read_one(&unit, &at, "a");
    let runs: Vec<_> = read.runs().map(|run| (run.rows, run.bytes)).collect();
    assert_eq!(runs, [(0..1024, 4 * MIB)]);
    let (leases, offset, len) = read.contiguous().unwrap();
    assert!(leases.len() > 1, "4 MiB are cut into groups");
    assert_eq!((offset, len), (0, 4 * MIB));
    let together = joined(&leases);
    assert!(together == gathered(&read));
    match unit.arena().view(leases, offset, len) {
        Ok(view) => assert_eq!(view.len(), len),
        Err(ViewError::Unsupported) => {}
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_part_of_a_batch_starts_inside_its_group() {
    let unit = unit(None, u64::MAX);
    put(&unit, &indexes(0..1000), "a", 1000, 7);
    let at = indexes(300..600);
    let read = read_one(&unit, &at, "a");
    let (leases, offset, len) = read.contiguous().unwrap();
    assert_eq!(len, 300_000);
    let together = joined(&leases);
    let from = offset as usize;
    assert!(together[from..from + len as usize] == gathered(&read));
    assert!(is_pattern(&read, &at, 1000, 7));
}

#[test]
fn scattered_rows_are_runs_in_request_order() {
    let unit = unit(None, u64::MAX);
    put(&unit, &indexes(0..50), "a", 100, 7);
    put(&unit, &indexes(50..100), "a", 100, 7);
    let at = [3, 4, 5, 5, 70, 71, 2, 99].map(GlobalIndex);
    let read = read_one(&unit, &at, "a");
    let runs: Vec<_> = read.runs().map(|run| (run.rows, run.bytes)).collect();
    assert_eq!(
        runs,
        [
            (0..3, 300),
            (3..4, 100),
            (4..6, 200),
            (6..7, 100),
            (7..8, 100)
        ]
    );
    assert!(read.contiguous().is_none());
    assert!(is_pattern(&read, &at, 100, 7));
}

#[test]
fn clearing_a_part_gives_its_groups_back() {
    let unit = unit(None, u64::MAX);
    put(&unit, &indexes(0..64), "large", 256 << 10, 1);
    put(&unit, &indexes(0..64), "small", 64, 2);
    let full = unit.usage().arena.in_use();
    assert_eq!(unit.clear(&indexes(8..64)), 56);
    let freed = full - unit.usage().arena.in_use();
    assert_eq!(
        freed,
        56 * (256 << 10),
        "whole groups go, the small column stays one group"
    );
    let left = indexes(0..8);
    assert!(is_pattern(
        &read_one(&unit, &left, "large"),
        &left,
        256 << 10,
        1
    ));
    assert!(is_pattern(&read_one(&unit, &left, "small"), &left, 64, 2));
    // Every other row of a group keeps it.
    unit.clear(&indexes(0..7));
    assert_eq!(unit.clear(&indexes(0..64)), 1);
    assert_eq!(unit.usage().arena.in_use(), 0);
    assert_eq!(unit.usage().fields, 0);
}

#[test]
fn overwriting_gives_the_old_rows_back() {
    let unit = unit(None, u64::MAX);
    let at = indexes(0..16);
    put(&unit, &at, "a", 256 << 10, 1);
    put(&unit, &at, "b", 64, 1);
    let before = unit.usage().arena.in_use();
    put(&unit, &at, "a", 256 << 10, 2);
    assert_eq!(unit.usage().arena.in_use(), before);
    assert!(is_pattern(&read_one(&unit, &at, "a"), &at, 256 << 10, 2));
    assert!(is_pattern(&read_one(&unit, &at, "b"), &at, 64, 1));
}

#[test]
fn what_was_read_survives_clear_and_overwrite() {
    let unit = unit(None, u64::MAX);
    let at = indexes(0..40);
    put(&unit, &at, "a", 20_000, 1);
    let first = read_one(&unit, &at, "a");
    put(&unit, &at, "a", 20_000, 2);
    let second = read_one(&unit, &at, "a");
    unit.clear(&at);
    assert!(
        unit.usage().arena.in_use() >= 2 * 800_000,
        "leased bytes are still in use"
    );
    put(&unit, &indexes(40..80), "a", 20_000, 3);
    assert!(is_pattern(&first, &at, 20_000, 1));
    assert!(is_pattern(&second, &at, 20_000, 2));
    let (lease, from, len) = second.row(39).unwrap();
    drop((first, second));
    let row = &lease.as_slice()[from as usize..(from + len) as usize];
    assert_eq!(row, pattern(2 + 39, 20_000));
    drop(lease);
    unit.clear(&indexes(40..80));
    assert_eq!(unit.usage().arena.in_use(), 0);
}

#[test]
fn a_put_given_up_leaves_nothing() {
    let unit = unit(None, u64::MAX);
    drop(begin_filled(&unit, &indexes(0..4), "a", MIB, 1).unwrap());
    let usage = unit.usage();
    assert_eq!(
        (usage.samples, usage.pending_samples, usage.arena.in_use()),
        (0, 0, 0)
    );
    assert!(!unit.has("a", GlobalIndex(0)));
}

#[test]
fn a_clear_wins_over_a_put_in_flight() {
    let unit = unit(None, u64::MAX);
    let in_flight = begin_filled(&unit, &indexes(0..4), "a", 1000, 1).unwrap();
    let all_lost = begin_filled(&unit, &indexes(1..3), "b", MIB, 1).unwrap();
    assert_eq!(unit.clear(&indexes(1..3)), 0, "nothing was stored yet");
    put(&unit, &indexes(2..3), "c", 8, 1);
    assert_eq!(in_flight.commit().unwrap(), indexes(1..3));
    assert_eq!(all_lost.commit().unwrap(), indexes(1..3));
    let fields = |index| unit.fields_of(GlobalIndex(index));
    assert_eq!(fields(0), [field("a")]);
    assert_eq!(fields(1), []);
    assert_eq!(fields(2), [field("c")]);
    assert_eq!((unit.usage().samples, unit.usage().fields), (3, 2));
    unit.clear(&indexes(0..4));
    assert_eq!(unit.usage().arena.in_use(), 0);
}

#[test]
fn columns_of_a_put_are_exact_and_padding_is_zero() {
    let unit = unit(None, u64::MAX);
    put(&unit, &indexes(0..1), "former", 9000, 1);
    unit.clear(&indexes(0..1));
    let row_shapes = RowShapes::new(2, 2, vec![2, 3, 0, 5]).unwrap();
    let columns = vec![
        bytes_column("dense", 33),
        bytes_column("empty", 0),
        ColumnPlan {
            field: field("jagged"),
            layout: ColumnLayout::Jagged {
                dtype: DType::Int32,
                row_shapes,
            },
        },
        ColumnPlan {
            field: field("object"),
            layout: ColumnLayout::Object {
                row_sizes: vec![64, 192],
            },
        },
    ];
    let mut put = unit.begin_put(&indexes(0..2), columns).unwrap();
    let mut lens = Vec::new();
    for column in put.columns_mut() {
        lens.push(column.len());
        column.fill(0xEE);
    }
    assert_eq!(lens, [66, 0, 24, 256]);
    put.commit().unwrap();
    let names = ["dense", "empty", "jagged", "object"].map(field);
    let reads = unit.read(&indexes(0..2), &names).unwrap();
    assert_eq!(
        reads.iter().map(ColumnRead::bytes).collect::<Vec<_>>(),
        [66, 0, 24, 256]
    );
    // The first extent holds the dense column and what pads it.
    let (leases, ..) = reads[0].contiguous().unwrap();
    assert_eq!(
        leases[0].as_slice(),
        [[0xEE; 66].as_slice(), &[0; 62]].concat()
    );
    assert!(reads[1].contiguous().is_none() && reads[1].runs().next().is_none());
    assert_eq!(reads[1].row_bytes(1), Some([].as_slice()));
    assert_eq!(reads[2].row_bytes(1), Some([].as_slice()));
    let shape = RowLayout::Tensor {
        dtype: DType::Int32,
        shape: &[0, 5],
    };
    assert_eq!(reads[2].row_layout(1), Some(shape));
    assert_eq!(
        reads[3].row(1).map(|(_, offset, len)| (offset, len)),
        Some((64, 192))
    );
    assert!(reads[3].row(2).is_none() && reads[3].row_bytes(2).is_none());
}
