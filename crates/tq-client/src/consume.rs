//! What tasks have consumed, what is ready for them, and what is produced. Each call is as that of
//! [`tq_engine::Embedded`] of the same name.

use tq_controller::sampler::SamplerConfig;
use tq_controller::{BatchColumns, FetchRequest, StatusColumns};
use tq_engine::Claim;
use tq_proto::{FieldName, GlobalIndex, Result};
use tq_wire::proto::{
    ClaimMessage, FetchChosenMessage, FetchMessage, FieldsRequest, Indexes, ReadyRequest,
    ResetRequest, SamplerRequest, TaskRequest,
};
use tq_wire::request_id::RequestId;
use tq_wire::texts::{count, indexes, names};

use crate::remote::{Remote, call, change};
use crate::samples::batch_of;

impl Remote {
    /// Has later fetches sampled by another sampler, those of all guests.
    ///
    /// # Errors
    /// As there, and as every call, see [`Remote`].
    pub fn set_sampler(&self, config: SamplerConfig) -> Result<()> {
        let request = SamplerRequest::of(&config);
        self.ask(change!(set_sampler, request)).map(drop)
    }

    /// Samples a batch and marks it consumed.
    ///
    /// # Errors
    /// As there, and as every call, see [`Remote`].
    pub fn fetch(&self, request: &FetchRequest) -> Result<Option<BatchColumns>> {
        let request = FetchMessage::of(request);
        self.ask(change!(fetch, request))?.read()
    }

    /// Has the host's own sampler choose a batch, which is marked consumed. `config` is what the
    /// sampler is told beside the request.
    ///
    /// # Errors
    /// As the sampler says; `Unsupported` where the host has none; as every call, see [`Remote`].
    pub fn fetch_chosen(
        &self,
        request: &FetchRequest,
        config: Vec<u8>,
    ) -> Result<Option<BatchColumns>> {
        let message = FetchChosenMessage {
            request: Some(FetchMessage::of(request)),
            config,
        };
        self.ask(change!(fetch_chosen, message))?.read()
    }

    /// The samples that are ready for a task.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn ready_indexes(
        &self,
        partition: &str,
        task: &str,
        fields: &[FieldName],
        at_least: usize,
    ) -> Result<Option<Vec<GlobalIndex>>> {
        let reply =
            self.ask_again(|| call!(ready_indexes, ready(partition, task, fields, at_least)))?;
        Ok(reply.found.map(|found| indexes(found.global_indexes)))
    }

    /// How many samples are ready for a task.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn ready_count(
        &self,
        partition: &str,
        task: &str,
        fields: &[FieldName],
        at_most: usize,
    ) -> Result<usize> {
        let reply =
            self.ask_again(|| call!(ready_count, ready(partition, task, fields, at_most)))?;
        Ok(count(reply.count))
    }

    /// Marks a batch that was sampled elsewhere.
    ///
    /// # Errors
    /// As there, and as every call, see [`Remote`].
    pub fn claim(&self, claim: Claim<'_>) -> Result<BatchColumns> {
        let request = ClaimMessage::of(&claim);
        batch_of(self.ask(change!(claim, request))?)
    }

    /// Which samples a task has consumed.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn consumption_status(&self, partition: &str, task: &str) -> Result<Option<StatusColumns>> {
        self.ask_again(|| call!(consumption_status, of_task(partition, task)))?
            .read()
    }

    /// Whether a task has consumed everything.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn is_consumed(&self, partition: &str, task: &str) -> Result<bool> {
        let reply = self.ask_again(|| call!(is_consumed, of_task(partition, task)))?;
        Ok(reply.flag)
    }

    /// Makes samples fetchable again.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn reset_consumption(
        &self,
        partition: &str,
        task: Option<&str>,
        indexes: Option<&[GlobalIndex]>,
    ) -> Result<usize> {
        let request = ResetRequest {
            partition: partition.into(),
            task: task.map(String::from),
            indexes: indexes.map(Indexes::of),
        };
        Ok(count(self.ask(change!(reset_consumption, request))?.count))
    }

    /// Which samples have which fields.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn production_status(
        &self,
        partition: &str,
        fields: &[FieldName],
    ) -> Result<Option<StatusColumns>> {
        self.ask_again(|| call!(production_status, of_fields(partition, fields)))?
            .read()
    }

    /// Whether every sample has all fields.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn is_produced(&self, partition: &str, fields: &[FieldName]) -> Result<bool> {
        let reply = self.ask_again(|| call!(is_produced, of_fields(partition, fields)))?;
        Ok(reply.flag)
    }
}

fn ready(partition: &str, task: &str, fields: &[FieldName], bound: usize) -> ReadyRequest {
    ReadyRequest {
        partition: partition.into(),
        task: task.into(),
        fields: names(fields),
        bound: bound as u64,
    }
}

fn of_task(partition: &str, task: &str) -> TaskRequest {
    TaskRequest {
        partition: partition.into(),
        task: task.into(),
    }
}

fn of_fields(partition: &str, fields: &[FieldName]) -> FieldsRequest {
    FieldsRequest {
        partition: partition.into(),
        fields: names(fields),
    }
}
