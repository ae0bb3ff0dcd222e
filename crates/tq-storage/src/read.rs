//! The rows a read found, and how they lie in memory.

use std::fmt;
use std::sync::Arc;

use tq_arena::Lease;
use tq_proto::{FieldName, Result};

use crate::error;
use crate::gather::gather;
use crate::read_layout::{ReadLayout, RowLayout};
use crate::rows::Rows;
pub use crate::runs::Run;
use crate::runs::{Piece, Runs};

/// A row of a read: the column it comes from, and its number there.
#[derive(Clone, Copy)]
pub(crate) struct RowRef {
    pub(crate) source: u32,
    pub(crate) row: u32,
}

/// One field of a read, with leases on the bytes of its rows: they stay readable while this lives,
/// whatever is cleared or overwritten meanwhile.
pub struct ColumnRead {
    pub(crate) field: FieldName,
    pub(crate) sources: Vec<Arc<Rows>>,
    pub(crate) rows: Vec<RowRef>,
    pub(crate) leases: Vec<Lease>,
    pub(crate) runs: Runs,
    pub(crate) bytes: u64,
}

/// A run with its place in memory.
pub struct PlacedRun<'a> {
    /// Its rows and bytes.
    pub run: Run,
    read: &'a ColumnRead,
    pieces: &'a [Piece],
}

impl<'a> PlacedRun<'a> {
    /// Adjacent leases, and the byte range relative to the first of them (offset, length) that is
    /// the run, ready for [`Arena::view`].
    ///
    /// [`Arena::view`]: tq_arena::Arena::view
    #[must_use]
    pub fn leases(&self) -> (Vec<Lease>, u64, u64) {
        let lease = |piece: &Piece| self.read.leases[piece.lease as usize].clone();
        let offset = self.pieces.first().map_or(0, |piece| piece.offset);
        // A lease may hold rows of several columns, each a piece of its own.
        let each_once = self
            .pieces
            .chunk_by(|left, right| left.lease == right.lease);
        let leases = each_once.filter_map(|same| same.first()).map(lease);
        (leases.collect(), offset, self.run.bytes)
    }

    /// The bytes of the run, in order.
    pub fn slices(&self) -> impl Iterator<Item = &'a [u8]> {
        let read = self.read;
        self.pieces
            .iter()
            .map(|piece| read.slice(piece.lease, piece.offset, piece.bytes))
    }
}

impl fmt::Debug for ColumnRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColumnRead")
            .field("field", &self.field)
            .field("rows", &self.rows.len())
            .field("bytes", &self.bytes)
            .field("runs", &self.runs.len())
            .finish_non_exhaustive()
    }
}

impl ColumnRead {
    /// The field.
    #[must_use]
    pub fn field(&self) -> &FieldName {
        &self.field
    }

    /// Number of rows: as many as global indexes were asked for.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Bytes of all rows together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What the rows are, taken together.
    #[must_use]
    pub fn layout(&self) -> ReadLayout {
        ReadLayout::of(&self.rows, &self.sources)
    }

    /// What the row at `position` is; `None` beyond the last.
    #[must_use]
    pub fn row_layout(&self, position: usize) -> Option<RowLayout<'_>> {
        let at = self.rows.get(position)?;
        Some(self.sources.get(at.source as usize)?.row_layout(at.row))
    }

    /// Maximal runs of consecutive rows that lie behind each other in memory. Empty where no row
    /// has bytes.
    pub fn runs(&self) -> impl Iterator<Item = Run> {
        self.runs.iter(self.rows.len()).map(|(run, _)| run)
    }

    /// The same runs, each with its place in memory.
    pub fn placed_runs(&self) -> impl Iterator<Item = PlacedRun<'_>> {
        let placed = |(run, pieces)| PlacedRun {
            run,
            read: self,
            pieces,
        };
        self.runs.iter(self.rows.len()).map(placed)
    }

    /// The bytes of all rows in request order, in as few slices as their places allow.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let bytes = |piece: &Piece| self.slice(piece.lease, piece.offset, piece.bytes);
        self.runs.pieces.iter().map(bytes)
    }

    /// Adjacent leases, and the byte range relative to the first of them (offset, length) that is
    /// all rows in request order, ready for [`Arena::view`]. `None` where the rows are scattered,
    /// or have no bytes at all.
    ///
    /// [`Arena::view`]: tq_arena::Arena::view
    #[must_use]
    pub fn contiguous(&self) -> Option<(Vec<Lease>, u64, u64)> {
        let mut runs = self.placed_runs();
        let only = runs.next().filter(|_| self.runs.len() == 1)?;
        Some(only.leases())
    }

    /// The row at `position`: a lease, and the bytes of it (offset, length) that are the row. `None`
    /// beyond the last row, and for a row without bytes, which a packed buffer never is.
    #[must_use]
    pub fn row(&self, position: usize) -> Option<(Lease, u64, u64)> {
        let (lease, offset, bytes) = self.place(position)?;
        Some((self.leases[lease as usize].clone(), offset, bytes))
    }

    /// The bytes of the row at `position`; `None` beyond the last.
    #[must_use]
    pub fn row_bytes(&self, position: usize) -> Option<&[u8]> {
        if position >= self.rows.len() {
            return None;
        }
        Some(
            self.place(position)
                .map_or(&[], |(lease, at, bytes)| self.slice(lease, at, bytes)),
        )
    }

    /// Copies all rows in request order into `dst`, back to back without padding. Uses up to
    /// `threads` threads, this one among them, where the rows are large enough to gain by it.
    ///
    /// # Errors
    /// `InvalidArgument` where `dst` is not exactly [`ColumnRead::bytes`] long.
    pub fn gather_into(&self, dst: &mut [u8], threads: usize) -> Result<()> {
        if dst.len() as u64 != self.bytes {
            return Err(error::gather_length(dst.len(), self.bytes));
        }
        gather(&self.slices().collect::<Vec<_>>(), dst, threads);
        Ok(())
    }

    fn slice(&self, lease: u32, offset: u64, bytes: u64) -> &[u8] {
        // In bounds: the bytes were loaned in this process, so their offsets fit an address.
        &self.leases[lease as usize].as_slice()[offset as usize..(offset + bytes) as usize]
    }

    /// Number of the lease, and the bytes of it, that are the row. Rows of one piece come from one
    /// group and lie behind each other, so the piece's first row tells where the others are.
    pub(crate) fn place(&self, position: usize) -> Option<(u32, u64, u64)> {
        let range = self.range(position)?;
        if range.is_empty() {
            return None;
        }
        let pieces = self.runs.pieces.as_slice();
        let number = pieces.partition_point(|piece| piece.first_row as usize <= position);
        let piece = pieces.get(number.checked_sub(1)?)?;
        let first = self.range(piece.first_row as usize)?;
        let offset = piece.offset + (range.start - first.start);
        Some((piece.lease, offset, range.end - range.start))
    }

    fn range(&self, position: usize) -> Option<std::ops::Range<u64>> {
        let at = self.rows.get(position)?;
        Some(self.sources.get(at.source as usize)?.range(at.row))
    }
}
