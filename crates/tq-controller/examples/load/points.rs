//! Medians of single calls: by rows and fields of a batch, and by samples held.

use std::hint::black_box;
use std::time::Duration;

use tq_proto::Result;

use crate::calls::{Host, jagged, keys, names, request, tags, unit};
use crate::clock::Clock;
use crate::random::Random;

const PARTITION: &str = "train";
const TASK: &str = "task";
const HELD: usize = 1_000_000;
const FILL: usize = 10_000;
const ROUNDS: usize = 15;
/// Calls of small batches are timed in groups of about this many rows.
const ROWS_AT_ONCE: usize = 256;

/// Whether caches hold what a call needs: of the call before, or of nobody.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caches {
    Warm,
    Cold,
}

/// More than the last cache holds.
const FLUSH: usize = 48 << 20;

struct Times {
    clock: Clock,
    /// Read through before each call, so that the caches hold nothing of use; empty for warm ones.
    flush: Vec<u8>,
    kinds: Vec<(&'static str, Vec<Duration>)>,
}

impl Times {
    fn new(caches: Caches) -> Self {
        let flush = match caches {
            Caches::Warm => Vec::new(),
            Caches::Cold => vec![1; FLUSH],
        };
        Self {
            clock: Clock::new(),
            flush,
            kinds: Vec::new(),
        }
    }

    fn time<T>(&mut self, kind: &'static str, calls: usize, run: impl FnOnce() -> T) -> T {
        black_box(
            self.flush
                .iter()
                .step_by(64)
                .map(|byte| usize::from(*byte))
                .sum::<usize>(),
        );
        let (result, took) = self.clock.time(|| black_box(run()));
        let each = took / calls as u32;
        match self.kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, all)) => all.push(each),
            None => self.kinds.push((kind, vec![each])),
        }
        result
    }

    fn print(mut self, held: usize, rows: usize, fields: usize) {
        let cold = !self.flush.is_empty();
        for (kind, all) in &mut self.kinds {
            all.sort_unstable();
            let us = all[all.len() / 2].as_secs_f64() * 1e6;
            println!(
                "{{\"point\": \"{kind}\", \"held\": {held}, \"rows\": {rows}, \
                 \"fields\": {fields}, \"cold\": {cold}, \"us\": {us:.3}}}"
            );
        }
    }
}

/// `held` samples of `fields` fields, of which about half are ready for the task.
fn filled(held: usize, fields: usize) -> Result<Host> {
    let mut host = Host::new()?;
    for from in (0..held).step_by(FILL) {
        let count = FILL.min(held - from);
        let updates = jagged(&names(fields), count, from)?;
        let (keys, tags) = (keys(from, count), tags(from, count));
        host.put_keys(PARTITION, &keys, &updates, tags, unit(from / FILL))?;
    }
    // What is ready in a job that runs lies scattered, as samples are done in no order.
    let mut random = Random::new(11);
    let mut half = host.controller.all_indexes(PARTITION)?;
    half.retain(|_| random.below(2) == 0);
    host.controller
        .claim(PARTITION, TASK, &names(fields), &half, &half, false)?;
    Ok(host)
}

/// Each kind of call on batches of `rows`, in a host that holds `held` samples before and after.
fn measure(
    host: &mut Host,
    (held, rows, fields): (usize, usize, usize),
    caches: Caches,
) -> Result<Times> {
    let names = names(fields);
    let calls = match caches {
        Caches::Warm => (ROWS_AT_ONCE / rows).max(1),
        Caches::Cold => 1,
    };
    let mut times = Times::new(caches);
    let mut random = Random::new(rows as u64);
    for round in 0..ROUNDS {
        let from = |call: usize| held + (round * calls + call) * rows;
        let new: Vec<_> = (0..calls).map(|call| keys(from(call), rows)).collect();
        let mut any_rows = || {
            let any = (0..rows).map(|_| format!("sample_{}", random.below(held)));
            any.collect::<Vec<_>>()
        };
        let shuffled: Vec<_> = (0..calls).map(|_| any_rows()).collect();
        let updates = jagged(&names, rows, round)?;
        let given: Vec<_> = (0..calls).map(|call| tags(from(call), rows)).collect();
        times.time("put", calls, || {
            new.iter().zip(given).try_for_each(|(keys, tags)| {
                host.put_keys(PARTITION, keys, &updates, tags, unit(round))
            })
        })?;
        times.time("get", calls, || {
            let find = |keys: &Vec<String>| host.find(PARTITION, keys, &names).map(drop);
            shuffled.iter().try_for_each(find)
        })?;
        let asked = request(PARTITION, TASK, &names, rows);
        let batches = times.time("claim", calls, || {
            (0..calls)
                .map(|_| host.claim(&asked))
                .collect::<Result<Vec<_>>>()
        })?;
        let claimed: Vec<_> = batches
            .into_iter()
            .flatten()
            .map(|batch| batch.global_indexes)
            .collect();
        times.time("locate", calls, || {
            for indexes in &claimed {
                black_box(host.locate(indexes, &names));
            }
        });
        times.time("put_fields", calls, || {
            claimed.iter().try_for_each(|indexes| {
                host.put_indexes(PARTITION, indexes, &updates, unit(round + 1))
            })
        })?;
        for indexes in &claimed {
            let controller = &mut host.controller;
            controller.reset_consumption(PARTITION, Some(TASK), Some(indexes));
        }
        times.time("clear", calls, || {
            for keys in &new {
                black_box(host.clear(PARTITION, keys));
            }
        });
    }
    Ok(times)
}

/// Each kind of call by rows and fields, with a million samples held. Those of 24 and 500 rows are
/// not for the fit, but to test it.
pub(crate) fn by_batch(caches: Caches) -> Result<()> {
    for fields in [1, 3, 8] {
        let mut host = filled(HELD, fields)?;
        for rows in [1, 4, 16, 24, 64, 256, 500, 1024, 4096] {
            measure(&mut host, (HELD, rows, fields), caches)?.print(HELD, rows, fields);
        }
    }
    Ok(())
}

/// Memory of this process that is resident, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * 4096
}

/// Each kind of call on batches of 256 with `held` samples, and what these take. In a process of its
/// own, because freed memory does not go back to the system.
pub(crate) fn by_samples(held: usize) -> Result<()> {
    const FIELDS: usize = 4;
    let before = resident();
    let mut host = filled(held, FIELDS)?;
    let bytes = resident().saturating_sub(before) as f64 / held as f64;
    println!("{{\"memory\": {held}, \"fields\": {FIELDS}, \"bytes_per_sample\": {bytes:.0}}}");
    measure(&mut host, (held, 256, FIELDS), Caches::Warm)?.print(held, 256, FIELDS);
    let mut times = Times::new(Caches::Warm);
    for _ in 0..5 {
        times.time("list", 1, || host.list(PARTITION));
    }
    times.print(held, held, FIELDS);
    Ok(())
}
