//! What is refused, and that a refusal costs nothing that is stored.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use tq_proto::{DType, Error, ErrorKind, GlobalIndex};
use tq_storage::{ColumnLayout, ColumnPlan, RowShapes};

fn refusal(unit: &tq_storage::StorageUnit, at: &[GlobalIndex], plan: Vec<ColumnPlan>) -> Error {
    unit.begin_put(at, plan).unwrap_err()
}

#[test]
fn too_many_samples_are_refused_and_nothing_is_lost() {
    let unit = unit(Some(10), u64::MAX);
    put(&unit, &indexes(0..8), "a", 16, 1);
    let error = refusal(&unit, &indexes(6..11), vec![bytes_column("a", 16)]);
    assert_eq!(error.kind(), ErrorKind::CapacityExceeded);
    assert!(error.message().contains("3 new samples"), "{error}");
    assert!(error.message().contains("8 of 10"), "{error}");
    let stored = indexes(0..8);
    assert!(is_pattern(&read_one(&unit, &stored, "a"), &stored, 16, 1));
    // Stored samples need no room, and cleared ones give theirs back.
    put(&unit, &indexes(0..10), "a", 16, 2);
    assert_eq!(unit.clear(&indexes(0..3)), 3);
    put(&unit, &indexes(10..13), "a", 16, 3);
    assert_eq!(unit.usage().samples, 10);
}

#[test]
fn puts_in_flight_count_until_they_end() {
    let unit = unit(Some(2), u64::MAX);
    let first = begin_filled(&unit, &indexes(0..2), "a", 8, 1).unwrap();
    let again = begin_filled(&unit, &indexes(1..2), "b", 8, 1).unwrap();
    assert_eq!((unit.usage().samples, unit.usage().pending_samples), (0, 2));
    let error = refusal(&unit, &indexes(2..3), vec![bytes_column("a", 8)]);
    assert_eq!(error.kind(), ErrorKind::CapacityExceeded);
    drop(first);
    assert_eq!(unit.usage().pending_samples, 1);
    again.commit().unwrap();
    assert_eq!((unit.usage().samples, unit.usage().pending_samples), (1, 0));
    put(&unit, &indexes(5..6), "a", 8, 1);
    assert_eq!(unit.usage().samples, 2);
}

#[test]
fn too_many_bytes_are_refused_and_nothing_is_lost() {
    let unit = unit(None, 4 << 20);
    let at = indexes(0..3);
    put(&unit, &at, "a", 1 << 20, 1);
    let before = unit.usage();
    for at in [indexes(3..5), indexes(0..2)] {
        let error = refusal(&unit, &at, vec![bytes_column("a", 1 << 20)]);
        assert_eq!(error.kind(), ErrorKind::CapacityExceeded);
        assert!(error.message().contains("3145728 of 4194304"), "{error}");
    }
    let after = unit.usage();
    assert_eq!(after.pending_samples, 0);
    assert_eq!(after.arena.in_use(), before.arena.in_use());
    assert!(is_pattern(&read_one(&unit, &at, "a"), &at, 1 << 20, 1));
    unit.clear(&at);
    put(&unit, &indexes(3..7), "a", 1 << 20, 2);
}

#[test]
fn contradicting_arguments_are_named() {
    let unit = unit(None, u64::MAX);
    let at = indexes(0..3);
    let twice = [4, 1, 4, 2, 1].map(GlobalIndex);
    let row_shapes = RowShapes::new(1, 2, vec![1, 2]).unwrap();
    let jagged = ColumnLayout::Jagged {
        dtype: DType::Int64,
        row_shapes,
    };
    let odd = ColumnLayout::Object {
        row_sizes: vec![64, 65, 64],
    };
    let huge = ColumnLayout::Dense {
        dtype: DType::Int64,
        row_shape: vec![u64::MAX],
    };
    let plan = |layout| {
        vec![ColumnPlan {
            field: field("pixel_values"),
            layout,
        }]
    };
    let twice_named = vec![bytes_column("a", 1), bytes_column("a", 2)];
    let cases = [
        (refusal(&unit, &twice, vec![bytes_column("a", 1)]), "#1, #4"),
        (refusal(&unit, &at, twice_named), "\"a\" is given twice"),
        (refusal(&unit, &at, plan(jagged)), "2 rows, the put names 3"),
        (
            refusal(&unit, &at, plan(odd)),
            "packed buffer 1 is 65 bytes",
        ),
        (refusal(&unit, &at, plan(huge)), "\"pixel_values\""),
    ];
    for (error, wanted) in cases {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.to_string().contains(wanted), "{error}");
    }
    assert_eq!(unit.usage().pending_samples, 0);
}

#[test]
fn reading_what_is_not_stored_names_field_and_samples() {
    let unit = unit(None, u64::MAX);
    put(&unit, &indexes(0..4), "a", 8, 1);
    put(&unit, &indexes(0..2), "b", 8, 1);
    for (name, wanted) in [("b", "2 of the 4"), ("c", "4 of the 4")] {
        let error = unit
            .read(&indexes(0..4), &[field("a"), field(name)])
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.message().contains(wanted), "{error}");
        assert!(error.to_string().contains("#2, #3"), "{error}");
    }
    let mut short = [0; 31];
    let error = read_one(&unit, &indexes(0..4), "a")
        .gather_into(&mut short, 1)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_put_of_nothing_stores_nothing() {
    let unit = unit(Some(1), u64::MAX);
    let no_columns = unit.begin_put(&indexes(0..5), Vec::new()).unwrap();
    assert_eq!(no_columns.commit().unwrap(), []);
    let no_rows = unit.begin_put(&[], vec![bytes_column("a", 8)]).unwrap();
    assert_eq!(no_rows.commit().unwrap(), []);
    let usage = unit.usage();
    assert_eq!(
        (usage.samples, usage.pending_samples, usage.fields),
        (0, 0, 0)
    );
    assert_eq!(usage.arena.in_use(), 0);
    assert_eq!(unit.read(&[], &[field("a")]).unwrap()[0].rows(), 0);
}
