//! Readers, writers and clears at the same time: batches are seen whole or not at all.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::*;
use tq_proto::{ErrorKind, GlobalIndex};
use tq_storage::StorageUnit;

const SAMPLES: u64 = 32;
const ROW: u64 = 5000;

/// Puts both fields of all samples with the same byte in all rows.
fn put_version(unit: &StorageUnit, at: &[GlobalIndex], version: u8) {
    let columns = vec![bytes_column("a", ROW), bytes_column("b", 24)];
    let mut put = unit.begin_put(at, columns).unwrap();
    put.columns_mut()
        .into_iter()
        .for_each(|column| column.fill(version));
    put.commit().unwrap();
}

#[test]
fn readers_see_one_version_of_a_batch() {
    let unit = unit(Some(SAMPLES), u64::MAX);
    let at = indexes(0..SAMPLES);
    put_version(&unit, &at, 0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let fields = ["a", "b"].map(field);
                while !done.load(Ordering::Relaxed) {
                    let reads = unit.read(&at, &fields).unwrap();
                    let version = reads[1].row_bytes(0).unwrap()[0];
                    for read in &reads {
                        assert!(gathered(read).iter().all(|byte| *byte == version));
                    }
                }
            });
        }
        for version in 1..200 {
            put_version(&unit, &at, version);
        }
        done.store(true, Ordering::Relaxed);
    });
    unit.clear(&at);
    assert_eq!(unit.usage().arena.in_use(), 0);
}

#[test]
fn writers_of_their_own_samples_and_clears_do_not_disturb_each_other() {
    let unit = unit(None, u64::MAX);
    thread::scope(|scope| {
        for writer in 0..3u64 {
            let unit = &unit;
            scope.spawn(move || {
                for round in 0..40 {
                    // Neighbours of other writers share pages of the index.
                    let mine = |n: u64| GlobalIndex((round * 8 + n) * 3 + writer);
                    let at: Vec<_> = (0..8).map(mine).collect();
                    put(unit, &at, "shared", 40_000, writer);
                    put(unit, &at[..4], &format!("own{writer}"), 100, round);
                    let read = read_one(unit, &at, "shared");
                    assert_eq!(unit.clear(&at[..6]), 6);
                    assert!(is_pattern(&read, &at, 40_000, writer));
                    let gone = unit.read(&at, &[field("shared")]).unwrap_err();
                    assert_eq!(gone.kind(), ErrorKind::NotFound);
                    assert!(is_pattern(
                        &read_one(unit, &at[6..], "shared"),
                        &at[6..],
                        40_000,
                        writer
                    ));
                }
            });
        }
    });
    assert_eq!(unit.usage().samples, 3 * 40 * 2);
    assert_eq!(unit.usage().fields, 1);
    unit.clear(&indexes(0..3 * 40 * 8));
    let usage = unit.usage();
    assert_eq!(
        (usage.samples, usage.fields, usage.arena.in_use()),
        (0, 0, 0)
    );
}

#[test]
fn clears_race_with_puts_of_the_same_samples() {
    let unit = unit(Some(SAMPLES), u64::MAX);
    let at = indexes(0..SAMPLES);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..150 {
                unit.clear(&at[8..]);
            }
        });
        scope.spawn(|| (0..150).for_each(|version| put_version(&unit, &at, version)));
        scope.spawn(|| (0..150).for_each(|version| put_version(&unit, &at[4..], version)));
    });
    let kept = indexes(0..8);
    assert_eq!(read_one(&unit, &kept, "a").rows(), 8);
    unit.clear(&at);
    let usage = unit.usage();
    assert_eq!(
        (usage.samples, usage.pending_samples, usage.arena.in_use()),
        (0, 0, 0)
    );
}
