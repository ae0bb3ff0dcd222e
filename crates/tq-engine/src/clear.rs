//! Samples that are to go: hidden at once, their memory given back before the call returns (or when
//! the last view of it is gone).

use tq_controller::ClearTicket;
use tq_proto::{GlobalIndex, Result};

use crate::embedded::Embedded;
use crate::units::Order;
use crate::wait::Change;

impl Embedded {
    /// Clears samples by key; unknown ones are ignored. Returns how many there were.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn clear<K: AsRef<str>>(&self, partition: &str, keys: &[K]) -> Result<usize> {
        self.check()?;
        let ticket = self.shared.controller().begin_clear_keys(partition, keys);
        Ok(self.finish(partition, &ticket))
    }

    /// Clears samples by global index; unknown ones are ignored. Returns how many there were.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn clear_indexes(&self, partition: &str, indexes: &[GlobalIndex]) -> Result<usize> {
        self.check()?;
        let ticket = self
            .shared
            .controller()
            .begin_clear_indexes(partition, indexes);
        Ok(self.finish(partition, &ticket))
    }

    /// Clears a partition with all its samples. Returns how many there were, `None` where there is
    /// no such partition.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn clear_partition(&self, partition: &str) -> Result<Option<usize>> {
        self.check()?;
        let ticket = {
            let mut controller = self.shared.controller();
            let ticket = controller.drop_partition(partition);
            if ticket.is_some() {
                self.shared.sampler().forget_partition(partition);
            }
            ticket
        };
        let Some(ticket) = ticket else {
            return Ok(None);
        };
        let cleared = self.drop_stored(&ticket);
        self.shared.waits.dropped(partition);
        Ok(Some(cleared))
    }

    pub(crate) fn finish(&self, partition: &str, ticket: &ClearTicket) -> usize {
        let cleared = self.drop_stored(ticket);
        if cleared > 0 {
            self.shared.waits.changed(partition, Change::Other);
        }
        cleared
    }

    fn drop_stored(&self, ticket: &ClearTicket) -> usize {
        let indexes = ticket.global_indexes();
        self.shared.unit.clear(indexes);
        let elsewhere = {
            let mut controller = self.shared.controller();
            controller.finish_clear(ticket);
            controller.displace(indexes)
        };
        for (unit, own) in elsewhere {
            self.shared.units.order(unit, Order::Clear(own));
        }
        indexes.len()
    }
}
