//! Ready samples of a task: visible, every field produced, not consumed by the task.
//!
//! They are found page by page as the AND of one word of each bitmap, from the page in which the
//! unconsumed samples begin, and only as far as the caller reads on. So a batch costs what it
//! holds, whatever the partition holds.

use tq_proto::{FieldName, GlobalIndex};

use crate::Controller;
use crate::pages::{NO_PAGE, PageNo, bit_of, page_of, slots_of};
use crate::partition::Partition;
use crate::sampler::ReadySamples;
use crate::slots::{Slot, Slots};
use crate::status::Bitmap;
use crate::tags::TagValue;

/// The ready samples of one task for some fields.
#[derive(Debug)]
pub(crate) struct ReadySet<'a> {
    slots: &'a Slots,
    /// Where each field is produced; none when one of them was never put.
    fields: Option<Vec<&'a Bitmap>>,
    consumed: Option<&'a Bitmap>,
    start: PageNo,
}

impl Partition {
    /// The ready samples of `task` for `fields`; with no fields, all it has not consumed.
    pub(crate) fn ready_set<F: AsRef<str>>(&self, task: &str, fields: &[F]) -> ReadySet<'_> {
        let produced = |name: &F| Some(self.fields.get(name.as_ref())?.produced());
        ReadySet {
            slots: &self.slots,
            fields: fields.iter().map(produced).collect(),
            consumed: self.consumption.consumed(task),
            start: self.consumption.start(task, self.slots.pages()),
        }
    }
}

impl ReadySet<'_> {
    /// The samples of `page` that have the fields, consumed or not.
    fn available_word(&self, page: PageNo) -> u64 {
        let Some(fields) = &self.fields else { return 0 };
        let visible = self.slots.visible_word(page);
        fields
            .iter()
            .fold(visible, |word, field| word & field.word(page))
    }

    fn ready_word(&self, page: PageNo) -> u64 {
        let consumed = self.consumed.map_or(0, |consumed| consumed.word(page));
        if self.slots.occupied_word(page) & !consumed == 0 {
            return 0;
        }
        self.available_word(page) & !consumed
    }

    fn pages(&self) -> impl Iterator<Item = PageNo> + '_ {
        let start = match self.fields {
            Some(_) => self.start,
            None => NO_PAGE,
        };
        self.slots.pages().from(start)
    }

    /// Ready slots in ascending global index.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.pages()
            .flat_map(|page| slots_of(page, self.ready_word(page)))
    }

    /// How many are ready; counts no further than `at_most`.
    pub(crate) fn count(&self, at_most: usize) -> usize {
        let mut count = 0;
        for page in self.pages() {
            if count >= at_most {
                break;
            }
            count += self.ready_word(page).count_ones() as usize;
        }
        count.min(at_most)
    }

    pub(crate) fn is_ready(&self, slot: Slot) -> bool {
        self.ready_word(page_of(slot)) & bit_of(slot) != 0
    }

    /// Whether the sample is visible and has the fields, consumed or not.
    pub(crate) fn is_produced(&self, slot: Slot) -> bool {
        self.available_word(page_of(slot)) & bit_of(slot) != 0
    }
}

impl ReadySamples for ReadySet<'_> {
    fn iter(&self) -> Box<dyn Iterator<Item = GlobalIndex> + '_> {
        Box::new(self.slots().map(|slot| self.slots[slot].index))
    }

    fn tag(&self, index: GlobalIndex, name: &str) -> Option<TagValue> {
        let slot = self.slots.find(index)?;
        self.slots[slot].tags.get(name).cloned()
    }

    fn is_available(&self, index: GlobalIndex) -> bool {
        let slot = self.slots.find(index);
        slot.is_some_and(|slot| self.is_produced(slot))
    }
}

impl Controller {
    /// How many samples of `partition` are ready for `task` with `fields`; counts no further than
    /// `at_most`. 0 for an unknown partition and for a field that was never put.
    #[must_use]
    pub fn ready_count(
        &self,
        partition: &str,
        task: &str,
        fields: &[FieldName],
        at_most: usize,
    ) -> usize {
        let state = self.visible(partition);
        state.map_or(0, |state| state.ready_set(task, fields).count(at_most))
    }

    /// The ready samples that [`Self::ready_count`] counts, ascending, the first `at_most` of them.
    #[must_use]
    pub fn ready_indexes(
        &self,
        partition: &str,
        task: &str,
        fields: &[FieldName],
        at_most: usize,
    ) -> Vec<GlobalIndex> {
        let state = self.visible(partition);
        state.map_or_else(Vec::new, |state| {
            let ready = state.ready_set(task, fields);
            ready.iter().take(at_most).collect()
        })
    }
}
