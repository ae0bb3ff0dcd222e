//! Storage units of a cluster: reached when they are needed, each over a connection of its own.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use tq_controller::PlacedRows;
use tq_engine::get::unreadable;
use tq_engine::{Spread, UnitInfo};
use tq_proto::{Error, ErrorKind, FieldName, GlobalIndex, PartitionId, Result, UnitId};
use tq_storage::ColumnRead;
use tq_wire::address::Address;
use tq_wire::proto::{LostRowsRequest, Nothing, Unit};

use crate::config::ConnectConfig;
use crate::remote::{Remote, call, change};
use tq_wire::request_id::RequestId;

/// A unit that cannot be reached within this is as good as lost.
const REACH_LIMIT: Duration = Duration::from_secs(2);

/// Rows of a read that lie in one unit and are asked for together.
struct Share {
    unit: UnitId,
    /// Positions in the whole.
    positions: Vec<usize>,
    /// Numbers of the fields.
    fields: Vec<usize>,
}

impl Remote {
    /// All storage units, that of the host itself first.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn units(&self) -> Result<Vec<UnitInfo>> {
        let reply = self.ask_again(|| call!(units, Nothing {}))?;
        Ok(reply.units.into_iter().map(Unit::read).collect())
    }

    /// See [`tq_engine::Embedded::lost_rows`].
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn lost_rows(&self, partition: Option<&str>) -> Result<Vec<(PartitionId, PlacedRows)>> {
        let request = || LostRowsRequest {
            partition: partition.map(Into::into),
            reset: false,
        };
        Ok(self.ask_again(|| call!(lost_rows, request()))?.read())
    }

    /// See [`tq_engine::Embedded::reset_lost`].
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn reset_lost(&self, partition: Option<&str>) -> Result<Vec<(PartitionId, PlacedRows)>> {
        let request = LostRowsRequest {
            partition: partition.map(Into::into),
            reset: true,
        };
        Ok(self.ask(change!(lost_rows, request))?.read())
    }

    /// The connection to a unit.
    pub(crate) fn unit(&self, unit: &UnitInfo) -> Result<Self> {
        let known = |units: &BTreeMap<UnitId, (Vec<String>, Self)>| {
            let (addresses, remote) = units.get(&unit.id)?;
            (*addresses == unit.addresses && remote.check().is_ok()).then(|| remote.clone())
        };
        let units = &self.shared.units;
        if let Some(remote) = known(&units.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(remote);
        }
        let address = self.nearest(unit)?;
        let config = ConnectConfig {
            deadline: self.shared.config.deadline,
            ..self.shared.config.clone()
        };
        let remote = self.open_beside(&address, config, REACH_LIMIT)?;
        let mut units = units.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been faster; one connection is enough.
        if let Some(remote) = known(&units) {
            return Ok(remote);
        }
        units.insert(unit.id, (unit.addresses.clone(), remote.clone()));
        Ok(remote)
    }

    fn nearest(&self, unit: &UnitInfo) -> Result<Address> {
        let own = &self.shared.config.host;
        let is_here = !own.is_empty() && *own == unit.host;
        let mut tcp = None;
        for text in &unit.addresses {
            match Address::parse(text) {
                Ok(address @ Address::Unix(_)) if is_here => return Ok(address),
                Ok(address @ Address::Tcp(_)) => tcp = tcp.or(Some(address)),
                _ => {}
            }
        }
        tcp.ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                format!(
                    "storage unit {} ({}) runs on another machine and listens on no TCP port; \
                     start it with one",
                    unit.id, unit.name
                ),
            )
        })
    }

    /// Reads rows that lie in several units, from all of them at once.
    pub(crate) fn read_spread(&self, spread: &Spread) -> Result<Vec<ColumnRead>> {
        let shares = shares(spread);
        let read = |share: &Share| self.read_share(spread, share);
        let columns: Vec<Vec<ColumnRead>> = match shares.as_slice() {
            [one] => vec![read(one)?],
            several => thread::scope(|scope| {
                let threads: Vec<_> = several
                    .iter()
                    .map(|share| {
                        let name = format!("tq-read-{}", share.unit);
                        thread::Builder::new()
                            .name(name)
                            .spawn_scoped(scope, move || read(share))
                            .map_err(|error| {
                                Error::new(ErrorKind::System, "the system gave no thread to read")
                                    .caused_by(error)
                            })
                    })
                    .collect();
                threads.into_iter().map(joined).collect::<Result<_>>()
            })?,
        };
        let rows = spread.indexes.len();
        let mut parts: Vec<Vec<(Vec<usize>, ColumnRead)>> = Vec::new();
        parts.resize_with(spread.fields.len(), Vec::new);
        for (share, columns) in shares.iter().zip(columns) {
            for (field, column) in share.fields.iter().zip(columns) {
                parts[*field].push((share.positions.clone(), column));
            }
        }
        let whole = |(field, mut parts): (&FieldName, Vec<(Vec<usize>, ColumnRead)>)| {
            // Positions ascend, so the rows of a single part are in order.
            match parts.pop() {
                Some((_, only)) if parts.is_empty() => Ok(only),
                last => {
                    parts.extend(last);
                    ColumnRead::merge(field.clone(), parts, rows)
                }
            }
        };
        spread.fields.iter().zip(parts).map(whole).collect()
    }

    fn read_share(&self, spread: &Spread, share: &Share) -> Result<Vec<ColumnRead>> {
        let indexes: Vec<GlobalIndex> = share
            .positions
            .iter()
            .map(|position| spread.indexes[*position])
            .collect();
        let fields: Vec<FieldName> = share
            .fields
            .iter()
            .map(|field| spread.fields[*field].clone())
            .collect();
        if share.unit == UnitId::HOME {
            return self.read_here(&indexes, &fields);
        }
        let unit = spread.known.iter().find(|unit| unit.id == share.unit);
        let unit = unit.ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                format!("storage unit {} is not described", share.unit),
            )
        })?;
        let read = self
            .unit(unit)
            .and_then(|remote| remote.read_here(&indexes, &fields));
        read.map_err(|error| match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Closed => {
                let what = format!("storage unit {} ({}) does not answer", unit.id, unit.name);
                let named = Error::new(ErrorKind::Unavailable, what).caused_by(error);
                unreadable(named, &indexes)
            }
            _ => error,
        })
    }
}

fn joined(
    thread: Result<thread::ScopedJoinHandle<'_, Result<Vec<ColumnRead>>>>,
) -> Result<Vec<ColumnRead>> {
    thread?.join().unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::Internal,
            "a read of a storage unit panicked",
        ))
    })
}

/// What to ask of which unit: fields whose rows lie alike are asked for together.
fn shares(spread: &Spread) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::new();
    for (field, units) in spread.units.iter().enumerate() {
        let mut own: BTreeMap<UnitId, Vec<usize>> = BTreeMap::new();
        for (position, unit) in units.iter().enumerate() {
            own.entry(*unit).or_default().push(position);
        }
        for (unit, positions) in own {
            let alike = |share: &&mut Share| share.unit == unit && share.positions == positions;
            match shares.iter_mut().find(alike) {
                Some(share) => share.fields.push(field),
                None => shares.push(Share {
                    unit,
                    positions,
                    fields: vec![field],
                }),
            }
        }
    }
    shares
}

/// Connections to units, by their numbers, with the addresses they were made by.
pub(crate) type Units = std::sync::Mutex<BTreeMap<UnitId, (Vec<String>, Remote)>>;

pub(crate) fn end_all(units: &Units) {
    let known = std::mem::take(&mut *units.lock().unwrap_or_else(PoisonError::into_inner));
    for (_, (_, remote)) in known {
        remote.close();
    }
}
