//! One operation, done and timed again and again.

use std::time::Instant;

use serde_json::Value;
use tq_proto::Result;

use super::line::Line;

/// Times what becomes a line.
pub(crate) struct Meter {
    pub(crate) line: Line,
    /// Not counted yet: the first rounds find cold memory.
    warming: bool,
}

impl Meter {
    pub(crate) fn new(
        scenario: &'static str,
        operation: &'static str,
        parameters: &[(&'static str, Value)],
    ) -> Self {
        Self {
            line: Line {
                scenario,
                operation,
                parameters: parameters.to_vec(),
                ..Line::default()
            },
            warming: false,
        }
    }

    /// Whether the next ones are only for warming up.
    pub(crate) fn warm(&mut self, warming: bool) {
        self.warming = warming;
    }

    /// Does `work`, which moves so many bytes; `None` where it fails, which is said and counted.
    pub(crate) fn time<T>(&mut self, bytes: u64, work: impl FnOnce() -> Result<T>) -> Option<T> {
        let start = Instant::now();
        let done = work();
        let time = start.elapsed();
        match done {
            Ok(done) => {
                if !self.warming {
                    self.line.times.add(time);
                    self.line.bytes += bytes;
                }
                Some(done)
            }
            Err(error) => {
                self.fail(&error.to_string());
                None
            }
        }
    }

    /// Something else than the call itself was wrong.
    pub(crate) fn fail(&mut self, what: &str) {
        self.line.errors += 1;
        super::complain(&format!(
            "{} {}: {what}",
            self.line.scenario, self.line.operation
        ));
    }
}
