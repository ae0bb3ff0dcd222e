//! Storage units of other processes.

use std::sync::Arc;

use tq_engine::{Order, UnitHello};
use tq_proto::{Result, UnitId};
use tq_wire::proto::{
    JoinUnitReply, JoinUnitRequest, LostRowsReply, LostRowsRequest, Nothing, ReportUnitRequest,
    Unit, UnitsReply,
};

use super::Gateway;

pub(super) fn join(gateway: &Gateway, request: JoinUnitRequest) -> Result<JoinUnitReply> {
    let session = gateway.sessions.get(request.session)?;
    let unit = request.unit.unwrap_or_default();
    let was = (UnitId(unit.id), request.epoch);
    let hello = UnitHello {
        name: unit.name,
        host: unit.host,
        addresses: unit.addresses,
        capacity_bytes: unit.capacity_bytes,
        was: request.returns.then_some(was),
    };
    tracing::info!(unit = hello.name, "a storage unit joins");
    let bell = Arc::clone(session.bell());
    let orders = Box::new(move |number, order: &Order| bell.order(number, order));
    let seat = gateway.engine.join_unit(hello, orders)?;
    session.be_unit(seat.id);
    let engine = gateway.engine.clone();
    let left = session.on_leave(Box::new(move || {
        tracing::warn!(unit = %seat.id, "a storage unit is lost");
        engine.lose_unit(seat);
    }));
    if let Err(error) = left {
        gateway.engine.lose_unit(seat);
        return Err(error);
    }
    Ok(JoinUnitReply {
        id: seat.id.0,
        epoch: gateway.engine.epoch(),
        keeps: seat.keeps,
    })
}

pub(super) fn report(gateway: &Gateway, request: ReportUnitRequest) -> Result<Nothing> {
    let session = gateway.sessions.get(request.session)?;
    if let Some(unit) = session.unit() {
        gateway
            .engine
            .report_unit(unit, request.used_bytes, request.samples, request.done);
    }
    Ok(Nothing {})
}

pub(super) fn units(gateway: &Gateway, _: Nothing) -> Result<UnitsReply> {
    let units = gateway.engine.units()?;
    Ok(UnitsReply {
        units: units.iter().map(Unit::of).collect(),
    })
}

pub(super) fn lost_rows(gateway: &Gateway, request: LostRowsRequest) -> Result<LostRowsReply> {
    let partition = request.partition.as_deref();
    let rows = if request.reset {
        gateway.engine.reset_lost(partition)?
    } else {
        gateway.engine.lost_rows(partition)?
    };
    Ok(LostRowsReply::of(&rows))
}
