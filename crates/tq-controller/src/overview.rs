//! How far each partition is: counts that the bitmaps keep anyway, so that asking costs by field and
//! task, and not by sample.

use tq_proto::{FieldName, PartitionId, TaskName};

use crate::Controller;
use crate::partition::Partition;

/// Counts of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionOverview {
    /// Its name.
    pub partition: PartitionId,
    /// Samples that everybody sees.
    pub samples: usize,
    /// Samples given in advance, before any put or insert uses them.
    pub preallocated: usize,
    /// Keys, those of puts under way included.
    pub keys: usize,
    /// Number of the last visible change.
    pub sequence: u64,
    /// Each field with the samples it is produced for, in the order in which fields first came.
    pub produced: Vec<(FieldName, usize)>,
    /// Each task with the samples it has consumed, by name.
    pub consumed: Vec<(TaskName, usize)>,
}

impl PartitionOverview {
    fn of(state: &Partition) -> Self {
        let fields = state.fields.iter();
        let mut consumed: Vec<_> = state
            .consumption
            .tasks()
            .map(|(name, consumed)| (name.clone(), consumed.len()))
            .collect();
        consumed.sort_unstable();
        Self {
            partition: state.id.clone(),
            samples: state.slots.visible(),
            preallocated: state.slots.counted() - state.slots.visible(),
            keys: state.keys.len(),
            sequence: state.sequence,
            produced: fields
                .map(|field| (field.name.clone(), field.produced().len()))
                .collect(),
            consumed,
        }
    }
}

impl Controller {
    /// Counts of every partition, oldest first. Costs the same however many samples there are.
    #[must_use]
    pub fn overview(&self) -> Vec<PartitionOverview> {
        let partitions = self.visible_by_age().into_iter();
        partitions.map(PartitionOverview::of).collect()
    }
}
