//! Where bytes lie: places of a put's columns, and descriptions of reads.

use std::ops::Range;

use tq_arena::SegmentRange;
use tq_engine::UnitInfo;
use tq_proto::{GlobalIndex, Result};
use tq_storage::{ColumnDescription, RowsPart};

use crate::malformed::{malformed, required, same_length};
use crate::proto::{Column, Layout, LoanReply, Ranges, Unit};
use crate::texts::numbers;

impl Ranges {
    fn len(&self) -> usize {
        self.segments.len()
    }

    fn of(ranges: &[SegmentRange]) -> Self {
        Self {
            segments: ranges.iter().map(|range| range.segment).collect(),
            offsets: ranges.iter().map(|range| range.offset).collect(),
            bytes: ranges.iter().map(|range| range.len).collect(),
        }
    }

    fn read(self) -> Result<Vec<SegmentRange>> {
        let ranges = self.segments.len();
        same_length("offsets", self.offsets.len(), ranges)?;
        same_length("lengths", self.bytes.len(), ranges)?;
        let starts = self.segments.into_iter().zip(self.offsets);
        let range = |((segment, offset), len)| SegmentRange {
            segment,
            offset,
            len,
        };
        Ok(starts.zip(self.bytes).map(range).collect())
    }
}

impl LoanReply {
    /// The reply that tells the place of each column, and that of the loan they lie in.
    #[must_use]
    pub fn of(places: &[Option<SegmentRange>], loan: Option<SegmentRange>) -> Self {
        let nowhere = SegmentRange {
            segment: 0,
            offset: 0,
            len: 0,
        };
        let ranges: Vec<_> = places
            .iter()
            .map(|place| place.unwrap_or(nowhere))
            .collect();
        Self {
            places: Some(Ranges::of(&ranges)),
            offset: loan.map_or(0, |loan| loan.offset),
            bytes: loan.map_or(0, |loan| loan.len),
            ..Self::default()
        }
    }

    /// The reply that sends the guest to another unit with the bytes of `indexes`.
    #[must_use]
    pub fn elsewhere(unit: &UnitInfo, indexes: &[GlobalIndex]) -> Self {
        Self {
            elsewhere: Some(Unit::of(unit)),
            global_indexes: numbers(indexes),
            ..Self::default()
        }
    }

    /// The bytes of each of `columns` columns, from the start of the loan, and the bytes of the
    /// loan. An empty range for a column without bytes; the others ascend.
    ///
    /// # Errors
    /// `Internal` for places of another number of columns, outside the loan, or in another order.
    pub fn in_loan(self, columns: usize) -> Result<(Vec<Range<u64>>, u64)> {
        let (start, bytes) = (self.offset, self.bytes);
        let mut end = 0;
        let mut own = Vec::with_capacity(columns.min(self.places.as_ref().map_or(0, Ranges::len)));
        for place in self.read(columns)? {
            let Some(place) = place else {
                own.push(end..end);
                continue;
            };
            let range = place
                .offset
                .checked_sub(start)
                .and_then(|from| Some(from..from.checked_add(place.len)?))
                .filter(|range| end <= range.start && range.end <= bytes)
                .ok_or_else(|| malformed("a column outside its loan"))?;
            end = range.end;
            own.push(range);
        }
        Ok((own, bytes))
    }

    /// The place of each of `columns` columns; `None` for one without bytes.
    ///
    /// # Errors
    /// `Internal` for places of another number of columns.
    pub fn read(self, columns: usize) -> Result<Vec<Option<SegmentRange>>> {
        let places = required("places", self.places)?.read()?;
        if places.len() != columns {
            return Err(malformed(format_args!(
                "places of {} columns for {columns}",
                places.len()
            )));
        }
        let place = |range: SegmentRange| (range.len > 0).then_some(range);
        Ok(places.into_iter().map(place).collect())
    }
}

impl Column {
    /// The message for a read that the guest finds in the segments.
    #[must_use]
    pub fn of(description: &ColumnDescription) -> Self {
        Self {
            spans: Some(Ranges::of(&description.spans)),
            runs: Some(Ranges::of(&description.runs)),
            ..Self::inline(description, 0)
        }
    }

    /// The message for a read whose `bytes` bytes are sent along.
    #[must_use]
    pub fn inline(description: &ColumnDescription, bytes: u64) -> Self {
        let parts = &description.parts;
        Self {
            field: description.field.as_ref().into(),
            part_rows: parts.iter().map(|part| part.rows).collect(),
            part_layouts: parts.iter().map(|part| Layout::of(&part.layout)).collect(),
            spans: None,
            runs: None,
            inline_bytes: bytes,
        }
    }

    /// The description; without spans and runs where the bytes were sent along. Whether it fits
    /// itself is seen when the read is put together.
    ///
    /// # Errors
    /// `Internal` where its columns contradict each other.
    pub fn read(self) -> Result<ColumnDescription> {
        same_length("layouts", self.part_layouts.len(), self.part_rows.len())?;
        let part = |(rows, layout): (u32, Layout)| {
            Ok(RowsPart {
                rows,
                layout: layout.read()?,
            })
        };
        Ok(ColumnDescription {
            field: self.field.into(),
            parts: self
                .part_rows
                .into_iter()
                .zip(self.part_layouts)
                .map(part)
                .collect::<Result<_>>()?,
            spans: self.spans.unwrap_or_default().read()?,
            runs: self.runs.unwrap_or_default().read()?,
        })
    }
}
