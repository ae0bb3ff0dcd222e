//! Claims: ready samples become consumed by a task, all of a batch or none.

use tq_proto::{Error, ErrorKind, FieldName, GlobalIndex, PartitionId, Result, TaskName};

use crate::Controller;
use crate::partition::Partition;
use crate::sampler::{SampleRequest, Sampler};
use crate::slots::Slot;
use crate::wording::{invalid, some_of};

/// What [`Controller::fetch`] is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// The partition.
    pub partition: PartitionId,
    /// The task that consumes.
    pub task: TaskName,
    /// Fields that must be produced.
    pub fields: Vec<FieldName>,
    /// Samples asked for, as the sampler takes it.
    pub batch_size: usize,
    /// The data-parallel rank that asks.
    pub dp_rank: Option<u64>,
    /// Number of the batch, counted by the ranks.
    pub batch_index: Option<u64>,
}

impl Controller {
    /// Marks what somebody else sampled: `consumed` becomes consumed by `task`, once all of
    /// `sampled` is found to be ready for it with `fields`. `again` is for an answer given before:
    /// its samples need only exist with the fields produced. Samples of `consumed` that were
    /// cleared meanwhile need no mark and are passed over.
    ///
    /// # Errors
    /// Nothing is marked then: `InvalidArgument` when `sampled` names a sample twice; `NotReady`
    /// naming those that are not ready (any more); sample again.
    pub fn claim(
        &mut self,
        partition: &str,
        task: &str,
        fields: &[FieldName],
        sampled: &[GlobalIndex],
        consumed: &[GlobalIndex],
        again: bool,
    ) -> Result<()> {
        let (state, counters) = self.existing_mut(partition)?;
        let call = counters.next_call();
        state.claim(task, fields, sampled, consumed, again, call)
    }

    /// Samples a batch and marks it consumed, in one step. None when too few samples are ready, or
    /// the partition does not exist.
    ///
    /// # Errors
    /// What the sampler refuses; as [`Self::claim`] when it sampled what is not ready. Nothing is
    /// marked then.
    pub fn fetch(
        &mut self,
        sampler: &mut Sampler,
        request: &FetchRequest,
    ) -> Result<Option<Vec<GlobalIndex>>> {
        let FetchRequest {
            partition,
            task,
            fields,
            ..
        } = request;
        let asked = SampleRequest {
            partition,
            task,
            batch_size: request.batch_size,
            dp_rank: request.dp_rank,
            batch_index: request.batch_index,
        };
        let Some((state, counters)) = self.visible_mut(partition) else {
            // A request that the sampler refuses is refused before there are samples, too.
            let empty = Partition::new(partition.clone());
            sampler.sample(&empty.ready_set(task, fields), &asked)?;
            return Ok(None);
        };
        let Some(answer) = sampler.sample(&state.ready_set(task, fields), &asked)? else {
            return Ok(None);
        };
        let (sampled, call) = (answer.sampled, counters.next_call());
        state.claim(task, fields, &sampled, &answer.consumed, answer.again, call)?;
        Ok(Some(sampled))
    }

    /// Makes samples unconsumed again: all of the partition or those of `indexes`, for all tasks or
    /// the one named. Returns how many were consumed, those of several tasks counted for each.
    /// Unknown partitions, tasks and samples are passed over.
    pub fn reset_consumption(
        &mut self,
        partition: &str,
        task: Option<&str>,
        indexes: Option<&[GlobalIndex]>,
    ) -> usize {
        let Some((state, _)) = self.visible_mut(partition) else {
            return 0;
        };
        let slots = indexes.map(|indexes| state.known(indexes));
        let pages = state.slots.pages();
        state.consumption.reset(task, slots.as_deref(), pages)
    }

    /// The tasks known to `partition`, sorted, each with how many samples it has consumed.
    #[must_use]
    pub fn tasks(&self, partition: &str) -> Vec<(TaskName, usize)> {
        let tasks = self
            .visible(partition)
            .into_iter()
            .flat_map(|state| state.consumption.tasks());
        let mut tasks: Vec<_> = tasks
            .map(|(name, consumed)| (name.clone(), consumed.len()))
            .collect();
        tasks.sort_unstable();
        tasks
    }
}

impl Partition {
    /// Slots of the samples numbered `indexes`; other numbers are passed over.
    pub(crate) fn known(&self, indexes: &[GlobalIndex]) -> Vec<Slot> {
        let slots = indexes.iter().filter_map(|index| self.slots.find(*index));
        slots.collect()
    }

    fn claim(
        &mut self,
        task: &str,
        fields: &[FieldName],
        sampled: &[GlobalIndex],
        consumed: &[GlobalIndex],
        again: bool,
        call: u64,
    ) -> Result<()> {
        let ready = self.ready_set(task, fields);
        let mut slots = Vec::with_capacity(sampled.len());
        let mut not_ready = Vec::new();
        for index in sampled {
            let slot = self.slots.find(*index).filter(|slot| match again {
                true => ready.is_produced(*slot),
                false => ready.is_ready(*slot),
            });
            match slot {
                Some(slot) => slots.push(slot),
                None => not_ready.push(index),
            }
        }
        let refused = |error: Error| error.with("task", task).with("partition", self.id.clone());
        if !not_ready.is_empty() {
            return Err(refused(Error::new(
                ErrorKind::NotReady,
                format!(
                    "{} samples were claimed, but global indexes {} are not ready (any more); \
                     sample again from what is ready",
                    sampled.len(),
                    some_of(not_ready)
                ),
            )));
        }
        let mut repeated = Vec::new();
        for (slot, index) in slots.iter().zip(sampled) {
            if !self.slots.touch(*slot, call) {
                repeated.push(index);
            }
        }
        if !repeated.is_empty() {
            return Err(refused(invalid(format!(
                "{} samples were claimed, but global indexes {} came before in the same batch; \
                 sample each once",
                sampled.len(),
                some_of(repeated)
            ))));
        }
        let consumed = match consumed == sampled {
            true => slots,
            false => self.known(consumed),
        };
        self.mark_consumed(task, &consumed);
        Ok(())
    }
}
