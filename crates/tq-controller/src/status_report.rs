//! Production and consumption status of all samples of a partition, as columns.

use tq_proto::{FieldName, GlobalIndex};

use crate::Controller;
use crate::field::Field;
use crate::partition::Partition;
use crate::status::Bitmap;

/// A status of every sample of a partition, visible or pre-allocated.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatusColumns {
    /// The samples, ascending.
    pub global_indexes: Vec<GlobalIndex>,
    /// Cells of each sample: one for each field, or a single one for a task.
    pub fields: usize,
    /// 0 or 1, the cells of one sample after those of the other.
    pub cells: Vec<u8>,
}

impl StatusColumns {
    fn of(state: &Partition, columns: &[&Bitmap]) -> Self {
        let slots: Vec<_> = state.slots.counted_slots().collect();
        let mut cells = Vec::with_capacity(slots.len() * columns.len());
        for slot in &slots {
            cells.extend(
                columns
                    .iter()
                    .map(|column| u8::from(column.contains(*slot))),
            );
        }
        let indexes = slots.iter().map(|slot| state.slots[*slot].index);
        Self {
            global_indexes: indexes.collect(),
            fields: columns.len(),
            cells,
        }
    }
}

impl Controller {
    /// The samples of `partition`, visible or pre-allocated, ascending.
    ///
    /// # Errors
    /// `NotFound` when the partition does not exist.
    pub fn all_indexes(&self, partition: &str) -> tq_proto::Result<Vec<GlobalIndex>> {
        let state = self.existing(partition)?;
        let slots = state.slots.counted_slots();
        Ok(slots.map(|slot| state.slots[slot].index).collect())
    }

    /// Which samples `task` has consumed; the task is known from then on. None for an unknown
    /// partition.
    pub fn consumption_status(&mut self, partition: &str, task: &str) -> Option<StatusColumns> {
        let (state, _) = self.visible_mut(partition)?;
        state.consumption.register(task);
        let consumed = state.consumption.consumed(task)?;
        Some(StatusColumns::of(state, &[consumed]))
    }

    /// For which samples `fields` are produced: a cell for each field, in the order in which the
    /// fields first came, one named twice once. None for an unknown partition, for no fields, and
    /// when one of them was never put.
    #[must_use]
    pub fn production_status(
        &self,
        partition: &str,
        fields: &[FieldName],
    ) -> Option<StatusColumns> {
        let state = self.visible(partition)?;
        let columns = state.asked_for(fields)?;
        let columns: Vec<_> = columns.into_iter().map(Field::produced).collect();
        Some(StatusColumns::of(state, &columns))
    }

    /// Whether `task` has consumed every sample of `partition`; false when there are none. Costs
    /// the same however many there are.
    #[must_use]
    pub fn is_consumed(&self, partition: &str, task: &str) -> bool {
        self.visible(partition).is_some_and(|state| {
            let consumed = state.consumption.consumed(task).map_or(0, Bitmap::len);
            consumed > 0 && consumed == state.slots.counted()
        })
    }

    /// Whether all of `fields` are produced for every sample of `partition`; false when there are
    /// no samples or no fields. Costs the same however many samples there are.
    #[must_use]
    pub fn is_produced(&self, partition: &str, fields: &[FieldName]) -> bool {
        self.visible(partition).is_some_and(|state| {
            let samples = state.slots.counted();
            let columns = state.asked_for(fields).unwrap_or_default();
            let complete = |field: &&Field| field.produced().len() == samples;
            samples > 0 && !columns.is_empty() && columns.iter().all(complete)
        })
    }
}

impl Partition {
    /// The fields named, in the order in which they first came; none when one never did or none is
    /// named.
    fn asked_for(&self, names: &[FieldName]) -> Option<Vec<&Field>> {
        let all_known = names.iter().all(|name| self.fields.get(name).is_some());
        (all_known && !names.is_empty()).then(|| {
            let asked = self.fields.iter();
            asked.filter(|field| names.contains(&field.name)).collect()
        })
    }
}
