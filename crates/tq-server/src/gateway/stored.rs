//! Samples whose payload lies in a storage backend: only where it lies is told.

use tq_proto::{Error, ErrorKind, Result};
use tq_wire::proto::{
    CountRequest, Nothing, ParcelsMessage, PublishStoredRequest, PublishedReply, ReadStoredReply,
    ReadStoredRequest, Target,
};
use tq_wire::tags::tags;
use tq_wire::texts::{count, field_names, indexes, texts};

use super::Gateway;

pub(super) fn publish(
    gateway: &Gateway,
    mut request: PublishStoredRequest,
) -> Result<PublishedReply> {
    let target = request.target.take().unwrap_or_default();
    let given = request.tags.take();
    let given = given
        .map(|given| tags(Some(&given), given.counts.len()))
        .transpose()?;
    let put = request.read()?;
    let partition = one_partition(&target)?;
    let engine = &gateway.engine;
    let published = if target.by_index {
        let indexes = indexes(target.global_indexes);
        engine.publish_stored_indexes(&partition, &indexes, put, given)
    } else {
        let keys = texts(target.keys.as_ref())?;
        engine.publish_stored(&partition, &keys, put, given)
    };
    Ok(PublishedReply::of(&published?))
}

pub(super) fn read(gateway: &Gateway, request: ReadStoredRequest) -> Result<ReadStoredReply> {
    let target = request.target.unwrap_or_default();
    let select = request.select.map(|fields| field_names(fields.names));
    let engine = &gateway.engine;
    let batch = if target.by_index {
        let partitions = texts(target.partitions.as_ref())?;
        let indexes = indexes(target.global_indexes);
        engine.read_stored_indexes(&partitions, &indexes, &select.unwrap_or_default())
    } else {
        let partition = one_partition(&target)?;
        let keys = texts(target.keys.as_ref())?;
        engine.read_stored(&partition, &keys, select.as_deref())
    };
    Ok(ReadStoredReply::of(&batch?))
}

pub(super) fn take_dropped(gateway: &Gateway, request: CountRequest) -> Result<ParcelsMessage> {
    let taken = gateway.engine.take_dropped(count(request.count))?;
    Ok(ParcelsMessage::of(&taken))
}

pub(super) fn return_dropped(gateway: &Gateway, request: ParcelsMessage) -> Result<Nothing> {
    gateway.engine.return_dropped(request.read()?)?;
    Ok(Nothing {})
}

fn one_partition(target: &Target) -> Result<String> {
    match texts(target.partitions.as_ref())?.as_slice() {
        [partition] => Ok((*partition).to_owned()),
        other => Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("samples of {} partitions were named; name one", other.len()),
        )),
    }
}
