//! Listings, selections, and how full the host is.

use tq_proto::Result;
use tq_wire::proto::{
    ChangesReply, ChangesRequest, CountReply, ListReply, ListRequest, Listing, Nothing,
    PartitionRequest, PartitionsReply, SelectRequest, SelectedReply, Texts, UsageReply,
};
use tq_wire::texts::count;

use super::Gateway;

pub(super) fn list(gateway: &Gateway, request: ListRequest) -> Result<ListReply> {
    let listings = gateway.engine.list(request.partition.as_deref())?;
    Ok(ListReply {
        listings: listings.iter().map(Listing::of).collect(),
    })
}

pub(super) fn changes(gateway: &Gateway, request: ChangesRequest) -> Result<ChangesReply> {
    let limit = count(request.limit);
    let changes = gateway
        .engine
        .changes(&request.partition, request.since, limit)?;
    Ok(ChangesReply::of(&changes))
}

pub(super) fn sequence(gateway: &Gateway, request: PartitionRequest) -> Result<CountReply> {
    let count = gateway.engine.sequence(&request.partition)?;
    Ok(CountReply { count })
}

pub(super) fn activity(gateway: &Gateway, request: PartitionRequest) -> Result<CountReply> {
    let count = gateway.engine.activity(&request.partition)?;
    Ok(CountReply { count })
}

pub(super) fn partitions(gateway: &Gateway, _: Nothing) -> Result<PartitionsReply> {
    let partitions = gateway.engine.partitions()?;
    Ok(PartitionsReply {
        partitions: Some(Texts::of(partitions)),
    })
}

pub(super) fn usage(gateway: &Gateway, _: Nothing) -> Result<UsageReply> {
    Ok(UsageReply::of(&gateway.engine.usage()?))
}

pub(super) fn select(gateway: &Gateway, request: SelectRequest) -> Result<SelectedReply> {
    let (partition, selection) = request.read()?;
    let selected = gateway.engine.select(&partition, &selection)?;
    Ok(SelectedReply::of(&selected))
}

pub(super) fn evict(gateway: &Gateway, request: SelectRequest) -> Result<SelectedReply> {
    let (partition, selection) = request.read()?;
    let selected = gateway.engine.evict(&partition, &selection)?;
    Ok(SelectedReply::of(&selected))
}
