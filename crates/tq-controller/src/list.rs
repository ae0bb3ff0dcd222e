//! Keys and tags, walked in place: a listing of any size copies nothing by itself.

use tq_proto::{Key, PartitionId};

use crate::Controller;
use crate::slots::InOrder;
use crate::tags::Tags;

/// One partition of a listing.
#[derive(Debug, Clone)]
pub struct Listed<'a> {
    /// Its name.
    pub partition: &'a PartitionId,
    /// Number of its last visible change.
    pub sequence: u64,
    /// Its keys with their tags, oldest first.
    pub keys: Keys<'a>,
}

/// Walk over the keys of a partition in the order in which they were published. Samples without a
/// key are passed over.
#[derive(Debug, Clone)]
pub struct Keys<'a>(InOrder<'a>);

impl<'a> Iterator for Keys<'a> {
    type Item = (&'a Key, &'a Tags);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(_, key, sample)| (key, &sample.tags))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Keys<'_> {}

impl Controller {
    /// Walks over `partition`, or over all partitions, oldest first; those without keys are listed
    /// too. An unknown partition gives nothing.
    pub fn list<'a>(
        &'a self,
        partition: Option<&str>,
    ) -> impl Iterator<Item = Listed<'a>> + use<'a> {
        let partitions = match partition {
            Some(partition) => self.visible(partition).into_iter().collect(),
            None => self.visible_by_age(),
        };
        partitions.into_iter().map(|state| Listed {
            partition: &state.id,
            sequence: state.sequence,
            keys: Keys(state.slots.in_order()),
        })
    }
}
