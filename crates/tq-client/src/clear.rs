//! Samples that are to go: hidden at once, their memory given back before the call returns (or when
//! the last view of it is gone).

use tq_controller::ClearTicket;
use tq_proto::Result;

use crate::embedded::Embedded;

impl Embedded {
    /// Clears samples by key; unknown ones are ignored. Returns how many there were.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn clear<K: AsRef<str>>(&self, partition: &str, keys: &[K]) -> Result<usize> {
        self.check()?;
        let ticket = self.shared.controller().begin_clear_keys(partition, keys);
        Ok(self.finish(&ticket))
    }

    /// Clears a partition with all its samples. Returns how many there were, `None` where there is
    /// no such partition.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn clear_partition(&self, partition: &str) -> Result<Option<usize>> {
        self.check()?;
        let ticket = self.shared.controller().drop_partition(partition);
        Ok(ticket.map(|ticket| self.finish(&ticket)))
    }

    fn finish(&self, ticket: &ClearTicket) -> usize {
        let indexes = ticket.global_indexes();
        self.shared.unit.clear(indexes);
        self.shared.controller().finish_clear(ticket);
        indexes.len()
    }
}
