//! Keys and tags at one instant.

use tq_controller::Tags;
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
}
