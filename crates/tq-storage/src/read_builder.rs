//! Putting a [`ColumnRead`] together, row by row, under the lock.

use rustc_hash::FxHashMap;
use tq_proto::FieldName;

use crate::column::Column;
use crate::read::{ColumnRead, RowRef};
use crate::runs::{Piece, RunBuilder, Runs};
use crate::slab::SlotId;

/// Stands for a group on which no lease was taken yet.
const NO_LEASE: u32 = u32::MAX;

/// Collects the rows of one field, and one lease per group they lie in.
pub(crate) struct ReadBuilder {
    read: ColumnRead,
    runs: RunBuilder,
    /// Each column met: its number among the sources, and where its groups begin in `leases`.
    sources: FxHashMap<SlotId, (u32, usize)>,
    /// The lease on each group of the columns met, or [`NO_LEASE`].
    leases: Vec<u32>,
    last: Option<Last>,
}

/// Where the last row was: the next one is mostly there too.
#[derive(Clone, Copy)]
struct Last {
    column: SlotId,
    source: u32,
    groups_at: usize,
    group: usize,
}

impl ReadBuilder {
    pub(crate) fn new(field: FieldName, rows: usize) -> Self {
        let read = ColumnRead {
            field,
            sources: Vec::new(),
            rows: Vec::with_capacity(rows),
            leases: Vec::new(),
            runs: Runs::default(),
            bytes: 0,
        };
        Self {
            read,
            runs: RunBuilder::default(),
            sources: FxHashMap::default(),
            leases: Vec::new(),
            last: None,
        }
    }

    /// Appends `row` of `column`, which must be alive; `id` names the column.
    pub(crate) fn push(&mut self, id: SlotId, column: &Column, row: u32) {
        let place = self.enter(id, column, row);
        self.last = Some(place);
        let first_row = self.read.rows.len() as u32;
        self.read.rows.push(RowRef {
            source: place.source,
            row,
        });
        let range = column.rows().range(row);
        let bytes = range.end - range.start;
        let Some((start, extent)) = column.extent(place.group).filter(|_| bytes > 0) else {
            return;
        };
        let lease = &mut self.leases[place.groups_at + place.group];
        if *lease == NO_LEASE {
            *lease = self.read.leases.len() as u32;
            self.read.leases.push(extent.lease());
        }
        self.read.bytes += bytes;
        let piece = Piece {
            first_row,
            source: place.source,
            lease: *lease,
            offset: range.start - start,
            bytes,
        };
        self.runs.push(piece, extent.id());
    }

    pub(crate) fn finish(self) -> ColumnRead {
        ColumnRead {
            runs: self.runs.finish(),
            ..self.read
        }
    }

    fn enter(&mut self, id: SlotId, column: &Column, row: u32) -> Last {
        match self.last.filter(|last| last.column == id) {
            Some(last) if column.holds(last.group, row) => last,
            Some(last) => Last {
                group: column.group_of(row),
                ..last
            },
            None => {
                let (source, groups_at) = *self.sources.entry(id).or_insert_with(|| {
                    let groups_at = self.leases.len();
                    self.leases
                        .resize(groups_at + column.group_count(), NO_LEASE);
                    self.read.sources.push(column.rows().clone());
                    (self.read.sources.len() as u32 - 1, groups_at)
                });
                Last {
                    column: id,
                    source,
                    groups_at,
                    group: column.group_of(row),
                }
            }
        }
    }
}
