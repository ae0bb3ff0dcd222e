//! Batches on their way in: loaned, written by the guest, published; or sent along, where small.

use tq_engine::{Placing, Put};
use tq_proto::{Error, ErrorKind, Result, UnitId};
use tq_wire::proto::{
    BeginPutRequest, BeginStoreRequest, ColumnPlan, HoldRequest, LoanReply, Nothing,
    PublishRequest, PublishedReply, PutRequest, Target,
};
use tq_wire::tags::tags;
use tq_wire::texts::{indexes, texts};

use super::{FEW, Gateway};
use crate::held::Incoming;

pub(super) fn begin(gateway: &Gateway, request: BeginPutRequest) -> Result<LoanReply> {
    let session = gateway.sessions.get(request.session)?;
    let avoid: Vec<_> = request.avoid.into_iter().map(UnitId).collect();
    let placing = Placing {
        host: &request.host,
        avoid: &avoid,
    };
    let put = reserve(gateway, request.target, request.columns, Some(placing))?;
    let reply = match put.unit() {
        Some(unit) => LoanReply::elsewhere(&gateway.engine.unit(unit)?, &put.indexes()),
        None => LoanReply::of(&put.places(), put.place()),
    };
    session.hold(request.number, Incoming::Put(put))?;
    Ok(reply)
}

pub(super) fn begin_store(gateway: &Gateway, request: BeginStoreRequest) -> Result<LoanReply> {
    let session = gateway.sessions.get(request.session)?;
    let plans = ColumnPlan::read(request.columns)?;
    let store = gateway
        .engine
        .begin_store(&indexes(request.global_indexes), plans)?;
    let reply = LoanReply::of(&store.places(), store.place());
    session.hold(request.number, Incoming::Store(store))?;
    Ok(reply)
}

pub(super) fn commit_store(gateway: &Gateway, request: HoldRequest) -> Result<Nothing> {
    let session = gateway.sessions.get(request.session)?;
    for number in request.numbers {
        // Rows that were cleared meanwhile are none; the publish finds that out.
        session.take_store(number)?.commit()?;
    }
    Ok(Nothing {})
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
    let mut put = reserve(gateway, request.target, request.columns, None)?;
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

fn reserve(
    gateway: &Gateway,
    target: Option<Target>,
    columns: Vec<ColumnPlan>,
    placing: Option<Placing<'_>>,
) -> Result<Put> {
    let engine = &gateway.engine;
    let target = target.unwrap_or_default();
    let plans = ColumnPlan::read(columns)?;
    let partitions = texts(target.partitions.as_ref())?;
    if target.by_index {
        let indexes = indexes(target.global_indexes);
        return match partitions.as_slice() {
            [one] => {
                let all = vec![*one; indexes.len()];
                engine.begin_put_indexes_placed(&all, &indexes, plans, placing)
            }
            each => engine.begin_put_indexes_placed(each, &indexes, plans, placing),
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
    engine.begin_put_placed(partition, &keys, plans, placing)
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
