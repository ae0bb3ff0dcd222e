//! Samples chosen by what they are tagged with, and what became of that.

use tq_controller::select::{Selected, Selection};
use tq_proto::Result;

use crate::embedded::Embedded;
use crate::wait::Change;

impl Embedded {
    /// Chooses samples of `partition`, and claims them for a task where `selection` says so, at one
    /// instant.
    ///
    /// # Errors
    /// `InvalidArgument` where the selection contradicts itself; `Closed`, `Forked`.
    pub fn select(&self, partition: &str, selection: &Selection) -> Result<Selected> {
        self.check()?;
        let selected = self.shared.controller().select(partition, selection)?;
        if selection.claim_for.is_some() && !selected.keys.is_empty() {
            self.shared.waits.changed(partition, Change::Consumed);
        }
        Ok(selected)
    }

    /// Chooses samples and clears them, at one instant.
    ///
    /// # Errors
    /// As [`Self::select`].
    pub fn evict(&self, partition: &str, selection: &Selection) -> Result<Selected> {
        self.check()?;
        let (selected, ticket) = {
            let mut controller = self.shared.controller();
            let selected = controller.select(partition, selection)?;
            let ticket = controller.begin_clear_indexes(partition, &selected.global_indexes);
            (selected, ticket)
        };
        self.finish(partition, &ticket);
        Ok(selected)
    }
}
