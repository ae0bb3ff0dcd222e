//! How near writing a packed buffer comes to a plain copy of the same bytes, both between warm
//! memory, with and without the frames' checksum. Run it on an otherwise idle machine:
//!
//! ```text
//! cargo run --release -p tq-codec --example throughput
//! ```

#![allow(clippy::print_stdout, reason = "prints its figures")]

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use tq_codec::{Plan, PlanError, Slot, checksum, write_batch};

/// Bytes of the one frame.
const FRAME: usize = 512 << 20;
/// Rounds; each measures every line once, so that a slow moment falls on all lines alike.
const ROUNDS: usize = 7;
/// One null: the header is not what is measured.
const HEADER: &[u8] = &[0xc0];

fn main() -> Result<(), PlanError> {
    let source: Vec<u8> = (0..FRAME).map(|at| (at >> 3) as u8 ^ at as u8).collect();
    let plan = Plan::new(HEADER.len() as u64, [FRAME as u64].into_iter())?;
    // Written once here, so that no measured line pays for the first touch of a page.
    let mut buffer = vec![1; plan.total_len as usize];

    let names = [
        "memcpy, 1 thread",
        "memcpy, 2 threads",
        "write, 1 worker",
        "write, 2 workers",
        "write with checksum, 1 worker",
        "write with checksum, 2 workers",
        "checksum alone, 1 thread",
    ];
    let mut rounds = [const { Vec::new() }; 7];
    for _ in 0..ROUNDS {
        let measured = [
            timed(|| copy(&source, &mut buffer, 1)),
            timed(|| copy(&source, &mut buffer, 2)),
            timed_write(plan, &source, &mut buffer, false, 1)?,
            timed_write(plan, &source, &mut buffer, false, 2)?,
            timed_write(plan, &source, &mut buffer, true, 1)?,
            timed_write(plan, &source, &mut buffer, true, 2)?,
            timed(|| {
                black_box(checksum::frames(&source));
            }),
        ];
        for (times, time) in rounds.iter_mut().zip(measured) {
            times.push(time);
        }
    }

    let medians = rounds.map(median);
    println!(
        "{:32} {:>7} {:>8}",
        "512 MiB, median of 7", "GB/s", "memcpy ="
    );
    for (name, time) in names.into_iter().zip(medians) {
        let rate = FRAME as f64 / time.as_secs_f64() / 1e9;
        let against = medians[usize::from(name.contains('2'))];
        println!(
            "{name:32} {rate:7.2} {:8.2}",
            against.as_secs_f64() / time.as_secs_f64()
        );
    }
    Ok(())
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn copy(source: &[u8], buffer: &mut [u8], threads: usize) {
    let share = source.len().div_ceil(threads);
    thread::scope(|scope| {
        let mut pairs = source.chunks(share).zip(buffer.chunks_mut(share));
        let own = pairs.next();
        for (from, to) in pairs {
            scope.spawn(move || to[..from.len()].copy_from_slice(from));
        }
        if let Some((from, to)) = own {
            to[..from.len()].copy_from_slice(from);
        }
    });
    black_box(buffer);
}

fn timed_write(
    plan: Plan,
    source: &[u8],
    buffer: &mut [u8],
    checksum: bool,
    workers: usize,
) -> Result<Duration, PlanError> {
    let slot = Slot {
        plan,
        header: HEADER,
        frames: &[source],
        buffer,
        checksum,
        empty: false,
    };
    let start = Instant::now();
    write_batch(vec![slot], workers)?;
    Ok(start.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
