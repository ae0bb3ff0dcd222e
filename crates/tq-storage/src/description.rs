//! A read as plain data, to be told to another process and put together again there.
//!
//! The bytes are not part of it: both processes map the same segments, and the other one takes a
//! lease on each of the description's spans. A description says nothing twice, so that there is
//! little it can contradict itself in.

use tq_arena::{Lease, SegmentRange};
use tq_proto::{DType, FieldName, RowShapes};

use crate::layout::ColumnLayout;
use crate::read::ColumnRead;
use crate::read_layout::{ReadLayout, RowLayout};
use crate::runs::Piece;

/// What a [`ColumnRead`] is and where its bytes lie.
///
/// The bytes of each row follow from its layout, and the rows lie back to back in the runs, so
/// where each row lies needs no saying.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ColumnDescription {
    /// The field.
    pub field: FieldName,
    /// What the rows are, in request order: one part, but for rows of several dtypes or ranks.
    pub parts: Vec<RowsPart>,
    /// The committed ranges the rows lie in, ascending; they do not overlap. One lease on
    /// each of them holds the whole read.
    pub spans: Vec<SegmentRange>,
    /// The byte ranges of the rows in request order, each inside one of the spans. Rows without
    /// bytes lie nowhere.
    pub runs: Vec<SegmentRange>,
}

/// Consecutive rows of a read, and what they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RowsPart {
    /// How many.
    pub rows: u32,
    /// What they are.
    pub layout: ColumnLayout,
}

impl ColumnRead {
    /// This read as plain data. It holds nothing: keep the read while the description is used.
    #[must_use]
    pub fn description(&self) -> ColumnDescription {
        let run = |(run, pieces): (crate::Run, &[Piece])| {
            let first = pieces.first()?;
            let lease = self.leases.get(first.lease as usize)?.range();
            Some(SegmentRange {
                offset: lease.offset + first.offset,
                len: run.bytes,
                ..lease
            })
        };
        ColumnDescription {
            field: self.field.clone(),
            parts: parts(self),
            spans: spans(self.leases.iter().map(Lease::range).collect()),
            runs: self.runs.iter(self.rows.len()).filter_map(run).collect(),
        }
    }
}

/// What the rows are, in as few parts as their kinds allow.
fn parts(read: &ColumnRead) -> Vec<RowsPart> {
    let rows = read.rows.len() as u32;
    let layout = match read.layout() {
        ReadLayout::Dense { dtype, row_shape } => ColumnLayout::Dense { dtype, row_shape },
        ReadLayout::Jagged { dtype, row_shapes } => ColumnLayout::Jagged { dtype, row_shapes },
        ReadLayout::Object { row_sizes } => ColumnLayout::Object { row_sizes },
        ReadLayout::Mixed { .. } | ReadLayout::Heterogeneous => return stretches(read),
    };
    vec![RowsPart { rows, layout }]
}

/// Stretches of packed buffers, and of tensors of one dtype and rank.
fn stretches(read: &ColumnRead) -> Vec<RowsPart> {
    let mut parts: Vec<RowsPart> = Vec::new();
    for row in (0..read.rows.len()).filter_map(|position| read.row_layout(position)) {
        if let Some(last) = parts.last_mut()
            && extend(&mut last.layout, &row)
        {
            last.rows += 1;
            continue;
        }
        let mut layout = match row {
            RowLayout::Tensor { dtype, shape } => ColumnLayout::Jagged {
                dtype,
                row_shapes: RowShapes::with_capacity(shape.len(), 1),
            },
            RowLayout::Object { .. } => ColumnLayout::Object {
                row_sizes: Vec::new(),
            },
        };
        extend(&mut layout, &row);
        parts.push(RowsPart { rows: 1, layout });
    }
    parts
}

/// Appends a row to a layout of its kind; false where it is of another.
fn extend(layout: &mut ColumnLayout, row: &RowLayout<'_>) -> bool {
    let is_like = |dtype: DType, shapes: &RowShapes, other: DType, shape: &[u64]| {
        dtype == other && shapes.rank() == shape.len()
    };
    match (layout, row) {
        (
            ColumnLayout::Jagged { dtype, row_shapes },
            RowLayout::Tensor {
                dtype: other,
                shape,
            },
        ) if is_like(*dtype, row_shapes, *other, shape) => {
            row_shapes.push(shape);
            true
        }
        (ColumnLayout::Object { row_sizes }, RowLayout::Object { bytes }) => {
            row_sizes.push(*bytes);
            true
        }
        _ => false,
    }
}

/// The union of ranges, in order, what touches merged.
fn spans(mut ranges: Vec<SegmentRange>) -> Vec<SegmentRange> {
    ranges.sort_unstable();
    let mut spans: Vec<SegmentRange> = Vec::new();
    for range in ranges {
        match spans.last_mut() {
            Some(last)
                if last.segment == range.segment && range.offset <= last.offset + last.len =>
            {
                last.len = last.len.max(range.offset + range.len - last.offset);
            }
            _ => spans.push(range),
        }
    }
    spans
}
