//! One batch on its way out: keys are resolved, their rows leased, and each column delivered as a
//! private view where it lies in one piece, else as one copy into warm memory.

use tq_arena::{View, WarmBuffer};
use tq_proto::{Error, ErrorKind, FieldName, Result};
use tq_storage::ColumnRead;

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

/// The bytes of a column, back to back; private to whoever gets them, and writable.
pub enum Delivered {
    /// A view of what is stored; nothing was copied.
    View(View),
    /// A copy in warm memory.
    Warm(WarmBuffer),
}

impl Delivered {
    /// Bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::View(view) => view.len(),
            Self::Warm(buffer) => buffer.len(),
        }
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Columns smaller than this are copied: it costs less than a view, and leaves whole pages of
/// others alone.
const VIEW_FROM: u64 = 64 << 10;
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

    fn not_ready<K: AsRef<str>>(
        &self,
        partition: &str,
        keys: &[K],
        indexes: &[tq_proto::GlobalIndex],
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

    /// The bytes of a column that was read, all rows in order.
    ///
    /// # Errors
    /// `System` where there is no memory for the copy.
    pub fn deliver(&self, column: &ColumnRead) -> Result<Delivered> {
        if column.bytes() >= VIEW_FROM
            && let Some((leases, offset, len)) = column.contiguous()
            && let Ok(view) = self.shared.unit.arena().view(leases, offset, len)
        {
            return Ok(Delivered::View(view));
        }
        let mut buffer = self.shared.pool.take(column.bytes()).map_err(|error| {
            Error::new(ErrorKind::System, "no memory for the rows that were read")
                .with("bytes", column.bytes())
                .caused_by(error)
        })?;
        column.gather_into(buffer.as_mut_slice(), self.shared.config.threads)?;
        Ok(Delivered::Warm(buffer))
    }
}
