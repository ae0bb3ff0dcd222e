//! The partitions of one measurement: named by chance, cleared in the end, and nobody else's.

use tq_client::Engine;
use tq_proto::Result;
use tq_wire::secret::Secret;

/// Before the name of each.
const PREFIX: &str = "tq-bench-";

/// See the module. What is there is cleared when it is dropped.
pub(crate) struct Own {
    engine: Engine,
    /// Drawn by chance; seeds the content, too.
    pub(crate) run: u64,
    prefix: String,
}

impl Own {
    pub(crate) fn new(engine: Engine) -> anyhow::Result<Self> {
        let drawn = Secret::generate()?;
        let run = drawn
            .as_bytes()
            .iter()
            .take(8)
            .fold(0, |run, byte| (run << 8) | u64::from(*byte));
        Ok(Self {
            engine,
            run,
            prefix: format!("{PREFIX}{run:016x}"),
        })
    }

    /// What all names begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn partition(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    /// Clears all of them.
    pub(crate) fn clear(&self) -> Result<()> {
        let begin = self.partition("");
        for partition in self.engine.partitions()? {
            if partition.starts_with(&begin) {
                self.engine.clear_partition(&partition)?;
            }
        }
        Ok(())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            super::complain(&format!(
                "partitions {}/… were not cleared: {error}",
                self.prefix
            ));
        }
    }
}
