//! A thousand guests of ten processes at once: no error, no update lost, and all memory returned.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(
    clippy::disallowed_methods,
    reason = "the environment tells the processes of this test what they are"
)]

mod common;

use std::process::{Child, Command, Stdio};
use std::thread;

use common::{Host, eventually, get, is_empty, keys, over_tcp, put, tags};
use tq_client::{ConnectConfig, Engine, Remote};

const PROCESSES: usize = 10;
const GUESTS: usize = 100;
const ROUNDS: usize = 4;
/// Tells this binary that it is one of the processes, and where the host is.
const PROCESS: &str = "TQ_TEST_PROCESS";
const ADDRESSES: &str = "TQ_TEST_ADDRESSES";

#[test]
fn a_thousand_guests_lose_nothing_and_leave_nothing() {
    if let Ok(number) = std::env::var(PROCESS) {
        return process(number.parse().unwrap());
    }
    let host = Host::new();
    let addresses = format!("{} {}", host.address(), host.tcp_address());
    let processes: Vec<Child> = (0..PROCESSES)
        .map(|number| {
            Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "a_thousand_guests_lose_nothing_and_leave_nothing",
                ])
                .env(PROCESS, number.to_string())
                .env(ADDRESSES, &addresses)
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    let all = host.engine.list(Some("all")).unwrap();
    assert_eq!(all[0].samples.len(), PROCESSES * GUESTS * ROUNDS);
    let partitions = host.engine.list(None).unwrap();
    assert!(
        partitions
            .iter()
            .all(|partition| { partition.samples.is_empty() || &*partition.partition == "all" })
    );
    host.engine.clear_partition("all").unwrap();
    eventually("the end of all sessions", || is_empty(&host.engine));
}

fn process(number: usize) {
    let addresses = std::env::var(ADDRESSES).unwrap();
    let (unix, tcp) = addresses.split_once(' ').unwrap();
    thread::scope(|scope| {
        for guest in number * GUESTS..(number + 1) * GUESTS {
            scope.spawn(move || {
                let config = ConnectConfig {
                    connections: 1,
                    ..over_tcp()
                };
                // Every fourth one as if it were of another host.
                let address = if guest.is_multiple_of(4) { tcp } else { unix };
                let engine = Remote::connect(address, config).unwrap().into();
                work(&engine, guest);
            });
        }
    });
}

fn work(engine: &Engine, guest: usize) {
    let own = format!("own{guest}");
    let keys = keys(0..3);
    for round in 0..ROUNDS {
        // Some travel in messages, some lie in shared memory or go over connections of their own.
        let row_bytes = if (guest + round).is_multiple_of(5) {
            40_000
        } else {
            500
        };
        let fill = (guest * ROUNDS + round) as u8;
        put(engine, &own, &keys, "x", row_bytes, fill).unwrap();
        let bytes = get(engine, &own, &keys, "x").unwrap();
        for (row, bytes) in bytes.chunks(row_bytes as usize).enumerate() {
            let wanted = fill.wrapping_add(row as u8);
            assert!(
                bytes.iter().all(|byte| *byte == wanted),
                "{guest} {round} {row}"
            );
        }
        let ours = [format!("{guest}.{round}")];
        let update = engine.begin_put("all", &ours, Vec::new()).unwrap();
        let value = (guest * ROUNDS + round) as i64;
        update.publish(Some(vec![tags("value", value)])).unwrap();
        let listed = engine
            .batch_of_keys("all", &ours, false)
            .unwrap()
            .0
            .unwrap();
        assert_eq!(listed.tags, [tags("value", value)]);
        assert_eq!(engine.clear(&own, &keys).unwrap(), 3);
    }
    engine.clear_partition(&own).unwrap();
}
