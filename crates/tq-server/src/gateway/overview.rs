//! What the host is at, in counts: for people, and for programs that watch over it.

use tq_arena::ArenaUsage;
use tq_engine::{UnitInfo, Usage};
use tq_proto::Result;
use tq_storage::StorageUsage;
use tq_wire::overview::{Overview, UnitOverview};
use tq_wire::proto::{Nothing, OverviewReply};

use super::Gateway;

/// Name of the storage unit that every engine has.
const OWN_UNIT: &str = "engine";

/// A unit of another process, as far as it has told.
fn unit(unit: &UnitInfo) -> UnitOverview {
    let lost = if unit.is_lost { " (lost)" } else { "" };
    UnitOverview {
        name: format!("{} {}{lost}", unit.id, unit.name),
        usage: Usage {
            storage: StorageUsage {
                samples: unit.samples,
                pending_samples: 0,
                max_samples: None,
                fields: 0,
                arena: ArenaUsage {
                    capacity: unit.capacity_bytes,
                    committed: unit.used_bytes,
                    ..ArenaUsage::default()
                },
            },
            pooled_bytes: 0,
        },
    }
}

pub(super) fn overview(gateway: &Gateway, _: Nothing) -> Result<OverviewReply> {
    let mut units = vec![UnitOverview {
        name: OWN_UNIT.to_owned(),
        usage: gateway.engine.usage()?,
    }];
    units.extend(gateway.engine.units()?.iter().skip(1).map(unit));
    let overview = Overview {
        partitions: gateway.engine.overview()?,
        units,
        guests: gateway.sessions.overview(),
        serving: gateway.since.elapsed(),
    };
    Ok(OverviewReply::of(&overview))
}
