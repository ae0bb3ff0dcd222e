//! How long each request took.

use std::time::Duration;

use tq_proto::Result;

use crate::clock::Clock;
use crate::queue::{percentiles, responses};

/// Requests of one kind and size.
struct Kind {
    name: &'static str,
    rows: usize,
    fields: usize,
    took: Vec<Duration>,
}

/// How long each request took: by kind and size, and in the order in which they came.
pub(crate) struct Log {
    clock: Clock,
    kinds: Vec<Kind>,
    all: Vec<Duration>,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self {
            clock: Clock::new(),
            kinds: Vec::new(),
            all: Vec::new(),
        }
    }

    /// Times one request of a kind, rows and fields.
    pub(crate) fn time<T>(
        &mut self,
        (name, rows, fields): (&'static str, usize, usize),
        run: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let (result, took) = self.clock.time(run);
        let result = result?;
        self.all.push(took);
        let same = |kind: &&mut Kind| (kind.name, kind.rows, kind.fields) == (name, rows, fields);
        match self.kinds.iter_mut().find(same) {
            Some(kind) => kind.took.push(took),
            None => self.kinds.push(Kind {
                name,
                rows,
                fields,
                took: vec![took],
            }),
        }
        Ok(result)
    }

    /// Prints each kind, what clients would wait at several loads, and the whole.
    pub(crate) fn print(self) {
        let us = |times: Vec<f64>| percentiles(times).map(|time| time * 1e6);
        for Kind {
            name,
            rows,
            fields,
            took,
        } in self.kinds
        {
            let times: Vec<f64> = took.iter().map(Duration::as_secs_f64).collect();
            let (count, busy) = (times.len(), times.iter().sum::<f64>());
            let [p50, p99, most] = us(times);
            println!(
                "{{\"kind\": \"{name}\", \"rows\": {rows}, \"fields\": {fields}, \
                 \"count\": {count}, \"busy_s\": {busy:.6}, \"p50_us\": {p50:.2}, \
                 \"p99_us\": {p99:.2}, \"max_us\": {most:.2}}}"
            );
        }
        for load in [0.25, 0.5, 0.8, 0.9] {
            let [p50, p99, most] = us(responses(&self.all, load));
            println!(
                "{{\"load\": {load}, \"p50_us\": {p50:.1}, \"p99_us\": {p99:.1}, \
                 \"max_us\": {most:.1}}}"
            );
        }
        let (count, busy) = (self.all.len(), self.all.iter().sum::<Duration>());
        let busy = busy.as_secs_f64();
        println!(
            "{{\"requests\": {count}, \"busy_s\": {busy:.4}, \"requests_per_s\": {:.0}}}",
            count as f64 / busy
        );
    }
}
