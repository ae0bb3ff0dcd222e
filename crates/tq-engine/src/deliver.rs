//! A column that was read, as bytes of its own: a private view where it lies in one piece, else one
//! copy into warm memory. The same for reads of this process's engine and of another one's.

use std::ops::Range;

use tq_arena::{Lease, View, WarmBuffer, WarmPool};
use tq_proto::{Error, ErrorKind, Result};
use tq_storage::{ColumnRead, PlacedRun, gather};

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

/// Some rows of a column, in order and back to back.
pub struct Part {
    /// Positions in the request.
    pub rows: Range<usize>,
    /// The bytes of these rows.
    pub bytes: Delivered,
}

/// Columns smaller than this are copied: it costs less than a view, and leaves whole pages of
/// others alone.
const VIEW_FROM: u64 = 64 << 10;

/// With what columns are delivered.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// Memory for copies.
    pub pool: &'a WarmPool,
    /// The most threads that copy, the caller's among them.
    pub threads: usize,
}

impl Delivery<'_> {
    /// The bytes of a column, all rows in order and back to back.
    ///
    /// # Errors
    /// `System` where there is no memory for the copy.
    pub fn whole(&self, column: &ColumnRead) -> Result<Delivered> {
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
    pub fn parts(&self, column: &ColumnRead) -> Result<Vec<Part>> {
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
        View::of(leases, offset, len).ok().map(Delivered::View)
    }

    fn copy(&self, slices: &[&[u8]], bytes: u64) -> Result<Delivered> {
        let mut buffer = self.pool.take(bytes).map_err(|error| {
            Error::new(ErrorKind::System, "no memory for the rows that were read")
                .with("bytes", bytes)
                .caused_by(error)
        })?;
        gather(slices, buffer.as_mut_slice(), self.threads);
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
