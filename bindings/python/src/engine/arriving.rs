//! Rows that are made into values while others are still on their way from a storage backend.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use tq_engine::{Arrivals, Landing, StoredRead};
use tq_storage::ColumnLayout;

use crate::codec::early::{self, EARLY_FROM, Early};
use crate::fence::OwnedBytes;

/// The packed buffers of a batch that are worth making early.
pub(super) struct Arriving(Mutex<State>);

struct State {
    /// By column and position in it.
    rows: Arrivals<(usize, usize)>,
    /// For each column the objects of its rows; none for a column that is made at the end.
    early: Vec<Vec<Option<Early>>>,
}

impl Arriving {
    /// `starts`: where each parcel begins in the loan.
    pub(super) fn new(columns: &[StoredRead], landing: &Landing, starts: &[u64]) -> Self {
        let places = |column| places(column, landing, starts).unwrap_or_default();
        let places: Vec<Vec<Range<u64>>> = columns.iter().map(places).collect();
        let early = |rows: &Vec<Range<u64>>| rows.iter().map(|_| None).collect();
        let early = places.iter().map(early).collect();
        let rows = places.into_iter().enumerate().flat_map(|(column, rows)| {
            let row = move |(position, place)| (place, (column, position));
            rows.into_iter().enumerate().map(row)
        });
        // A row that is asked for twice is made at the end, and its column with it.
        Self(Mutex::new(State {
            rows: Arrivals::new(rows),
            early,
        }))
    }

    /// Makes objects of the rows that are whole now that these ranges of the loan's `bytes` have
    /// arrived.
    ///
    /// # Errors
    /// `MemoryError`.
    pub(super) fn make(
        &self,
        py: Python<'_>,
        arrived: impl Iterator<Item = Range<u64>>,
        bytes: &OwnedBytes,
        threads: usize,
    ) -> PyResult<()> {
        let whole: Vec<_> = {
            let mut state = self.lock();
            arrived
                .flat_map(|range| state.rows.arrived(range))
                .collect()
        };
        // Row by row: what lies between them may still be written.
        let row =
            |(place, _): &(Range<u64>, _)| bytes.slice(place.start as usize..place.end as usize);
        let rows: Vec<Option<OwnedBytes>> = whole.iter().map(row).collect();
        let packed: Vec<&[u8]> = rows
            .iter()
            .map(|row| row.as_ref().map(|row| row.as_slice(py)).unwrap_or_default())
            .collect();
        let mut made = early::make(py, &packed, threads)?;
        made.resize_with(whole.len(), Early::default);
        let mut state = self.lock();
        for ((_, (column, position)), early) in whole.into_iter().zip(made) {
            state.early[column][position] = Some(early);
        }
        Ok(())
    }

    /// The objects of the packed buffers of a column, in order; none where not all were made.
    pub(super) fn take(&self, column: usize) -> Vec<Early> {
        let mut state = self.lock();
        let early = state.early.get_mut(column).map(std::mem::take);
        let all: Option<Vec<Early>> = early.unwrap_or_default().into_iter().collect();
        all.unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the rows of a column lie in the loan; `None` where they are not all packed buffers, or too
/// few bytes to be worth it.
fn places(column: &StoredRead, landing: &Landing, starts: &[u64]) -> Option<Vec<Range<u64>>> {
    let [part] = column.parts.as_slice() else {
        return None;
    };
    let ColumnLayout::Object { row_sizes } = &part.layout else {
        return None;
    };
    if row_sizes.iter().sum::<u64>() < EARLY_FROM as u64 {
        return None;
    }
    let mut places = Vec::with_capacity(row_sizes.len());
    let mut runs = landing.places(column)?.into_iter();
    let mut left = 0..0;
    for size in row_sizes {
        if left.is_empty() {
            let (parcel, at, bytes) = runs.next()?;
            let start = starts.get(parcel)? + at;
            left = start..start + bytes;
        }
        let end = left
            .start
            .checked_add(*size)
            .filter(|end| *end <= left.end)?;
        places.push(left.start..end);
        left.start = end;
    }
    Some(places)
}
