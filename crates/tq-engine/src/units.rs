//! Storage units of other processes: who they are, where the next batch goes, and what they are told.
//!
//! A unit joins and is known from then on by its number. While it is connected, batches are placed
//! there and orders reach it; once it is lost, its rows cannot be read, and are told of or given up.
//! It may come back with what it stores.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tq_controller::PlacedRows;
use tq_proto::{Error, ErrorKind, FieldName, GlobalIndex, PartitionId, Result, UnitId};
use tq_storage::StorageUnit;

use crate::embedded::Embedded;
use crate::wait::Change;

/// What a unit is told to drop. Global indexes are never reused, so an order cannot come too late.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// Samples with all their fields.
    Clear(Vec<GlobalIndex>),
    /// Rows of one field, which lie elsewhere now.
    Remove {
        /// The field.
        field: FieldName,
        /// The samples.
        indexes: Vec<GlobalIndex>,
    },
}

/// Passes an order on with its number, without waiting.
pub type Orders = Box<dyn Fn(u64, &Order) + Send + Sync>;

/// What a unit says of itself when it joins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnitHello {
    /// Its name, for logs and errors.
    pub name: String,
    /// The machine it runs on, see [`host_id`].
    pub host: String,
    /// Where it is reached.
    pub addresses: Vec<String>,
    /// The most bytes it stores.
    pub capacity_bytes: u64,
    /// The unit it was before a loss of the connection, and of which engine.
    pub was: Option<(UnitId, u64)>,
}

/// A storage unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnitInfo {
    /// Its number; [`UnitId::HOME`] for that of the engine's own process.
    pub id: UnitId,
    /// Its name.
    pub name: String,
    /// The machine it runs on.
    pub host: String,
    /// Where it is reached; nowhere else than the engine itself, for its own.
    pub addresses: Vec<String>,
    /// The most bytes it stores.
    pub capacity_bytes: u64,
    /// Bytes in use, as far as known.
    pub used_bytes: u64,
    /// Samples it has a field of, as far as known.
    pub samples: u64,
    /// Whether it cannot be reached.
    pub is_lost: bool,
}

/// A unit that has joined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnitSeat {
    /// Its number.
    pub id: UnitId,
    /// Whether what it stores is still known; where not, it is to drop all of it.
    pub keeps: bool,
    joined: u64,
}

/// Which unit a batch goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PlacementPolicy {
    /// One of the writer's machine, or the emptiest where none there has room.
    #[default]
    Local,
    /// The emptiest.
    Balanced,
}

/// Who puts, and where not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Placing<'a> {
    /// The writer's machine; unknown where empty.
    pub host: &'a str,
    /// Units that had no room, or could not be reached.
    pub avoid: &'a [UnitId],
}

struct Record {
    info: UnitInfo,
    /// Bytes placed there since it last told how full it is.
    placed: u64,
    /// `None` once it is lost.
    orders: Option<Orders>,
    /// Orders that it has not said to have carried out, by ascending number. All of them are given
    /// again when it comes back: a connection may be lost with orders under way.
    open: VecDeque<(u64, Order)>,
    /// Orders that were ever given.
    given: u64,
    /// How often it has joined: the end of a former connection says nothing of this one.
    joined: u64,
}

/// All units but the engine's own.
#[derive(Default)]
pub(crate) struct UnitBoard {
    /// Whether there ever was one, to be asked without the lock.
    in_play: AtomicBool,
    known: Mutex<BTreeMap<UnitId, Record>>,
}

/// The machine this process runs on, as far as sockets in the file system reach: the kernel's boot
/// and the network namespace. Empty where the system does not tell.
#[must_use]
pub fn host_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let network = std::fs::read_link("/proc/self/ns/net");
        match (boot, network) {
            (Ok(boot), Ok(network)) => format!("{} {}", boot.trim(), network.display()),
            _ => String::new(),
        }
    })
}

impl UnitBoard {
    pub(crate) fn in_play(&self) -> bool {
        self.in_play.load(Ordering::Acquire)
    }

    /// The unit for a batch of `bytes` bytes; `home` are the bytes free in the engine's own.
    pub(crate) fn choose(
        &self,
        policy: PlacementPolicy,
        placing: Placing<'_>,
        bytes: u64,
        home: u64,
    ) -> UnitId {
        if !self.in_play() {
            return UnitId::HOME;
        }
        let mut known = self.lock();
        let has_room =
            |(id, _, free): &(UnitId, bool, u64)| *free >= bytes && !placing.avoid.contains(id);
        let is_local = |host: &str| !host.is_empty() && host == placing.host;
        let own = (UnitId::HOME, is_local(host_id()), home);
        let others = known.values().filter(|unit| unit.orders.is_some());
        let others = others.map(|unit| {
            let used = unit.info.used_bytes.saturating_add(unit.placed);
            let free = unit.info.capacity_bytes.saturating_sub(used);
            (unit.info.id, is_local(&unit.info.host), free)
        });
        let candidates: Vec<_> = std::iter::once(own)
            .chain(others)
            .filter(has_room)
            .collect();
        let emptiest = |local_only: bool| {
            let fit = candidates
                .iter()
                .filter(|(_, local, _)| *local || !local_only);
            // Of equally empty ones the first, so that an idle cluster fills one after the other.
            fit.max_by_key(|(id, _, free)| (*free, std::cmp::Reverse(*id)))
        };
        let chosen = match policy {
            PlacementPolicy::Local => candidates
                .iter()
                .find(|(id, local, _)| *local && *id == UnitId::HOME)
                .or_else(|| emptiest(true))
                .or_else(|| emptiest(false)),
            PlacementPolicy::Balanced => emptiest(false),
        };
        // A unit may have more room by now than it has told; it says itself whether it has. Where it
        // could never take the batch, the engine's own unit says so best.
        let could = || {
            let fit = known.values().filter(|unit| {
                let has_place = unit.info.capacity_bytes >= bytes && unit.orders.is_some();
                has_place && !placing.avoid.contains(&unit.info.id)
            });
            fit.map(|unit| unit.info.id).next()
        };
        let chosen = chosen
            .map(|(id, ..)| *id)
            .or_else(could)
            .unwrap_or(UnitId::HOME);
        if let Some(unit) = known.get_mut(&chosen) {
            unit.placed = unit.placed.saturating_add(bytes);
        }
        chosen
    }

    /// Tells a unit to drop something; one that is lost, when it comes back.
    pub(crate) fn order(&self, unit: UnitId, order: Order) {
        if let Some(record) = self.lock().get_mut(&unit) {
            record.given += 1;
            if let Some(orders) = &record.orders {
                orders(record.given, &order);
            }
            record.open.push_back((record.given, order));
        }
    }

    /// Drops rows that lie elsewhere now.
    pub(crate) fn drop_displaced(&self, displaced: Vec<PlacedRows>, home: &StorageUnit) {
        for rows in displaced {
            if rows.unit == UnitId::HOME {
                home.remove_rows(&rows.field, &rows.global_indexes);
            } else {
                let PlacedRows {
                    unit,
                    field,
                    global_indexes: indexes,
                } = rows;
                self.order(unit, Order::Remove { field, indexes });
            }
        }
    }

    /// The unit, where it can be reached.
    ///
    /// # Errors
    /// `Unavailable` where it is lost or unknown.
    pub(crate) fn reachable(&self, unit: UnitId) -> Result<UnitInfo> {
        match self.lock().get(&unit) {
            Some(record) if record.orders.is_some() => Ok(record.info.clone()),
            Some(record) => Err(Error::new(
                ErrorKind::Unavailable,
                format!("storage unit {unit} ({}) is lost", record.info.name),
            )),
            None => Err(Error::new(
                ErrorKind::Unavailable,
                format!("there is no storage unit {unit}"),
            )),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<UnitId, Record>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Embedded {
    /// Number of this engine, another one at each start: what a unit stores for another engine is
    /// of no use to this one.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.shared.epoch
    }

    /// Takes in a storage unit.
    ///
    /// # Errors
    /// `InvalidArgument` where it can be reached nowhere; `Closed`, `Forked`.
    pub fn join_unit(&self, hello: UnitHello, orders: Orders) -> Result<UnitSeat> {
        self.check()?;
        if hello.addresses.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "storage unit {:?} has no address; have it serve first",
                    hello.name
                ),
            ));
        }
        let mut known = self.shared.units.lock();
        let returning = hello
            .was
            .filter(|(id, epoch)| *epoch == self.epoch() && known.contains_key(id));
        let id = match returning {
            Some((id, _)) => id,
            None => UnitId(known.keys().next_back().map_or(0, |last| last.0) + 1),
        };
        let info = UnitInfo {
            id,
            name: hello.name,
            host: hello.host,
            addresses: hello.addresses,
            capacity_bytes: hello.capacity_bytes,
            used_bytes: 0,
            samples: 0,
            is_lost: false,
        };
        let former = known.remove(&id);
        let (joined, given, open) = former.map_or_else(Default::default, |former| {
            (former.joined, former.given, former.open)
        });
        open.iter()
            .for_each(|(number, order)| orders(*number, order));
        known.insert(
            id,
            Record {
                info,
                placed: 0,
                orders: Some(orders),
                open,
                given,
                joined: joined + 1,
            },
        );
        self.shared.units.in_play.store(true, Ordering::Release);
        Ok(UnitSeat {
            id,
            keeps: returning.is_some(),
            joined: joined + 1,
        })
    }

    /// The connection to a unit is lost: its rows cannot be read until it comes back, and nothing
    /// more is placed there. Nothing happens where it has come back already.
    pub fn lose_unit(&self, seat: UnitSeat) {
        if let Some(record) = self.shared.units.lock().get_mut(&seat.id)
            && record.joined == seat.joined
        {
            record.orders = None;
            record.info.is_lost = true;
        }
    }

    /// How full a unit is, and up to which number it has carried out its orders.
    pub fn report_unit(&self, unit: UnitId, used_bytes: u64, samples: u64, done: u64) {
        if let Some(record) = self.shared.units.lock().get_mut(&unit) {
            record.info.used_bytes = used_bytes;
            record.info.samples = samples;
            record.placed = 0;
            while record
                .open
                .front()
                .is_some_and(|(number, _)| *number <= done)
            {
                record.open.pop_front();
            }
        }
    }

    /// All units, that of this process first.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn units(&self) -> Result<Vec<UnitInfo>> {
        self.check()?;
        let usage = self.shared.unit.usage();
        let home = UnitInfo {
            id: UnitId::HOME,
            name: "home".into(),
            host: host_id().into(),
            addresses: Vec::new(),
            capacity_bytes: self.shared.config.capacity_bytes,
            used_bytes: usage.arena.in_use(),
            samples: usage.samples,
            is_lost: false,
        };
        let others = self.shared.units.lock();
        let others = others.values().map(|unit| unit.info.clone());
        Ok(std::iter::once(home).chain(others).collect())
    }

    /// Where a unit is reached.
    ///
    /// # Errors
    /// `Unavailable` where it is lost or unknown.
    pub fn unit(&self, unit: UnitId) -> Result<UnitInfo> {
        self.shared.units.reachable(unit)
    }

    /// Rows that lie in units that are lost, of one partition or of all.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn lost_rows(&self, partition: Option<&str>) -> Result<Vec<(PartitionId, PlacedRows)>> {
        self.check()?;
        let lost = self.lost_units();
        Ok(self.shared.controller().rows_at(&lost, partition))
    }

    /// Gives up rows that lie in units that are lost: their fields are not produced any more, and
    /// can be put again. Returns what was given up.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn reset_lost(&self, partition: Option<&str>) -> Result<Vec<(PartitionId, PlacedRows)>> {
        self.check()?;
        let lost = self.lost_units();
        let (rows, changed) = {
            let mut controller = self.shared.controller();
            let rows = controller.rows_at(&lost, partition);
            let changed = controller.unproduce(&rows);
            (rows, changed)
        };
        for partition in changed {
            self.shared.waits.changed(&partition, Change::Other);
        }
        Ok(rows)
    }

    /// Carries out, in a unit's own process, what its engine orders.
    pub fn carry_out(&self, order: Order) {
        match order {
            Order::Clear(indexes) => drop(self.shared.unit.clear(&indexes)),
            Order::Remove { field, indexes } => {
                self.shared.unit.remove_rows(&field, &indexes);
            }
        }
    }

    /// Drops all that is stored here for the engine of another process.
    pub fn drop_all_stored(&self) {
        self.shared.unit.clear_all();
    }

    fn lost_units(&self) -> Vec<UnitId> {
        let known = self.shared.units.lock();
        let lost = known.values().filter(|unit| unit.orders.is_none());
        lost.map(|unit| unit.info.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(units: &[(u32, &str, u64)]) -> UnitBoard {
        let board = UnitBoard::default();
        board.in_play.store(true, Ordering::Release);
        for (id, host, free) in units {
            let info = UnitInfo {
                id: UnitId(*id),
                name: format!("unit {id}"),
                host: (*host).into(),
                addresses: vec!["tcp:h:1".into()],
                capacity_bytes: *free,
                used_bytes: 0,
                samples: 0,
                is_lost: false,
            };
            let record = Record {
                info,
                placed: 0,
                orders: Some(Box::new(|_, _| {})),
                open: VecDeque::new(),
                given: 0,
                joined: 1,
            };
            board.lock().insert(UnitId(*id), record);
        }
        board
    }

    fn choose(board: &UnitBoard, policy: PlacementPolicy, host: &str, bytes: u64) -> u32 {
        let placing = Placing { host, avoid: &[] };
        board.choose(policy, placing, bytes, 100).0
    }

    #[test]
    fn a_batch_stays_on_its_machine_while_there_is_room() {
        let local = PlacementPolicy::Local;
        let board = board(&[(1, "a", 500), (2, "a", 300), (3, "b", 900)]);
        assert_eq!(choose(&board, local, host_id(), 50), 0);
        assert_eq!(choose(&board, local, "a", 250), 1);
        // What was just placed there counts before it is told.
        assert_eq!(choose(&board, local, "a", 260), 2);
        assert_eq!(choose(&board, local, "a", 260), 3);
        assert_eq!(choose(&board, local, "unknown", 100), 3);
        // None has said to have so much room, but the last may have it; none could have more.
        assert_eq!(choose(&board, local, "a", 850), 3);
        assert_eq!(choose(&board, local, "a", 10_000), 0);
    }

    #[test]
    fn balanced_batches_go_to_the_emptiest_wherever_it_is() {
        let balanced = PlacementPolicy::Balanced;
        let board = board(&[(1, "a", 500), (2, "b", 450)]);
        assert_eq!(choose(&board, balanced, "b", 100), 1);
        assert_eq!(choose(&board, balanced, "b", 100), 2);
        assert_eq!(choose(&board, balanced, "b", 100), 1);
    }

    #[test]
    fn lost_and_avoided_units_get_nothing() {
        let board = board(&[(1, "a", 500), (2, "a", 400)]);
        let avoid = [UnitId(1)];
        let placing = Placing {
            host: "a",
            avoid: &avoid,
        };
        let chosen = board.choose(PlacementPolicy::Local, placing, 200, 100);
        assert_eq!(chosen, UnitId(2));
        if let Some(unit) = board.lock().get_mut(&UnitId(1)) {
            unit.orders = None;
        }
        assert_eq!(choose(&board, PlacementPolicy::Local, "a", 100), 2);
        assert!(board.reachable(UnitId(1)).is_err());
    }
}
