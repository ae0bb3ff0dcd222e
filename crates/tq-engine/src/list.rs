//! Keys and tags at one instant, or what has changed since an earlier one.

use tq_controller::{Changes, PartitionOverview, Tags};
use tq_proto::{Key, PartitionId, Result};

use crate::embedded::Embedded;

/// One partition's samples in the order of their creation.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The partition.
    pub partition: PartitionId,
    /// Its keys with their tags.
    pub samples: Vec<(Key, Tags)>,
}

impl Embedded {
    /// Lists one partition, or all; an unknown one gives nothing. Keys and tags are shared with the
    /// controller, not copied, so that it is held only briefly.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn list(&self, partition: Option<&str>) -> Result<Vec<Listing>> {
        self.check()?;
        let controller = self.shared.controller();
        Ok(controller
            .list(partition)
            .map(|listed| Listing {
                partition: listed.partition.clone(),
                samples: listed
                    .keys
                    .map(|(key, tags)| (key.clone(), tags.clone()))
                    .collect(),
            })
            .collect())
    }

    /// How far each partition is, oldest first; costs the same however many samples there are.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn overview(&self) -> Result<Vec<PartitionOverview>> {
        self.check()?;
        Ok(self.shared.controller().overview())
    }

    /// What has changed in `partition` since change number `since`; see
    /// [`tq_controller::Controller::changes`].
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn changes(&self, partition: &str, since: u64, limit: usize) -> Result<Changes> {
        self.check()?;
        Ok(self.shared.controller().changes(partition, since, limit))
    }

    /// Number of the last visible change to `partition`; 0 where it does not exist.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn sequence(&self, partition: &str) -> Result<u64> {
        self.check()?;
        Ok(self.shared.controller().sequence(partition))
    }
}
