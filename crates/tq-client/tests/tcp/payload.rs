//! What is put over TCP is read over TCP, whatever its size and order.

use tq_client::Engine;
use tq_engine::Delivered;
use tq_proto::FieldName;

use crate::common::*;

#[test]
fn sizes_around_the_stripe_arrive_whole() {
    let host = Host::new();
    let writer: Engine = host.connect_over_tcp().into();
    let reader: Engine = host.connect_over_tcp().into();
    let stripe = 4u64 << 20;
    for (number, row_bytes) in [65_537, stripe - 1, stripe, stripe + 1, 3 * stripe + 5]
        .into_iter()
        .enumerate()
    {
        let keys = keys(number * 10..number * 10 + 1);
        put(&writer, "p", &keys, "x", row_bytes, number as u8).unwrap();
        let bytes = get(&reader, "p", &keys, "x").unwrap();
        assert_eq!(bytes.len() as u64, row_bytes);
        assert!(
            bytes.iter().all(|byte| *byte == number as u8),
            "{row_bytes}"
        );
    }
}

#[test]
fn many_fields_travel_as_one_space_and_are_views_of_memory_that_was_filled_once() {
    let host = Host::new();
    let engine: Engine = host.connect_over_tcp().into();
    let keys = keys(0..4);
    let fields: Vec<String> = (0..9).map(|field| format!("f{field}")).collect();
    let rows: Vec<u64> = (0..9).map(|field| 1 + field * 40_000).collect();
    let plans = fields.iter().zip(&rows);
    let plans = plans.map(|(field, bytes)| dense(field, *bytes)).collect();
    let mut put = engine.begin_put("p", &keys, plans).unwrap();
    for (field, column) in put.columns_mut().into_iter().enumerate() {
        fill_rows(column, rows[field] as usize, field as u8 * 16);
    }
    put.publish(None).unwrap();

    let batch = engine.read("p", &keys, None).unwrap();
    assert_eq!(batch.columns.len(), 9);
    for (field, column) in batch.columns.iter().enumerate() {
        let mut wanted = vec![0; 4 * rows[field] as usize];
        fill_rows(&mut wanted, rows[field] as usize, field as u8 * 16);
        assert_eq!(bytes_of(&engine, column), wanted, "field {field}");
        let is_view = matches!(engine.deliver(column).unwrap(), Delivered::View(_));
        assert_eq!(is_view, column.bytes() >= 64 << 10, "field {field}");
    }
}

#[test]
fn scattered_rows_arrive_in_the_order_asked_for() {
    let host = Host::new();
    let engine: Engine = host.connect_over_tcp().into();
    let all = keys(0..200);
    put(&engine, "p", &all, "x", 50_000, 0).unwrap();
    let some: Vec<String> = (0..200)
        .rev()
        .step_by(3)
        .map(|row| format!("k{row}"))
        .collect();
    let bytes = get(&engine, "p", &some, "x").unwrap();
    for (row, bytes) in (0..200u8).rev().step_by(3).zip(bytes.chunks(50_000)) {
        assert!(bytes.iter().all(|byte| *byte == row), "row {row}");
    }
}

#[test]
fn what_was_read_outlives_clear_connection_and_host() {
    let mut host = Host::new();
    let engine: Engine = host.connect_over_tcp().into();
    put(&engine, "p", &keys(0..2), "x", 1 << 20, 3).unwrap();
    let batch = engine
        .read("p", &keys(0..2), Some(&[FieldName::from("x")]))
        .unwrap();
    assert_eq!(engine.clear("p", &keys(0..2)).unwrap(), 2);
    eventually("the release of the read", || is_empty(&host.engine));
    host.stop();
    engine.close();
    let mut wanted = vec![0; 2 << 20];
    fill_rows(&mut wanted, 1 << 20, 3);
    assert_eq!(bytes_of(&engine, &batch.columns[0]), wanted);
}

#[test]
fn a_put_that_is_dropped_leaves_nothing_behind() {
    let host = Host::new();
    let engine: Engine = host.connect_over_tcp().into();
    let put = engine
        .begin_put("p", &keys(0..3), vec![dense("x", 1 << 20)])
        .unwrap();
    assert!(!is_empty(&host.engine));
    drop(put);
    eventually("the end of the put", || is_empty(&host.engine));
}
