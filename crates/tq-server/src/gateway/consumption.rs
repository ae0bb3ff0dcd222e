//! What tasks have consumed, what is ready for them, and what is produced.

use tq_proto::{Error, ErrorKind, Result};
use tq_wire::proto::{
    BatchReply, ClaimMessage, CountReply, FetchChosenMessage, FetchMessage, FieldsRequest,
    FlagReply, Indexes, IndexesReply, Nothing, ReadyRequest, ResetRequest, SamplerRequest,
    StatusReply, TaskRequest,
};
use tq_wire::texts::{count, field_names, indexes};

use super::samples::counted;
use super::{FEW, Gateway};

pub(super) fn set_sampler(gateway: &Gateway, request: SamplerRequest) -> Result<Nothing> {
    gateway.engine.set_sampler(request.read()?)?;
    Ok(Nothing {})
}

/// Few samples, and nobody to be woken by their consumption.
pub(super) fn is_light(gateway: &Gateway, request: &FetchMessage) -> bool {
    count(request.batch_size) <= FEW && !gateway.engine.is_awaited(&request.partition)
}

pub(super) fn fetch(gateway: &Gateway, request: FetchMessage) -> Result<BatchReply> {
    let batch = gateway.engine.fetch(&request.read())?;
    Ok(BatchReply::of(batch.as_ref()))
}

pub(super) fn fetch_chosen(gateway: &Gateway, message: FetchChosenMessage) -> Result<BatchReply> {
    let Some(sampler) = &gateway.sampler else {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "the host has no sampler of its own; fetch with the engine's",
        ));
    };
    let request = message.request.unwrap_or_default().read();
    let batch = sampler
        .fetch(&request, &message.config)?
        .map(|indexes| {
            gateway
                .engine
                .batch(&request.partition, &indexes, request.fields)
        })
        .transpose()?;
    Ok(BatchReply::of(batch.as_ref()))
}

pub(super) fn ready_indexes(gateway: &Gateway, request: ReadyRequest) -> Result<IndexesReply> {
    let found = gateway.engine.ready_indexes(
        &request.partition,
        &request.task,
        &field_names(request.fields),
        count(request.bound),
    )?;
    Ok(IndexesReply {
        found: found.as_deref().map(Indexes::of),
    })
}

pub(super) fn ready_count(gateway: &Gateway, request: ReadyRequest) -> Result<CountReply> {
    let ready = gateway.engine.ready_count(
        &request.partition,
        &request.task,
        &field_names(request.fields),
        count(request.bound),
    );
    ready.map(counted)
}

pub(super) fn claim(gateway: &Gateway, request: ClaimMessage) -> Result<BatchReply> {
    let batch = gateway.engine.claim(request.read().claim())?;
    Ok(BatchReply::of(Some(&batch)))
}

pub(super) fn consumption_status(gateway: &Gateway, request: TaskRequest) -> Result<StatusReply> {
    let status = gateway
        .engine
        .consumption_status(&request.partition, &request.task)?;
    Ok(StatusReply::of(status.as_ref()))
}

pub(super) fn is_consumed(gateway: &Gateway, request: TaskRequest) -> Result<FlagReply> {
    let flag = gateway
        .engine
        .is_consumed(&request.partition, &request.task)?;
    Ok(FlagReply { flag })
}

pub(super) fn reset(gateway: &Gateway, request: ResetRequest) -> Result<CountReply> {
    let indexes = request.indexes.map(|chosen| indexes(chosen.global_indexes));
    let reset = gateway.engine.reset_consumption(
        &request.partition,
        request.task.as_deref(),
        indexes.as_deref(),
    );
    reset.map(counted)
}

pub(super) fn production_status(gateway: &Gateway, request: FieldsRequest) -> Result<StatusReply> {
    let fields = field_names(request.fields);
    let status = gateway
        .engine
        .production_status(&request.partition, &fields)?;
    Ok(StatusReply::of(status.as_ref()))
}

pub(super) fn is_produced(gateway: &Gateway, request: FieldsRequest) -> Result<FlagReply> {
    let fields = field_names(request.fields);
    let flag = gateway.engine.is_produced(&request.partition, &fields)?;
    Ok(FlagReply { flag })
}
