//! Tags set and read by global index, apart from a put.

use tq_proto::GlobalIndex;

use crate::Controller;
use crate::tags::{TagNames, Tags};

impl Controller {
    /// Gives each sample of `indexes` its entry of `tags` in place of the tags it has. Unknown
    /// partitions and samples are passed over, and so is what one list has more than the other.
    /// Returns how many samples were set.
    pub fn replace_tags(
        &mut self,
        partition: &str,
        indexes: &[GlobalIndex],
        tags: Vec<Tags>,
    ) -> usize {
        self.retag(partition, indexes, tags, Tags::replace)
    }

    /// Merges its entry of `tags` into the tags of each sample of `indexes`, name by name; otherwise
    /// as [`Self::replace_tags`].
    pub fn merge_tags(
        &mut self,
        partition: &str,
        indexes: &[GlobalIndex],
        tags: Vec<Tags>,
    ) -> usize {
        self.retag(partition, indexes, tags, Tags::merge)
    }

    fn retag(
        &mut self,
        partition: &str,
        indexes: &[GlobalIndex],
        tags: Vec<Tags>,
        set: impl Fn(&mut Tags, Tags, &mut TagNames),
    ) -> usize {
        let Some((state, counters)) = self.visible_mut(partition) else {
            return 0;
        };
        let mut slots = Vec::with_capacity(indexes.len());
        for (index, tags) in indexes.iter().zip(tags) {
            if let Some(slot) = state.slots.find(*index) {
                set(&mut state.slots[slot].tags, tags, &mut state.tag_names);
                slots.push(slot);
            }
        }
        if !slots.is_empty() {
            state.changed(&slots, counters);
        }
        slots.len()
    }

    /// The tags of each sample of `indexes`; empty ones for unknown samples and partitions.
    #[must_use]
    pub fn tags_of(&self, partition: &str, indexes: &[GlobalIndex]) -> Vec<Tags> {
        let state = self.visible(partition);
        let tags = |index: &GlobalIndex| {
            let state = state?;
            let slot = state.slots.find(*index)?;
            Some(state.slots[slot].tags.clone())
        };
        indexes
            .iter()
            .map(|index| tags(index).unwrap_or_default())
            .collect()
    }
}
