//! How fast payload goes from one machine to another, for a look beside `iperf3`.
//!
//! ```text
//! cargo run --release -p tq-client --example bulk_speed serve 10.77.0.1:7700
//! cargo run --release -p tq-client --example bulk_speed run tcp:10.77.0.1:7700 [connections]
//! ```
//!
//! The second prints a line of JSON: MiB/s of putting and getting 512 MiB of dense rows, five times.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that measures"
)]

use std::time::Instant;

use tq_client::{ConnectConfig, Engine, Remote};
use tq_engine::{Embedded, EmbeddedConfig};
use tq_proto::{DType, FieldName};
use tq_server::{Server, ServerConfig, TcpConfig};
use tq_storage::{ColumnLayout, ColumnPlan};
use tq_wire::secret::Secret;

const ROWS: usize = 512;
const ROW_BYTES: u64 = 1 << 20;
const ROUNDS: usize = 6;

fn secret() -> Secret {
    Secret::new(*b"for a measurement, no secret at all").unwrap()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["serve", bind] => serve(bind),
        ["run", address] => run(address, 2),
        ["run", address, connections] => run(address, connections.parse().unwrap()),
        _ => println!("usage: bulk_speed serve HOST:PORT | run tcp:HOST:PORT [CONNECTIONS]"),
    }
}

fn serve(bind: &str) {
    let engine = Embedded::new(EmbeddedConfig::default()).unwrap();
    let directory = std::env::temp_dir().join(format!("tq-bulk-speed-{}", std::process::id()));
    let mut config = ServerConfig::new(&directory);
    config.tcp = Some(TcpConfig::new(bind, secret()));
    let server = Server::start(engine, config).unwrap();
    println!("{}", server.tcp_address().unwrap());
    let mut line = String::new();
    // Ends with its standard input.
    std::io::stdin().read_line(&mut line).unwrap();
    drop(server);
    let _ = std::fs::remove_dir_all(directory);
}

fn run(address: &str, connections: usize) {
    let config = ConnectConfig {
        secret: Some(secret()),
        connections,
        ..ConnectConfig::default()
    };
    let engine: Engine = Remote::connect(address, config).unwrap().into();
    let keys: Vec<String> = (0..ROWS).map(|row| format!("k{row}")).collect();
    let field = FieldName::from("x");
    let (mut puts, mut gets) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let plan = ColumnPlan {
            field: field.clone(),
            layout: ColumnLayout::Dense {
                dtype: DType::UInt8,
                row_shape: vec![ROW_BYTES],
            },
        };
        let mut put = engine.begin_put("p", &keys, vec![plan]).unwrap();
        for column in put.columns_mut() {
            column.fill(round as u8 + 1);
        }
        // Without the copy into what is sent, as `iperf3` makes none either.
        let start = Instant::now();
        put.publish(None).unwrap();
        puts.push(start.elapsed());
        let start = Instant::now();
        let batch = engine
            .read("p", &keys, Some(std::slice::from_ref(&field)))
            .unwrap();
        gets.push(start.elapsed());
        for slice in batch.columns[0].slices() {
            assert!(slice.iter().all(|byte| *byte == round as u8 + 1));
        }
        drop(batch);
        engine.clear("p", &keys).unwrap();
    }
    let speed = |times: &[std::time::Duration]| {
        // The first round has no warm memory yet.
        let mib = (ROWS as u64 * ROW_BYTES) as f64 / f64::from(1 << 20);
        let rates: Vec<_> = times[1..]
            .iter()
            .map(|time| mib / time.as_secs_f64())
            .collect();
        rates
            .iter()
            .map(|rate| format!("{rate:.0}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    println!(
        "{{\"put\": [{}], \"get\": [{}]}}",
        speed(&puts),
        speed(&gets)
    );
}
