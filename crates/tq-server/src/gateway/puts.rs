//! Batches on their way in: loaned, written by the guest, published; or sent along, where small.

use tq_engine::Put;
use tq_proto::{Error, ErrorKind, Result};
use tq_wire::proto::{
    BeginPutRequest, ColumnPlan, HoldRequest, LoanReply, Nothing, PublishRequest, PublishedReply,
    PutRequest, Target,
};
use tq_wire::tags::tags;
use tq_wire::texts::{indexes, texts};

use super::{FEW, Gateway};

pub(super) fn begin(gateway: &Gateway, request: BeginPutRequest) -> Result<LoanReply> {
    let session = gateway.sessions.get(request.session)?;
    let put = reserve(gateway, request.target, request.columns)?;
    let places = LoanReply::of(&put.places(), put.place());
    session.hold_put(request.number, put)?;
    Ok(places)
}

pub(super) fn publish(gateway: &Gateway, request: PublishRequest) -> Result<PublishedReply> {
    let session = gateway.sessions.get(request.session)?;
    let put = session.take_put(request.number)?;
    finish(put, request.tags.as_ref())
}

pub(super) fn abandon(gateway: &Gateway, request: HoldRequest) -> Result<Nothing> {
    gateway
        .sessions
        .get(request.session)?
        .abandon(&request.numbers);
    Ok(Nothing {})
}

/// Few samples, and nobody to be woken by them.
pub(super) fn is_light(gateway: &Gateway, request: &PutRequest) -> bool {
    let Some(target) = &request.target else {
        return true;
    };
    let partitions = texts(target.partitions.as_ref()).unwrap_or_default();
    let keys = target.keys.as_ref().map_or(0, |keys| keys.ends.len());
    keys + target.global_indexes.len() <= FEW
        && !partitions
            .iter()
            .any(|partition| gateway.engine.is_awaited(partition))
}

pub(super) fn put(gateway: &Gateway, request: PutRequest) -> Result<PublishedReply> {
    let mut put = reserve(gateway, request.target, request.columns)?;
    let mut payload = request.payload.as_slice();
    for column in put.columns_mut() {
        let (bytes, rest) = payload
            .split_at_checked(column.len())
            .ok_or_else(|| payload_length(request.payload.len()))?;
        column.copy_from_slice(bytes);
        payload = rest;
    }
    if !payload.is_empty() {
        return Err(payload_length(request.payload.len()));
    }
    finish(put, request.tags.as_ref())
}

fn reserve(gateway: &Gateway, target: Option<Target>, columns: Vec<ColumnPlan>) -> Result<Put> {
    let target = target.unwrap_or_default();
    let plans = ColumnPlan::read(columns)?;
    let partitions = texts(target.partitions.as_ref())?;
    if target.by_index {
        let indexes = indexes(target.global_indexes);
        return match partitions.as_slice() {
            [one] => {
                let all = vec![*one; indexes.len()];
                gateway.engine.begin_put_indexes(&all, &indexes, plans)
            }
            each => gateway.engine.begin_put_indexes(each, &indexes, plans),
        };
    }
    let [partition] = partitions.as_slice() else {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "keys of {} partitions were put; put into one",
                partitions.len()
            ),
        ));
    };
    let keys = texts(target.keys.as_ref())?;
    gateway.engine.begin_put(partition, &keys, plans)
}

fn finish(put: Put, given: Option<&tq_wire::proto::Tags>) -> Result<PublishedReply> {
    let given = given
        .map(|given| tags(Some(given), given.counts.len()))
        .transpose()?;
    Ok(PublishedReply::of(&put.publish(given)?))
}

fn payload_length(found: usize) -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        format!("{found} bytes were sent for columns that need another number; send all rows"),
    )
}
