//! What the host is at, in counts: for people, and for programs that watch over it.

use tq_proto::Result;
use tq_wire::overview::{Overview, UnitOverview};
use tq_wire::proto::{Nothing, OverviewReply};

use super::Gateway;

/// Name of the storage unit that every engine has.
const OWN_UNIT: &str = "engine";

pub(super) fn overview(gateway: &Gateway, _: Nothing) -> Result<OverviewReply> {
    let overview = Overview {
        partitions: gateway.engine.overview()?,
        units: vec![UnitOverview {
            name: OWN_UNIT.to_owned(),
            usage: gateway.engine.usage()?,
        }],
        guests: gateway.sessions.overview(),
        serving: gateway.since.elapsed(),
    };
    Ok(OverviewReply::of(&overview))
}
