//! Each task's own consumption: batches that are fetched, claimed, and given back.

use tq_controller::sampler::{Sampler, SamplerConfig};
use tq_controller::{BatchColumns, FetchRequest, FieldSelection, StatusColumns};
use tq_proto::{FieldName, GlobalIndex, Result};

use crate::embedded::Embedded;
use crate::wait::Change;

/// What [`Embedded::claim`] is to mark.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// The partition of the samples.
    pub partition: &'a str,
    /// The task that takes them.
    pub task: &'a str,
    /// The fields it is going to read.
    pub fields: Vec<FieldName>,
    /// The batch, in its order.
    pub sampled: &'a [GlobalIndex],
    /// Those to be marked as consumed.
    pub consumed: &'a [GlobalIndex],
    /// Whether the batch was given out before, so that its samples may be consumed already.
    pub again: bool,
}

impl Embedded {
    /// Has later fetches sampled by another sampler; what the former one remembers is forgotten.
    ///
    /// # Errors
    /// `InvalidArgument` where its numbers are out of range; `Closed`, `Forked`.
    pub fn set_sampler(&self, config: SamplerConfig) -> Result<()> {
        self.check()?;
        let sampler = Sampler::new(config)?;
        *self.shared.sampler() = sampler;
        Ok(())
    }

    /// Samples a batch that is ready and not consumed by the task, and marks it consumed. `None`
    /// where too little is ready.
    ///
    /// # Errors
    /// What the sampler refuses; `Closed`, `Forked`.
    pub fn fetch(&self, request: &FetchRequest) -> Result<Option<BatchColumns>> {
        self.check()?;
        let batch = {
            let mut controller = self.shared.controller();
            let sampled = controller.fetch(&mut self.shared.sampler(), request)?;
            let fields = FieldSelection::Named(request.fields.clone());
            sampled
                .map(|indexes| controller.batch(&request.partition, &indexes, &fields))
                .transpose()?
        };
        if batch.is_some() {
            self.shared
                .waits
                .changed(&request.partition, Change::Consumed);
        }
        Ok(batch)
    }

    /// The samples that are ready for the task, ascending; `None` where they are fewer than
    /// `at_least`.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn ready_indexes(
        &self,
        partition: &str,
        task: &str,
        fields: &[FieldName],
        at_least: usize,
    ) -> Result<Option<Vec<GlobalIndex>>> {
        self.check()?;
        let controller = self.shared.controller();
        let ready = controller.ready_indexes(partition, task, fields, usize::MAX);
        Ok((ready.len() >= at_least).then_some(ready))
    }

    /// How many samples are ready for the task; counts no further than `at_most`.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn ready_count(
        &self,
        partition: &str,
        task: &str,
        fields: &[FieldName],
        at_most: usize,
    ) -> Result<usize> {
        self.check()?;
        let controller = self.shared.controller();
        Ok(controller.ready_count(partition, task, fields, at_most))
    }

    /// Marks a batch that was sampled elsewhere, and gives its metadata.
    ///
    /// # Errors
    /// Nothing is marked then. `NotReady` where a sample is not ready (any more), `NotFound` where
    /// one does not exist, `InvalidArgument` for repeated samples; `Closed`, `Forked`.
    pub fn claim(&self, claim: Claim<'_>) -> Result<BatchColumns> {
        self.check()?;
        let Claim {
            partition,
            task,
            fields,
            sampled,
            consumed,
            again,
        } = claim;
        let batch = {
            let mut controller = self.shared.controller();
            controller.claim(partition, task, &fields, sampled, consumed, again)?;
            controller.batch(partition, sampled, &FieldSelection::Named(fields))?
        };
        self.shared.waits.changed(partition, Change::Consumed);
        Ok(batch)
    }

    /// For each sample, whether the task has consumed it; the task is known from then on. `None` for
    /// an unknown partition.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn consumption_status(&self, partition: &str, task: &str) -> Result<Option<StatusColumns>> {
        self.check()?;
        Ok(self.shared.controller().consumption_status(partition, task))
    }

    /// Whether there are samples and the task has consumed each.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn is_consumed(&self, partition: &str, task: &str) -> Result<bool> {
        self.check()?;
        Ok(self.shared.controller().is_consumed(partition, task))
    }

    /// Makes samples fetchable again: of one task or of all, those of `indexes` or all. Returns how
    /// many marks were taken back.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn reset_consumption(
        &self,
        partition: &str,
        task: Option<&str>,
        indexes: Option<&[GlobalIndex]>,
    ) -> Result<usize> {
        self.check()?;
        let reset = self
            .shared
            .controller()
            .reset_consumption(partition, task, indexes);
        if reset > 0 {
            self.shared.waits.changed(partition, Change::Other);
        }
        Ok(reset)
    }
}
