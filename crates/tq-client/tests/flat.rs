//! Memory does not grow with what was put and cleared.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Host, dense, eventually, is_empty, keys};
use tq_client::Engine;

const ROWS: usize = 64;
const ROW_BYTES: u64 = 1 << 20;

/// Pages of this process that are resident, in bytes; shared ones are counted as well.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size() as u64
}

fn cycles(engine: &Engine, host: &Host, count: usize) {
    let keys = keys(0..ROWS);
    for round in 0..count {
        let mut put = engine
            .begin_put("p", &keys, vec![dense("x", ROW_BYTES)])
            .unwrap();
        for column in put.columns_mut() {
            column.fill(round as u8);
        }
        put.publish(None).unwrap();
        let batch = engine.read("p", &keys, None).unwrap();
        let delivered = engine.deliver(&batch.columns[0]).unwrap();
        assert_eq!(delivered.len(), ROWS as u64 * ROW_BYTES);
        drop((delivered, batch));
        engine.clear("p", &keys).unwrap();
    }
    engine.clear_partition("p").unwrap();
    eventually("the return of all memory", || is_empty(&host.engine));
}

#[test]
fn five_hundred_cycles_of_64_mib_need_no_more_memory_than_the_first_ones() {
    let host = Host::new();
    let engine: Engine = host.connect().into();
    cycles(&engine, &host, 50);
    let mut resident_after = vec![resident()];
    for _ in 0..3 {
        cycles(&engine, &host, 150);
        resident_after.push(resident());
    }
    // A batch whose return comes late makes the next one take a further buffer, which then stays
    // warm; that may first happen at any time, but not for ever. A leak of 1 % of each cycle would
    // add one and a half batches to every part.
    let half_a_batch = ROWS as u64 * ROW_BYTES / 2;
    assert!(
        resident_after
            .windows(2)
            .any(|part| part[1] < part[0] + half_a_batch),
        "grows in every part, bytes: {resident_after:?}"
    );
}
