//! Storage units: who they are, what they are told, and which rows lie where.

use tq_controller::PlacedRows;
use tq_engine::{Order, Spread, UnitInfo};
use tq_proto::{PartitionId, Result, UnitId};

use crate::malformed::{malformed, same_length};
use crate::proto;
use crate::texts::{field_names, indexes, names, numbers};

impl proto::Unit {
    /// The message for a unit.
    #[must_use]
    pub fn of(unit: &UnitInfo) -> Self {
        Self {
            id: unit.id.0,
            name: unit.name.clone(),
            host: unit.host.clone(),
            addresses: unit.addresses.clone(),
            capacity_bytes: unit.capacity_bytes,
            used_bytes: unit.used_bytes,
            samples: unit.samples,
            lost: unit.is_lost,
        }
    }

    /// The unit.
    #[must_use]
    pub fn read(self) -> UnitInfo {
        UnitInfo {
            id: UnitId(self.id),
            name: self.name,
            host: self.host,
            addresses: self.addresses,
            capacity_bytes: self.capacity_bytes,
            used_bytes: self.used_bytes,
            samples: self.samples,
            is_lost: self.lost,
        }
    }
}

impl proto::Order {
    /// The message for an order with its number.
    #[must_use]
    pub fn of(number: u64, order: &Order) -> Self {
        let (field, own) = match order {
            Order::Clear(indexes) => (None, indexes),
            Order::Remove { field, indexes } => (Some(field.as_ref().into()), indexes),
        };
        Self {
            field,
            global_indexes: numbers(own),
            number,
        }
    }

    /// The order.
    #[must_use]
    pub fn read(self) -> Order {
        let own = indexes(self.global_indexes);
        match self.field {
            None => Order::Clear(own),
            Some(field) => Order::Remove {
                field: field.into(),
                indexes: own,
            },
        }
    }
}

impl proto::Spread {
    /// The message for rows in several units.
    #[must_use]
    pub fn of(spread: &Spread) -> Self {
        let column = |units: &Vec<UnitId>| proto::UnitColumn {
            units: units.iter().map(|unit| unit.0).collect(),
        };
        Self {
            global_indexes: numbers(&spread.indexes),
            fields: names(&spread.fields),
            units: spread.units.iter().map(column).collect(),
            known: spread.known.iter().map(proto::Unit::of).collect(),
        }
    }

    /// Where the rows lie; without what the reply says beside it.
    ///
    /// # Errors
    /// `Internal` where there is not a unit for each field and sample, or one is not described.
    pub fn read(self) -> Result<Spread> {
        same_length("columns of units", self.units.len(), self.fields.len())?;
        let known: Vec<UnitInfo> = self.known.into_iter().map(proto::Unit::read).collect();
        let rows = self.global_indexes.len();
        let column = |column: proto::UnitColumn| {
            same_length("units", column.units.len(), rows)?;
            let units: Vec<_> = column.units.into_iter().map(UnitId).collect();
            let is_known =
                |id: &UnitId| *id == UnitId::HOME || known.iter().any(|unit| unit.id == *id);
            match units.iter().find(|id| !is_known(id)) {
                None => Ok(units),
                Some(id) => Err(malformed(format_args!("rows in unit {id}, not described"))),
            }
        };
        Ok(Spread {
            units: self.units.into_iter().map(column).collect::<Result<_>>()?,
            indexes: indexes(self.global_indexes),
            fields: field_names(self.fields),
            missing: Vec::new(),
            ready: Vec::new(),
            known,
        })
    }
}

impl proto::LostRowsReply {
    /// The message for rows in lost units.
    #[must_use]
    pub fn of(rows: &[(PartitionId, PlacedRows)]) -> Self {
        let one = |(partition, rows): &(PartitionId, PlacedRows)| proto::LostRows {
            partition: partition.as_ref().into(),
            unit: rows.unit.0,
            field: rows.field.as_ref().into(),
            global_indexes: numbers(&rows.global_indexes),
        };
        Self {
            rows: rows.iter().map(one).collect(),
        }
    }

    /// The rows.
    #[must_use]
    pub fn read(self) -> Vec<(PartitionId, PlacedRows)> {
        let one = |rows: proto::LostRows| {
            let placed = PlacedRows {
                unit: UnitId(rows.unit),
                field: rows.field.into(),
                global_indexes: indexes(rows.global_indexes),
            };
            (rows.partition.into(), placed)
        };
        self.rows.into_iter().map(one).collect()
    }
}
