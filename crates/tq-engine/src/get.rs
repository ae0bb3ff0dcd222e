//! One batch on its way out: keys are resolved, their rows leased, and each column delivered.

use tq_proto::{Error, ErrorKind, FieldName, GlobalIndex, Result};
use tq_storage::ColumnRead;

use crate::deliver::{Delivered, Delivery, Part};
use crate::embedded::Embedded;

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

/// A clear may come between resolving and reading; the keys are then resolved again.
const ATTEMPTS: usize = 4;

impl Embedded {
    /// Reads the fields of `select` (all that are ready, where `None`) for `keys`; names that are
    /// not ready for every key found are left out. One instant, no payload copied.
    ///
    /// # Errors
    /// `NotFound` where none of the keys exists; `NotReady` where those found have no field in
    /// common; `Closed`, `Forked`.
    pub fn read<K: AsRef<str>>(
        &self,
        partition: &str,
        keys: &[K],
        select: Option<&[FieldName]>,
    ) -> Result<Batch> {
        self.check()?;
        let mut attempt = 1;
        loop {
            let resolved = self.shared.controller().resolve(partition, keys);
            if resolved.global_indexes.is_empty() {
                return Err(
                    Error::new(ErrorKind::NotFound, "keys or partition were not found!")
                        .with("partition", partition)
                        .with("keys asked for", keys.len()),
                );
            }
            if resolved.fields.is_empty() {
                return Err(self.not_ready(partition, keys, &resolved.global_indexes));
            }
            let fields: Vec<FieldName> = match select {
                None => resolved.fields.clone(),
                Some(names) => names
                    .iter()
                    .filter(|name| resolved.fields.contains(name))
                    .cloned()
                    .collect(),
            };
            match self.shared.unit.read(&resolved.global_indexes, &fields) {
                Ok(columns) => {
                    return Ok(Batch {
                        positions: resolved.positions,
                        missing: resolved.missing,
                        ready: resolved.fields,
                        columns,
                    });
                }
                Err(error) if error.kind() == ErrorKind::NotFound && attempt < ATTEMPTS => {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads `fields` of samples by global index, of any partition and in any order. No payload is
    /// copied.
    ///
    /// # Errors
    /// `NotFound` where a sample was cleared or a field is not stored for it; `Closed`, `Forked`.
    pub fn read_indexes(
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

    pub(crate) fn not_ready<K: AsRef<str>>(
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
            arena: self.shared.unit.arena(),
            pool: &self.shared.pool,
            threads: self.shared.config.threads,
        }
    }
}
