//! A put between loan and commit.

use std::fmt;
use std::sync::Arc;

use tq_arena::{Loan, SegmentRange, Stripes};
use tq_proto::{FieldName, GlobalIndex, Result};

use crate::admission::Ticket;
use crate::batch::{BatchLayout, Place};
use crate::column::Column;
use crate::error;
use crate::index::Freed;
use crate::rows::Rows;
use crate::unit::Shared;

/// A put that has its memory and is being filled. Nothing of it is visible; dropping it gives
/// everything back.
pub struct PendingPut {
    admitted: Admitted,
    columns: Vec<(FieldName, Rows)>,
    layout: BatchLayout,
    loan: Filling,
    /// Where the loan lies; `None` where no column has bytes.
    place: Option<SegmentRange>,
}

/// The memory of a put, and who fills it.
enum Filling {
    /// No column has bytes.
    Nothing,
    /// Whoever has the put.
    Whole(Loan),
    /// Whoever takes a stripe.
    Striped(Stripes),
}

/// The promise that the samples of a put fit; dropped unfulfilled, it is taken back.
pub(crate) struct Admitted {
    unit: Arc<Shared>,
    indexes: Vec<GlobalIndex>,
    ticket: Ticket,
    open: bool,
}

impl Admitted {
    /// Admits `indexes`, which are distinct.
    pub(crate) fn new(unit: Arc<Shared>, indexes: &[GlobalIndex]) -> Result<Self> {
        let ticket = {
            let mut index = unit.write();
            let index = &mut *index;
            let stored = |sample| index.samples.contains(sample);
            index
                .admission
                .admit(indexes, stored)
                .map_err(|full| error::samples_full(&full))?
        };
        Ok(Self {
            unit,
            indexes: indexes.to_vec(),
            ticket,
            open: true,
        })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if self.open {
            self.unit.write().abandon(&self.indexes);
        }
    }
}

impl fmt::Debug for PendingPut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self
            .columns
            .iter()
            .map(|(field, _)| field)
            .collect::<Vec<_>>();
        let rows = self.admitted.indexes.len();
        f.debug_struct("PendingPut")
            .field("fields", &fields)
            .field("rows", &rows)
            .field("bytes", &self.layout.bytes)
            .finish_non_exhaustive()
    }
}

impl PendingPut {
    pub(crate) fn new(
        admitted: Admitted,
        columns: Vec<(FieldName, Rows)>,
        layout: BatchLayout,
        mut loan: Option<Loan>,
    ) -> Self {
        // What nobody writes must not show a former owner's bytes to those who map the segment.
        if let Some(bytes) = loan.as_mut().map(Loan::as_mut_slice) {
            layout
                .padding()
                .for_each(|gap| bytes[gap.start as usize..gap.end as usize].fill(0));
        }
        let place = loan.as_ref().map(Loan::range);
        Self {
            admitted,
            columns,
            layout,
            loan: loan.map_or(Filling::Nothing, Filling::Whole),
            place,
        }
    }

    /// The samples of this put, in row order.
    #[must_use]
    pub fn indexes(&self) -> &[GlobalIndex] {
        &self.admitted.indexes
    }

    /// Bytes loaned for this put, padding included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.layout.bytes
    }

    /// Where the bytes of each column lie, in the order of the plan; `None` for one without bytes.
    ///
    /// Another process that was told may write them in its own mapping of the segment, between this
    /// call and the commit, and not while [`PendingPut::columns_mut`] is borrowed.
    #[must_use]
    pub fn places(&self) -> Vec<Option<SegmentRange>> {
        let range = |place: &Place| {
            self.place
                .filter(|_| place.bytes > 0)
                .map(|whole| SegmentRange {
                    offset: whole.offset + place.offset,
                    len: place.bytes,
                    ..whole
                })
        };
        self.layout.places.iter().map(range).collect()
    }

    /// Where the loan of all columns lies, padding included; `None` where no column has bytes.
    #[must_use]
    pub fn place(&self) -> Option<SegmentRange> {
        self.place
    }

    /// The loan in stripes of `bytes` bytes, to be filled by several at once, from the first call
    /// on in place of [`PendingPut::columns_mut`]. Only when all of them are back can the put be
    /// committed. `None` where no column has bytes.
    #[must_use]
    pub fn stripes(&mut self, bytes: u64) -> Option<Stripes> {
        self.loan = match std::mem::replace(&mut self.loan, Filling::Nothing) {
            Filling::Whole(loan) => Filling::Striped(loan.stripes(bytes)),
            other => other,
        };
        match &self.loan {
            Filling::Striped(stripes) => Some(stripes.clone()),
            _ => None,
        }
    }

    /// The bytes of each column, in the order of the plan: its rows back to back. What they hold
    /// before they are written is unspecified; every byte is to be written before the commit. None
    /// at all once [`PendingPut::stripes`] were made.
    pub fn columns_mut(&mut self) -> Vec<&mut [u8]> {
        let mut rest = match &mut self.loan {
            Filling::Whole(loan) => loan.as_mut_slice(),
            Filling::Nothing => &mut [],
            Filling::Striped(_) => return Vec::new(),
        };
        let mut taken = 0;
        let mut columns = Vec::with_capacity(self.layout.places.len());
        for place in &self.layout.places {
            let (_, tail) = rest.split_at_mut((place.offset - taken) as usize);
            let (column, tail) = tail.split_at_mut(place.bytes as usize);
            columns.push(column);
            rest = tail;
            taken = place.offset + place.bytes;
        }
        columns
    }

    /// Makes the batch readable, all of it at once; rows that these fields of these samples had
    /// before are replaced. Returns the samples that were cleared since the put began: a clear
    /// wins, and their rows are dropped.
    ///
    /// # Errors
    /// Nothing is stored then. `InvalidArgument` while a stripe is being filled; `Internal` where the
    /// arena refuses the commit.
    pub fn commit(self) -> Result<Vec<GlobalIndex>> {
        let Self {
            mut admitted,
            columns,
            layout,
            loan,
            ..
        } = self;
        let cuts = layout.cuts();
        let loan = match loan {
            Filling::Nothing => None,
            Filling::Whole(loan) => Some(loan),
            Filling::Striped(stripes) => Some(stripes.join().ok_or_else(error::being_filled)?),
        };
        let extents = match loan {
            Some(loan) => loan.commit(&cuts).map_err(error::commit)?,
            None => Vec::new(),
        };
        let mut extents = extents.into_iter();
        let count = admitted.indexes.len() as u32;
        let stored = columns
            .into_iter()
            .zip(&layout.places)
            .map(|((field, rows), place)| {
                (field, Column::new(rows, count, &place.groups, &mut extents))
            });
        let stored = stored.collect();
        let mut freed = Freed::default();
        let lost =
            admitted
                .unit
                .write()
                .commit(admitted.ticket, &admitted.indexes, stored, &mut freed);
        admitted.open = false;
        Ok(lost)
    }
}
