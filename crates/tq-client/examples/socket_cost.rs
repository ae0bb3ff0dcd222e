//! What the distance to a host costs: small calls over the socket, large batches through shared
//! memory, beside the same in one process and a plain copy.

#![allow(clippy::print_stdout, reason = "it is what the example is for")]

use std::error::Error;
use std::time::{Duration, Instant};

use tq_client::{ConnectConfig, Engine, Remote};
use tq_engine::{Embedded, EmbeddedConfig};
use tq_proto::DType;
use tq_server::{Server, ServerConfig};
use tq_storage::{ColumnLayout, ColumnPlan};

const SMALL: u64 = 1 << 10;
const LARGE: u64 = 256 << 20;

fn plan(bytes: u64) -> Vec<ColumnPlan> {
    let layout = ColumnLayout::Dense {
        dtype: DType::UInt8,
        row_shape: vec![bytes],
    };
    vec![ColumnPlan {
        field: "x".into(),
        layout,
    }]
}

fn put(engine: &Engine, key: &str, payload: &[u8]) -> tq_proto::Result<()> {
    let mut put = engine.begin_put("p", &[key], plan(payload.len() as u64))?;
    for column in put.columns_mut() {
        column.copy_from_slice(payload);
    }
    put.publish(None).map(drop)
}

fn get(engine: &Engine, key: &str) -> tq_proto::Result<u64> {
    let batch = engine.read("p", &[key], None)?;
    let delivered = batch.columns.iter().map(|column| engine.deliver(column));
    delivered.map(|bytes| Ok(bytes?.len())).sum()
}

/// The median time of `rounds` calls.
fn median<T>(
    rounds: usize,
    mut call: impl FnMut() -> tq_proto::Result<T>,
) -> tq_proto::Result<Duration> {
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = Instant::now();
        call()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[rounds / 2])
}

fn rate(time: Duration) -> f64 {
    LARGE as f64 / time.as_secs_f64() / 1e9
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("tq-cost-{}", std::process::id()));
    let engine = Embedded::new(EmbeddedConfig::default())?;
    let server = Server::start(engine.clone(), ServerConfig::new(&directory))?;
    let remote = Remote::connect(&server.address(), ConnectConfig::default())?;
    let payload = vec![1u8; LARGE as usize];
    let small = &payload[..SMALL as usize];
    for (name, engine) in [("here", engine.into()), ("there", Engine::from(remote))] {
        put(&engine, "small", small)?;
        let ask = median(2000, || engine.sequence("p"))?;
        let put_small = median(2000, || put(&engine, "small", small))?;
        let get_small = median(2000, || get(&engine, "small"))?;
        println!("{name:>6}: p50 sequence {ask:?}, 1 KiB put {put_small:?}, get {get_small:?}");
        for _ in 0..3 {
            put(&engine, "large", &payload)?;
        }
        let put_large = median(7, || put(&engine, "large", &payload))?;
        let get_large = median(7, || get(&engine, "large"))?;
        println!(
            "{name:>6}: 256 MiB put {put_large:?} ({:.1} GB/s), get {get_large:?}",
            rate(put_large)
        );
    }
    let mut copy = vec![0u8; LARGE as usize];
    let copied = median(7, || {
        copy.copy_from_slice(&payload);
        Ok(())
    })?;
    println!("  copy: 256 MiB {copied:?} ({:.1} GB/s)", rate(copied));
    server.stop();
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}
