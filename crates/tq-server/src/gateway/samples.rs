//! Samples that come and go, and their metadata.

use tq_proto::Result;
use tq_wire::proto::{
    Batch, BatchOfKeysReply, BatchOfKeysRequest, BatchReply, CountReply, CountRequest,
    ForceFetchRequest, IndexesRequest, InsertRequest, KeysReply, KeysRequest, Nothing,
    OptionalCountReply, OptionalTexts, PartitionRequest, SetReceiptsRequest, SetTagsRequest, Tags,
    TagsReply,
};
use tq_wire::tags::tags;
use tq_wire::texts::{count, field_names, from_positions, indexes, texts};

use super::{FEW, Gateway};

pub(super) fn counted(count: usize) -> CountReply {
    CountReply {
        count: count as u64,
    }
}

/// Few samples, and nobody to be woken by their end. Memory that they leave is given back to the system
/// by a thread of its own.
pub(super) fn is_light(gateway: &Gateway, request: &KeysRequest) -> bool {
    let keys = request.keys.as_ref().map_or(0, |keys| keys.ends.len());
    keys <= FEW && !gateway.engine.is_awaited(&request.partition)
}

/// As [`is_light`].
pub(super) fn is_light_by_index(gateway: &Gateway, request: &IndexesRequest) -> bool {
    request.global_indexes.len() <= FEW && !gateway.engine.is_awaited(&request.partition)
}

pub(super) fn clear(gateway: &Gateway, request: KeysRequest) -> Result<CountReply> {
    let keys = texts(request.keys.as_ref())?;
    gateway.engine.clear(&request.partition, &keys).map(counted)
}

pub(super) fn clear_indexes(gateway: &Gateway, request: IndexesRequest) -> Result<CountReply> {
    let indexes = indexes(request.global_indexes);
    let cleared = gateway.engine.clear_indexes(&request.partition, &indexes);
    cleared.map(counted)
}

pub(super) fn clear_partition(
    gateway: &Gateway,
    request: PartitionRequest,
) -> Result<OptionalCountReply> {
    let cleared = gateway.engine.clear_partition(&request.partition)?;
    Ok(OptionalCountReply {
        count: cleared.map(|cleared| cleared as u64),
    })
}

pub(super) fn insert(gateway: &Gateway, request: InsertRequest) -> Result<BatchReply> {
    let fields = field_names(request.fields);
    let batch = gateway
        .engine
        .insert(&request.partition, fields, count(request.count))?;
    Ok(BatchReply::of(Some(&batch)))
}

pub(super) fn preallocate(gateway: &Gateway, request: CountRequest) -> Result<Nothing> {
    gateway
        .engine
        .preallocate(&request.partition, count(request.count))?;
    Ok(Nothing {})
}

pub(super) fn force_fetch(gateway: &Gateway, request: ForceFetchRequest) -> Result<BatchReply> {
    let fields = request.fields.unwrap_or_default().read()?;
    let batch = gateway.engine.force_fetch(&request.partition, &fields)?;
    Ok(BatchReply::of(Some(&batch)))
}

pub(super) fn batch_of_keys(
    gateway: &Gateway,
    request: BatchOfKeysRequest,
) -> Result<BatchOfKeysReply> {
    let keys = texts(request.keys.as_ref())?;
    let (batch, missing) =
        gateway
            .engine
            .batch_of_keys(&request.partition, &keys, request.create)?;
    Ok(BatchOfKeysReply {
        batch: batch.as_ref().map(Batch::of),
        missing: from_positions(&missing),
    })
}

pub(super) fn keys_of(gateway: &Gateway, request: IndexesRequest) -> Result<KeysReply> {
    let indexes = indexes(request.global_indexes);
    let keys = gateway.engine.keys_of(&request.partition, &indexes)?;
    Ok(KeysReply {
        keys: keys.as_ref().map(OptionalTexts::of),
    })
}

pub(super) fn tags_of(gateway: &Gateway, request: IndexesRequest) -> Result<TagsReply> {
    let indexes = indexes(request.global_indexes);
    let tags = gateway.engine.tags_of(&request.partition, &indexes)?;
    Ok(TagsReply {
        tags: Some(Tags::of(&tags)),
    })
}

pub(super) fn set_tags(gateway: &Gateway, request: SetTagsRequest) -> Result<CountReply> {
    let indexes = indexes(request.global_indexes);
    let rows = request.tags.as_ref().map_or(0, |tags| tags.counts.len());
    let tags = tags(request.tags.as_ref(), rows)?;
    gateway
        .engine
        .set_tags(&request.partition, &indexes, tags, request.replace)
        .map(counted)
}

pub(super) fn set_receipts(gateway: &Gateway, request: SetReceiptsRequest) -> Result<CountReply> {
    let indexes = indexes(request.global_indexes);
    let column = request.receipts.unwrap_or_default();
    let receipts = column.read(column.counts.len())?;
    gateway
        .engine
        .set_receipts(&request.partition, &indexes, receipts)
        .map(counted)
}
