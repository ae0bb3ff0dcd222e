//! What a session holds for a guest that may be on another host: puts that are filled, and reads
//! that are sent, range by range.

use std::sync::OnceLock;

use tq_arena::Stripes;
use tq_engine::Put;
use tq_storage::{ColumnRead, PendingPut};
use tq_wire::bulk::{ReadSpace, STRIPE_BYTES};

/// Rows on their way in.
pub(crate) enum Incoming {
    /// A put of the engine.
    Put(Put),
    /// Rows that are stored here for the engine of another process.
    Store(PendingPut),
}

/// A put under way.
pub(crate) struct HeldPut {
    rows: Incoming,
    /// Made when the first of them is asked for: a guest with the segments mapped needs none.
    stripes: Option<Stripes>,
}

impl HeldPut {
    pub(crate) fn new(rows: Incoming) -> Self {
        Self {
            rows,
            stripes: None,
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        match &self.rows {
            Incoming::Put(put) => put.bytes(),
            Incoming::Store(store) => store.bytes(),
        }
    }

    pub(crate) fn into_rows(self) -> Incoming {
        self.rows
    }

    /// The memory of the put in stripes; `None` where it has no bytes.
    pub(crate) fn stripes(&mut self) -> Option<&Stripes> {
        if self.stripes.is_none() {
            self.stripes = match &mut self.rows {
                Incoming::Put(put) => put.stripes(STRIPE_BYTES),
                Incoming::Store(store) => store.stripes(STRIPE_BYTES),
            };
        }
        self.stripes.as_ref()
    }
}

/// What was read, until it is released.
pub(crate) struct HeldRead {
    columns: Vec<ColumnRead>,
    /// Worked out when the first range is asked for.
    space: OnceLock<Option<ReadSpace>>,
}

/// Fills what lies between columns.
const ZEROS: [u8; 4096] = [0; 4096];

impl HeldRead {
    pub(crate) fn new(columns: Vec<ColumnRead>) -> Self {
        Self {
            columns,
            space: OnceLock::new(),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.columns.iter().map(ColumnRead::bytes).sum()
    }

    /// The bytes at `offset` of the columns laid end to end, in as few slices as they lie in; `None`
    /// where there are no such bytes.
    pub(crate) fn slices(&self, offset: u64, bytes: u64) -> Option<Vec<&[u8]>> {
        let sizes = || self.columns.iter().map(ColumnRead::bytes);
        let space = self.space.get_or_init(|| ReadSpace::new(sizes()));
        let space = space.as_ref()?;
        let end = offset.checked_add(bytes)?;
        if end > space.bytes() {
            return None;
        }
        let mut slices = Vec::new();
        let mut at = offset;
        for (column, range) in self.columns.iter().zip(space.columns()) {
            if range.end <= at || range.is_empty() {
                continue;
            }
            if range.start >= end {
                break;
            }
            if at < range.start {
                slices.push(&ZEROS[..(range.start - at) as usize]);
                at = range.start;
            }
            let mut start = range.start;
            for slice in column.slices() {
                let after = start + slice.len() as u64;
                if after > at {
                    let from = (at - start) as usize;
                    let to = (end.min(after) - start) as usize;
                    slices.push(&slice[from..to]);
                    at = start + to as u64;
                }
                start = after;
                if at == end {
                    return Some(slices);
                }
            }
        }
        // Behind the last column there is nothing, and gaps are shorter than a page.
        if at < end {
            slices.push(ZEROS.get(..(end - at) as usize)?);
        }
        Some(slices)
    }
}

impl std::fmt::Debug for HeldRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldRead")
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}
