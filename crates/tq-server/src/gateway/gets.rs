//! Batches on their way out: leased for the guest's session, or sent along, where small.

use tq_engine::{Batch, Found};
use tq_proto::Result;
use tq_storage::ColumnRead;
use tq_wire::limits::INLINE_BYTES;
use tq_wire::proto::{Column, HoldRequest, Nothing, ReadReply, ReadRequest, Spread};
use tq_wire::texts::{field_names, from_positions, indexes, names, texts};

use super::{FEW, Gateway};

/// Few samples; then a copy of more than a message's worth of bytes is not made either.
pub(super) fn is_light(_: &Gateway, request: &ReadRequest) -> bool {
    let keys = request.keys.as_ref().map_or(0, |keys| keys.ends.len());
    keys + request.global_indexes.len() <= FEW
}

pub(super) fn read(gateway: &Gateway, request: ReadRequest) -> Result<ReadReply> {
    let session = gateway.sessions.get(request.session)?;
    let select = request.select.map(|fields| field_names(fields.names));
    let found = if request.by_index {
        let indexes = indexes(request.global_indexes);
        let fields = select.unwrap_or_default();
        if request.stored {
            Found::Here(Batch {
                positions: Vec::new(),
                missing: Vec::new(),
                ready: Vec::new(),
                columns: gateway.engine.read_here(&indexes, &fields)?,
            })
        } else {
            gateway.engine.find_indexes(&indexes, &fields)?
        }
    } else {
        let keys = texts(request.keys.as_ref())?;
        gateway
            .engine
            .find(&request.partition, &keys, select.as_deref())?
    };
    let Batch {
        missing,
        ready,
        columns,
        ..
    } = match found {
        Found::Here(batch) => batch,
        Found::Spread(spread) => {
            return Ok(ReadReply {
                missing: from_positions(&spread.missing),
                ready: names(&spread.ready),
                spread: Some(Spread::of(&spread)),
                ..ReadReply::default()
            });
        }
    };
    let mut reply = ReadReply {
        missing: from_positions(&missing),
        ready: names(&ready),
        columns: Vec::with_capacity(columns.len()),
        ..ReadReply::default()
    };
    let bytes = columns
        .iter()
        .fold(0, |sum: u64, column| sum.saturating_add(column.bytes()));
    if bytes <= INLINE_BYTES {
        reply.payload = Some(gather(&columns, bytes as usize));
        let column = |read: &ColumnRead| Column::inline(&read.description(), read.bytes());
        reply.columns.extend(columns.iter().map(column));
    } else {
        let column = |read: &ColumnRead| Column::of(&read.description());
        reply.columns.extend(columns.iter().map(column));
        session.hold_read(request.number, columns)?;
    }
    Ok(reply)
}

/// The bytes of all columns, back to back.
fn gather(columns: &[ColumnRead], bytes: usize) -> Vec<u8> {
    let mut payload = Vec::with_capacity(bytes);
    for slice in columns.iter().flat_map(ColumnRead::slices) {
        payload.extend_from_slice(slice);
    }
    payload
}

pub(super) fn release(gateway: &Gateway, request: HoldRequest) -> Result<Nothing> {
    gateway
        .sessions
        .get(request.session)?
        .release(&request.numbers);
    Ok(Nothing {})
}
