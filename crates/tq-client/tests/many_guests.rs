//! Fifty guests at once, each checking every byte that it reads.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::thread;

use common::{Host, eventually, get, is_empty, keys, put};
use tq_client::{ConnectConfig, Engine};
use tq_proto::ErrorKind;

const GUESTS: usize = 50;
const ROUNDS: usize = 8;

#[test]
fn fifty_guests_see_whole_batches_and_their_own_bytes() {
    let host = Host::new();
    thread::scope(|scope| {
        for number in 0..GUESTS {
            let host = &host;
            scope.spawn(move || guest(&host.connect().into(), number));
        }
    });
    host.engine.clear_partition("common").unwrap();
    eventually("the end of all sessions", || is_empty(&host.engine));
}

#[test]
fn connections_beside_each_other_are_guests_of_their_own() {
    let host = Host::new();
    let first = host.connect();
    let beside = || {
        let config = ConnectConfig {
            deadline: common::LIMIT,
            ..ConnectConfig::default()
        };
        first.connect_beside(&host.address(), config).unwrap()
    };
    let (one, other) = (beside(), beside());
    assert_eq!(first.overview().unwrap().guests.len(), 2);
    one.close();
    eventually("the end of one session", || {
        first.overview().unwrap().guests.len() == 1
    });
    let engine = Engine::There(other);
    put(&engine, "beside", &keys(0..4), "x", 48 << 10, 7).unwrap();
    check(
        &get(&engine, "beside", &keys(0..4), "x").unwrap(),
        48 << 10,
        Some(7),
    );
    first.close();
    let refused = first.connect_beside(&host.address(), ConnectConfig::default());
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(engine.clear_partition("beside").unwrap(), Some(4));
}

fn guest(engine: &Engine, number: usize) {
    let own = format!("own{number}");
    for round in 0..ROUNDS {
        // Small ones travel in messages, large ones lie in shared memory.
        let row_bytes = if (number + round).is_multiple_of(2) {
            64
        } else {
            48 << 10
        };
        let fill = (number * ROUNDS + round) as u8;
        put(engine, &own, &keys(0..4), "x", row_bytes, fill).unwrap();
        let bytes = get(engine, &own, &keys(0..4), "x").unwrap();
        check(&bytes, row_bytes, Some(fill));
        // Everybody overwrites the same samples; a reader sees one writer's batch.
        put(engine, "common", &keys(0..4), "x", row_bytes, fill).unwrap();
        match get(engine, "common", &keys(0..4), "x") {
            Ok(bytes) => check(&bytes, bytes.len() as u64 / 4, None),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}"),
        }
        engine.clear(&own, &keys(0..4)).unwrap();
    }
    assert_eq!(engine.clear_partition(&own).unwrap(), Some(0));
}

fn check(bytes: &[u8], row_bytes: u64, fill: Option<u8>) {
    let first = fill.unwrap_or(bytes[0]);
    for (row, bytes) in bytes.chunks(row_bytes as usize).enumerate() {
        let wanted = first.wrapping_add(row as u8);
        assert!(bytes.iter().all(|byte| *byte == wanted), "row {row}");
    }
}
