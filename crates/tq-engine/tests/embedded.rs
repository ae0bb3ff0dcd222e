//! The engine as its users meet it: what a put leaves behind when it succeeds, fails or is dropped.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tq_engine::{Delivered, Embedded, EmbeddedConfig};
use tq_proto::{DType, ErrorKind, FieldName};
use tq_storage::{ColumnLayout, ColumnPlan};

const ROW: u64 = 16;

fn engine() -> Embedded {
    Embedded::new(EmbeddedConfig {
        threads: 2,
        ..EmbeddedConfig::default()
    })
    .unwrap()
}

fn column(field: &str) -> ColumnPlan {
    let layout = ColumnLayout::Dense {
        dtype: DType::UInt8,
        row_shape: vec![ROW],
    };
    ColumnPlan {
        field: field.into(),
        layout,
    }
}

/// Puts one column in which every byte of a row is `fill`.
fn put(
    engine: &Embedded,
    partition: &str,
    keys: &[&str],
    field: &str,
    fill: u8,
) -> tq_proto::Result<()> {
    let mut put = engine.begin_put(partition, keys, vec![column(field)])?;
    for bytes in put.columns_mut() {
        bytes.fill(fill);
    }
    put.publish(None).map(drop)
}

/// The bytes of one field, as a copy (the rows are small).
fn get(
    engine: &Embedded,
    partition: &str,
    keys: &[&str],
    field: &str,
) -> tq_proto::Result<Vec<u8>> {
    let select = [FieldName::from(field)];
    let batch = engine.read(partition, keys, Some(&select))?;
    match engine.deliver(&batch.columns[0])? {
        Delivered::Warm(buffer) => Ok(buffer.as_slice().to_vec()),
        Delivered::View(_) => unreachable!("small columns are copied"),
    }
}

fn nothing_is_left(engine: &Embedded) {
    let usage = engine.usage().unwrap();
    assert_eq!(usage.storage.samples, 0);
    assert_eq!(usage.storage.pending_samples, 0);
    assert_eq!(usage.storage.arena.in_use(), 0);
}

#[test]
fn rows_come_back_in_the_order_asked_for() {
    let engine = engine();
    put(&engine, "p", &["a"], "x", 1).unwrap();
    put(&engine, "p", &["b"], "x", 2).unwrap();
    let bytes = get(&engine, "p", &["b", "a", "b"], "x").unwrap();
    let firsts: Vec<u8> = bytes.chunks(ROW as usize).map(|row| row[0]).collect();
    assert_eq!(firsts, [2, 1, 2]);
}

#[test]
fn a_dropped_put_leaves_nothing() {
    let engine = engine();
    drop(
        engine
            .begin_put("p", &["a", "b"], vec![column("x")])
            .unwrap(),
    );
    assert!(engine.list(None).unwrap().is_empty());
    nothing_is_left(&engine);
}

#[test]
fn a_put_that_does_not_fit_leaves_nothing_and_loses_nothing() {
    let config = EmbeddedConfig {
        max_samples: Some(2),
        ..EmbeddedConfig::default()
    };
    let engine = Embedded::new(config).unwrap();
    put(&engine, "p", &["a"], "x", 1).unwrap();
    let error = put(&engine, "p", &["b", "c"], "x", 2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CapacityExceeded);
    assert_eq!(engine.list(Some("p")).unwrap()[0].samples.len(), 1);
    assert_eq!(get(&engine, "p", &["a"], "x").unwrap(), [1; ROW as usize]);
    engine.clear("p", &["a"]).unwrap();
    put(&engine, "p", &["b", "c"], "x", 2).unwrap();
}

#[test]
fn two_puts_of_one_new_key_that_overlap_make_one_sample() {
    let engine = engine();
    let mut first = engine.begin_put("p", &["a"], vec![column("x")]).unwrap();
    put(&engine, "p", &["a"], "y", 2).unwrap();
    first.columns_mut()[0].fill(1);
    first.publish(None).unwrap();
    assert_eq!(engine.usage().unwrap().storage.samples, 1);
    assert_eq!(get(&engine, "p", &["a"], "x").unwrap(), [1; ROW as usize]);
    assert_eq!(get(&engine, "p", &["a"], "y").unwrap(), [2; ROW as usize]);
}

#[test]
fn a_clear_during_a_put_wins_and_leaves_nothing() {
    let engine = engine();
    put(&engine, "p", &["a"], "x", 1).unwrap();
    let mut second = engine.begin_put("p", &["a"], vec![column("y")]).unwrap();
    second.columns_mut()[0].fill(2);
    engine.clear("p", &["a"]).unwrap();
    let error = second.publish(None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    nothing_is_left(&engine);
}

#[test]
fn a_cleared_key_is_a_new_sample_when_it_is_put_again() {
    let engine = engine();
    put(&engine, "p", &["a"], "x", 1).unwrap();
    engine.clear("p", &["a"]).unwrap();
    put(&engine, "p", &["a"], "y", 2).unwrap();
    let batch = engine.read("p", &["a"], None).unwrap();
    assert_eq!(batch.ready, [FieldName::from("y")]);
}

#[test]
fn keys_without_a_field_in_common_are_not_ready() {
    let engine = engine();
    put(&engine, "p", &["a"], "x", 1).unwrap();
    put(&engine, "p", &["b"], "y", 1).unwrap();
    assert_eq!(
        engine.read("p", &["a", "b"], None).unwrap_err().kind(),
        ErrorKind::NotReady
    );
    assert_eq!(
        engine.read("p", &["c"], None).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        engine.read("q", &["a"], None).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn missing_keys_are_told_and_the_others_read() {
    let engine = engine();
    put(&engine, "p", &["a", "b"], "x", 1).unwrap();
    let batch = engine.read("p", &["z", "b", "y", "a"], None).unwrap();
    assert_eq!((batch.positions, batch.missing), (vec![1, 3], vec![0, 2]));
}

#[test]
fn scattered_rows_arrive_in_parts_that_cover_all_of_them() {
    let engine = engine();
    let large = 1 << 18;
    let keys = ["a", "b", "c", "d"];
    let layout = ColumnLayout::Object {
        row_sizes: vec![large, 64, 64, large],
    };
    let plan = ColumnPlan {
        field: "x".into(),
        layout,
    };
    engine
        .begin_put("p", &keys, vec![plan])
        .unwrap()
        .publish(None)
        .unwrap();
    let batch = engine.read("p", &["d", "b", "c", "a"], None).unwrap();
    let parts = engine.deliver_parts(&batch.columns[0]).unwrap();
    let rows: Vec<usize> = parts.iter().flat_map(|part| part.rows.clone()).collect();
    assert_eq!(rows, [0, 1, 2, 3]);
    let lens: Vec<u64> = parts.iter().map(|part| part.bytes.len()).collect();
    assert_eq!(lens.iter().sum::<u64>(), 2 * large + 128);
}

#[test]
fn a_closed_engine_refuses_every_call() {
    let engine = engine();
    let pending = engine.begin_put("p", &["a"], vec![column("x")]).unwrap();
    engine.close();
    assert_eq!(pending.publish(None).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(engine.list(None).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(
        engine.clear("p", &["a"]).unwrap_err().kind(),
        ErrorKind::Closed
    );
    assert_eq!(
        put(&engine, "p", &["a"], "x", 1).unwrap_err().kind(),
        ErrorKind::Closed
    );
}

#[test]
fn readers_never_see_half_a_batch_or_a_strangers_bytes() {
    const KEYS: [&str; 4] = ["a", "b", "c", "d"];
    let engine = engine();
    put(&engine, "p", &KEYS, "x", 0).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..2u8)
            .map(|writer| {
                let engine = engine.clone();
                scope.spawn(move || write_and_clear(&engine, writer, &KEYS))
            })
            .collect();
        for _ in 0..2 {
            let (engine, done) = (engine.clone(), &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    match get(&engine, "p", &KEYS, "x") {
                        Ok(bytes) => assert!(bytes.iter().all(|byte| *byte == bytes[0])),
                        Err(error) => assert!(
                            matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotReady),
                            "{error:?}"
                        ),
                    }
                }
            });
        }
        let ends: Vec<_> = writers
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        done.store(true, Ordering::Relaxed);
        assert!(ends.into_iter().all(|end| end.is_ok()), "a writer failed");
    });
    engine.clear("p", &KEYS).unwrap();
    nothing_is_left(&engine);
}

fn write_and_clear(engine: &Embedded, writer: u8, keys: &[&str]) {
    for round in 0..300u16 {
        let fill = writer.wrapping_mul(100).wrapping_add(round as u8);
        // A clear may win over a put; the batch is then simply not there.
        match put(engine, "p", keys, "x", fill) {
            Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error:?}"),
            _ => {}
        }
        if round % 7 == 0 {
            engine.clear("p", keys).unwrap();
        }
    }
}
