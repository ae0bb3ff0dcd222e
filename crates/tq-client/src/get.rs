//! One batch on its way out: keys are resolved, their rows leased, and each column delivered as a
//! private view where it lies in one piece, else as one copy into warm memory.

use std::ops::Range;

use tq_arena::{Lease, View, WarmBuffer};
use tq_proto::{Error, ErrorKind, FieldName, Result};
use tq_storage::{ColumnRead, PlacedRun, gather};

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

    /// The bytes of a column that was read, all rows in order and back to back.
    ///
    /// # Errors
    /// `System` where there is no memory for the copy.
    pub fn deliver(&self, column: &ColumnRead) -> Result<Delivered> {
        if let Some((leases, offset, len)) = column.contiguous()
            && let Some(view) = self.view(leases, offset, len)
        {
            return Ok(view);
        }
        self.copy(&column.slices().collect::<Vec<_>>(), column.bytes())
    }

    /// The bytes of a column in parts, for rows that need not lie back to back: long runs are views
    /// even where the rows are scattered, and only the short ones between them are copied.
    ///
    /// # Errors
    /// `System` where there is no memory for a copy.
    pub fn deliver_parts(&self, column: &ColumnRead) -> Result<Vec<Part>> {
        let mut parts: Vec<Part> = Vec::new();
        let mut short = Short::default();
        for placed in column.placed_runs() {
            let (leases, offset, len) = placed.leases();
            if let Some(bytes) = self.view(leases, offset, len) {
                parts.extend(self.copy_short(&mut short)?);
                parts.push(Part {
                    rows: placed.run.rows,
                    bytes,
                });
            } else {
                short.add(&placed);
            }
        }
        parts.extend(self.copy_short(&mut short)?);
        Ok(parts)
    }

    fn view(&self, leases: Vec<Lease>, offset: u64, len: u64) -> Option<Delivered> {
        if len < VIEW_FROM {
            return None;
        }
        // Whatever speaks against a view (another one alive, an old kernel), a copy always works.
        self.shared
            .unit
            .arena()
            .view(leases, offset, len)
            .ok()
            .map(Delivered::View)
    }

    fn copy(&self, slices: &[&[u8]], bytes: u64) -> Result<Delivered> {
        let mut buffer = self.shared.pool.take(bytes).map_err(|error| {
            Error::new(ErrorKind::System, "no memory for the rows that were read")
                .with("bytes", bytes)
                .caused_by(error)
        })?;
        gather(slices, buffer.as_mut_slice(), self.shared.config.threads);
        Ok(Delivered::Warm(buffer))
    }

    fn copy_short(&self, short: &mut Short<'_>) -> Result<Option<Part>> {
        let Short {
            slices,
            bytes,
            rows,
        } = std::mem::take(short);
        let Some(rows) = rows else { return Ok(None) };
        Ok(Some(Part {
            rows,
            bytes: self.copy(&slices, bytes)?,
        }))
    }
}

/// Some rows of a column, in order and back to back.
pub struct Part {
    /// Positions in the request.
    pub rows: Range<usize>,
    /// The bytes of these rows.
    pub bytes: Delivered,
}

/// Runs behind each other in the request that are copied together.
#[derive(Default)]
struct Short<'a> {
    slices: Vec<&'a [u8]>,
    bytes: u64,
    rows: Option<Range<usize>>,
}

impl<'a> Short<'a> {
    fn add(&mut self, placed: &PlacedRun<'a>) {
        self.slices.extend(placed.slices());
        self.bytes += placed.run.bytes;
        let start = self
            .rows
            .as_ref()
            .map_or(placed.run.rows.start, |rows| rows.start);
        self.rows = Some(start..placed.run.rows.end);
    }
}
