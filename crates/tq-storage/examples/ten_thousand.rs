//! Times one put, read, gather and clear of 10,000 samples x 4 fields. Prints, asserts nothing.
#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::time::{Duration, Instant};

use tq_arena::{Arena, ArenaConfig};
use tq_proto::{DType, FieldName, GlobalIndex, Result};
use tq_storage::{ColumnLayout, ColumnPlan, StorageConfig, StorageUnit};

const SAMPLES: u64 = 10_000;
const ROW_BYTES: u64 = 1024;
const ROUNDS: u64 = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let unit = StorageUnit::new(
        Arena::new(ArenaConfig::default())?,
        StorageConfig {
            max_samples: Some(SAMPLES),
        },
    );
    let names = ["prompts", "responses", "attention_mask", "log_probs"].map(FieldName::from);
    let mut dst = vec![1u8; (SAMPLES * ROW_BYTES) as usize];
    let mut best: Vec<(&str, Duration)> = Vec::new();
    for round in 0..ROUNDS {
        let at: Vec<_> = (0..SAMPLES)
            .map(|n| GlobalIndex(round * SAMPLES + n))
            .collect();
        let mut scattered = at.clone();
        scattered.sort_unstable_by_key(|index| index.0.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut times = Vec::new();
        let mut timed = |name, since: Instant| times.push((name, since.elapsed()));

        let start = Instant::now();
        let layout = ColumnLayout::Dense {
            dtype: DType::UInt8,
            row_shape: vec![ROW_BYTES],
        };
        let plan = |field: &FieldName| ColumnPlan {
            field: field.clone(),
            layout: layout.clone(),
        };
        let mut put = unit.begin_put(&at, names.iter().map(plan).collect())?;
        timed("begin_put", start);
        let start = Instant::now();
        put.columns_mut()
            .into_iter()
            .for_each(|column| column.fill(round as u8));
        timed("fill", start);
        let start = Instant::now();
        put.commit()?;
        timed("commit", start);
        let start = Instant::now();
        drop(unit.read(&at, &names)?);
        timed("read in order", start);
        let start = Instant::now();
        let reads = unit.read(&scattered, &names)?;
        timed("read scattered", start);
        let start = Instant::now();
        reads
            .iter()
            .try_for_each(|read| read.gather_into(&mut dst, 2))?;
        timed("gather scattered", start);
        drop(reads);
        let start = Instant::now();
        unit.clear(&at);
        timed("clear", start);

        if best.is_empty() {
            best = times;
        } else {
            best.iter_mut()
                .zip(times)
                .for_each(|(best, now)| best.1 = best.1.min(now.1));
        }
    }
    println!(
        "{SAMPLES} samples x {} fields of {ROW_BYTES} bytes, best of {ROUNDS}:",
        names.len()
    );
    for (name, time) in best {
        println!("{name:>20}  {:8.3} ms", time.as_secs_f64() * 1e3);
    }
    Ok(())
}
