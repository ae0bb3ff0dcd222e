//! One batch on its way out: keys are resolved, their rows leased, and each column delivered.

use std::sync::MutexGuard;

use tq_controller::{Controller, Resolved};
use tq_proto::{Error, ErrorKind, FieldName, GlobalIndex, Result, UnitId};
use tq_storage::{ColumnPlan, ColumnRead, PendingPut};

use crate::deliver::{Delivered, Delivery, Part};
use crate::embedded::Embedded;
use crate::units::UnitInfo;

/// What was found for the keys asked for.
#[derive(Debug)]
pub struct Batch {
    /// Positions in the request of the keys that exist, ascending.
    pub positions: Vec<usize>,
    /// Positions of those that do not.
    pub missing: Vec<usize>,
    /// Names of the fields produced for all keys that exist, sorted.
    pub ready: Vec<FieldName>,
    /// The columns asked for, in the order of `ready` or of the selection.
    pub columns: Vec<ColumnRead>,
}

/// What was found, and where the rows lie.
#[derive(Debug)]
pub enum Found {
    /// All of it in the engine's own unit.
    Here(Batch),
    /// In several units, each of which the reader asks himself.
    Spread(Spread),
}

/// Samples whose rows lie in several units.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spread {
    /// Positions in the request of the keys that do not exist, ascending.
    pub missing: Vec<usize>,
    /// Names of the fields produced for all keys that exist, sorted.
    pub ready: Vec<FieldName>,
    /// The samples found, in the order asked for.
    pub indexes: Vec<GlobalIndex>,
    /// The fields asked for.
    pub fields: Vec<FieldName>,
    /// For each field, the unit of each sample's row.
    pub units: Vec<Vec<UnitId>>,
    /// The units that occur, but for the engine's own.
    pub known: Vec<UnitInfo>,
}

/// A clear may come between resolving and reading; the keys are then resolved again.
const ATTEMPTS: usize = 4;

impl Embedded {
    /// Reads the fields of `select` (all that are ready, where `None`) for `keys`; names that are
    /// not ready for every key found are left out. One instant, no payload copied.
    ///
    /// # Errors
    /// `NotFound` where none of the keys exists; `NotReady` where those found have no field in
    /// common; `Unsupported` where rows lie in another unit, see [`Self::find`]; `Closed`, `Forked`.
    pub fn read<K: AsRef<str>>(
        &self,
        partition: &str,
        keys: &[K],
        select: Option<&[FieldName]>,
    ) -> Result<Batch> {
        match self.find(partition, keys, select)? {
            Found::Here(batch) => Ok(batch),
            Found::Spread(_) => Err(elsewhere()),
        }
    }

    /// As [`Self::read`], by a reader that can ask other units himself.
    ///
    /// # Errors
    /// As there; `Unavailable` where rows lie in a unit that is lost, naming it and the samples.
    pub fn find<K: AsRef<str>>(
        &self,
        partition: &str,
        keys: &[K],
        select: Option<&[FieldName]>,
    ) -> Result<Found> {
        self.check()?;
        let mut attempt = 1;
        loop {
            let (controller, resolved, fields) = self.resolve_ready(partition, keys, select)?;
            let units = units_of(&controller, &resolved.global_indexes, &fields);
            drop(controller);
            if let Some(units) = units {
                return Ok(Found::Spread(Spread {
                    known: self.known_units(&units, &resolved.global_indexes)?,
                    missing: resolved.missing,
                    ready: resolved.fields,
                    indexes: resolved.global_indexes,
                    fields,
                    units,
                }));
            }
            match self.shared.unit.read(&resolved.global_indexes, &fields) {
                Ok(columns) => {
                    return Ok(Found::Here(Batch {
                        positions: resolved.positions,
                        missing: resolved.missing,
                        ready: resolved.fields,
                        columns,
                    }));
                }
                Err(error) if error.kind() == ErrorKind::NotFound && attempt < ATTEMPTS => {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The samples of `keys`, and those fields of `select` (all, where `None`) that are ready for
    /// each of them; with the controller still locked, so that what is asked next is of the same
    /// instant.
    ///
    /// # Errors
    /// `NotFound` where none of the keys exists; `NotReady` where those found have no field in
    /// common.
    pub(crate) fn resolve_ready<K: AsRef<str>>(
        &self,
        partition: &str,
        keys: &[K],
        select: Option<&[FieldName]>,
    ) -> Result<(MutexGuard<'_, Controller>, Resolved, Vec<FieldName>)> {
        let controller = self.shared.controller();
        let resolved = controller.resolve(partition, keys);
        if resolved.global_indexes.is_empty() {
            return Err(
                Error::new(ErrorKind::NotFound, "keys or partition were not found!")
                    .with("partition", partition)
                    .with("keys asked for", keys.len()),
            );
        }
        if resolved.fields.is_empty() {
            drop(controller);
            return Err(self.not_ready(partition, keys, &resolved.global_indexes));
        }
        let fields = match select {
            None => resolved.fields.clone(),
            Some(names) => names
                .iter()
                .filter(|name| resolved.fields.contains(name))
                .cloned()
                .collect(),
        };
        Ok((controller, resolved, fields))
    }

    /// Reads `fields` of samples by global index, of any partition and in any order. No payload is
    /// copied.
    ///
    /// # Errors
    /// `NotFound` where a sample was cleared or a field is not stored for it; `Unsupported` where
    /// rows lie in another unit, see [`Self::find_indexes`]; `Closed`, `Forked`.
    pub fn read_indexes(
        &self,
        indexes: &[GlobalIndex],
        fields: &[FieldName],
    ) -> Result<Vec<ColumnRead>> {
        match self.find_indexes(indexes, fields)? {
            Found::Here(batch) => Ok(batch.columns),
            Found::Spread(_) => Err(elsewhere()),
        }
    }

    /// As [`Self::read_indexes`], by a reader that can ask other units himself.
    ///
    /// # Errors
    /// As there; `Unavailable` where rows lie in a unit that is lost, naming it and the samples.
    pub fn find_indexes(&self, indexes: &[GlobalIndex], fields: &[FieldName]) -> Result<Found> {
        self.check()?;
        let units = units_of(&self.shared.controller(), indexes, fields);
        if let Some(units) = units {
            return Ok(Found::Spread(Spread {
                known: self.known_units(&units, indexes)?,
                missing: Vec::new(),
                ready: Vec::new(),
                indexes: indexes.to_vec(),
                fields: fields.to_vec(),
                units,
            }));
        }
        Ok(Found::Here(Batch {
            positions: Vec::new(),
            missing: Vec::new(),
            ready: Vec::new(),
            columns: self.read_here(indexes, fields)?,
        }))
    }

    /// Reads what is stored in this process, whatever the controller of it knows.
    ///
    /// # Errors
    /// `NotFound` where a sample was cleared or a field is not stored for it; `Closed`, `Forked`.
    pub fn read_here(
        &self,
        indexes: &[GlobalIndex],
        fields: &[FieldName],
    ) -> Result<Vec<ColumnRead>> {
        self.check()?;
        let unit = &self.shared.unit;
        unit.read(indexes, fields).map_err(|error| {
            let lacking =
                |index: &&GlobalIndex| !fields.iter().all(|field| unit.has(field, **index));
            match indexes.iter().find(lacking) {
                Some(index) if error.kind() == ErrorKind::NotFound => {
                    self.not_stored(*index, fields)
                }
                _ => error,
            }
        })
    }

    /// Begins to store rows in this process for the engine of another one; see
    /// [`tq_storage::StorageUnit::begin_put`].
    ///
    /// # Errors
    /// As there; `Closed`, `Forked`.
    pub fn begin_store(
        &self,
        indexes: &[GlobalIndex],
        columns: Vec<ColumnPlan>,
    ) -> Result<PendingPut> {
        self.check()?;
        self.shared.unit.begin_put(indexes, columns)
    }

    /// The units that occur, all of them within reach.
    fn known_units(&self, units: &[Vec<UnitId>], indexes: &[GlobalIndex]) -> Result<Vec<UnitInfo>> {
        let mut occurring: Vec<UnitId> = units.iter().flatten().copied().collect();
        occurring.sort_unstable();
        occurring.dedup();
        let others = occurring.into_iter().filter(|unit| *unit != UnitId::HOME);
        let known = others.map(|unit| {
            self.shared.units.reachable(unit).map_err(|lost| {
                let rows = units
                    .iter()
                    .flat_map(|of_field| of_field.iter().zip(indexes));
                let mut own: Vec<_> = rows
                    .filter(|(of_row, _)| **of_row == unit)
                    .map(|(_, index)| *index)
                    .collect();
                own.sort_unstable();
                own.dedup();
                unreadable(lost, &own)
            })
        });
        known.collect()
    }

    fn not_stored(&self, index: GlobalIndex, fields: &[FieldName]) -> Error {
        let stored = self.shared.unit.fields_of(index);
        let Some(field) = fields.iter().find(|field| !stored.contains(field)) else {
            return Error::new(
                ErrorKind::NotFound,
                format!("the sample of global index {index} was being replaced; read it again"),
            );
        };
        let message = if stored.is_empty() {
            format!(
                "field '{field}' not found: nothing is stored for global index {index}; it was \
                 cleared or never put"
            )
        } else {
            format!(
                "field '{field}' not found: global index {index} has {}; put the field first",
                stored
                    .iter()
                    .map(|field| &**field)
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        };
        Error::new(ErrorKind::NotFound, message)
    }

    fn not_ready<K: AsRef<str>>(
        &self,
        partition: &str,
        keys: &[K],
        indexes: &[GlobalIndex],
    ) -> Error {
        let controller = self.shared.controller();
        let bare = keys.iter().map(AsRef::as_ref).find(|key| {
            controller
                .fields_of(partition, key)
                .is_some_and(|fields| fields.is_empty())
        });
        let why = match bare {
            Some(key) => format!("key `{key}` has no field yet"),
            None => "they have no field in common".to_owned(),
        };
        Error::new(
            ErrorKind::NotReady,
            format!(
                "the {} samples asked for are not ready: {why}; put the field first",
                indexes.len()
            ),
        )
        .with("partition", partition)
    }

    /// The bytes of a column that was read, all rows in order and back to back.
    ///
    /// # Errors
    /// As [`Delivery::whole`].
    pub fn deliver(&self, column: &ColumnRead) -> Result<Delivered> {
        self.delivery().whole(column)
    }

    /// The bytes of a column in parts, for rows that need not lie back to back.
    ///
    /// # Errors
    /// As [`Delivery::parts`].
    pub fn deliver_parts(&self, column: &ColumnRead) -> Result<Vec<Part>> {
        self.delivery().parts(column)
    }

    fn delivery(&self) -> Delivery<'_> {
        Delivery {
            pool: &self.shared.pool,
            threads: self.shared.config.threads,
        }
    }
}

/// For each field, the unit of each row; `None` where all are the engine's own.
fn units_of(
    controller: &Controller,
    indexes: &[GlobalIndex],
    fields: &[FieldName],
) -> Option<Vec<Vec<UnitId>>> {
    let found: Vec<_> = fields
        .iter()
        .map(|field| controller.units_of(field, indexes))
        .collect();
    found.iter().any(Option::is_some).then(|| {
        let own = || vec![UnitId::HOME; indexes.len()];
        found
            .into_iter()
            .map(|units| units.unwrap_or_else(own))
            .collect()
    })
}

/// Samples an error names before it only counts the rest.
const NAMED: usize = 5;

/// The error for rows in a unit that cannot be reached.
#[must_use]
pub fn unreadable(cause: Error, indexes: &[GlobalIndex]) -> Error {
    let named: Vec<_> = indexes
        .iter()
        .take(NAMED)
        .map(|index| format!("{index:?}"))
        .collect();
    let more = match indexes.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Error::new(
        ErrorKind::Unavailable,
        format!(
            "{cause}: samples {}{more} cannot be read; wait until it is back, or give its rows up \
             and put them again",
            named.join(", ")
        ),
    )
    .caused_by(cause)
}

fn elsewhere() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the rows lie in other storage units; read them as a client of this engine",
    )
}
