//! Putting a described read together again, row by row.

use tq_arena::{Lease, SegmentRange};
use tq_proto::Result;

use crate::description::{ColumnDescription, RowsPart};
use crate::error;
use crate::read::{ColumnRead, RowRef};
use crate::rows::{LayoutError, Rows};
use crate::runs::{Piece, RunBuilder, Runs};

/// What a description and those who were told it disagree about.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Contradiction {
    #[error("{asked} rows were asked for, it describes {found}")]
    RowCount { asked: usize, found: usize },
    #[error("part {part} of its rows cannot be: {source}")]
    Layout { part: usize, source: LayoutError },
    #[error("it has {spans} spans, {leases} leases were taken on them")]
    LeaseCount { spans: usize, leases: usize },
    #[error("span {span} is not the range that was leased for it, or not behind the one before")]
    Span { span: usize },
    #[error("run {run} lies in none of its spans")]
    Run { run: usize },
    #[error("row {row} does not end where its run does")]
    Row { row: u32 },
    #[error("its runs have bytes that belong to no row")]
    Surplus,
}

impl ColumnRead {
    /// The read that was described, with one lease per span of the description, in their order.
    /// `rows` is the number of global indexes that were asked for.
    ///
    /// It is what [`ColumnRead::description`] was taken of, but for its leases: they are on whole
    /// spans, not on extents.
    ///
    /// # Errors
    /// `InvalidArgument` where the description contradicts itself, the leases or `rows`. No more
    /// memory is asked for than what was passed in, and `rows`, call for.
    pub fn from_description(
        description: ColumnDescription,
        leases: Vec<Lease>,
        rows: usize,
    ) -> Result<Self> {
        let field = description.field;
        let refused = |cause: Contradiction| error::description(&field, cause);
        let (sources, refs) = sources(description.parts, rows).map_err(refused)?;
        check_leases(&description.spans, &leases).map_err(refused)?;
        let mut walk = Walk {
            runs: description.runs.into_iter(),
            spans: &description.spans,
            leases: &leases,
            begun: 0,
            at: None,
            built: RunBuilder::default(),
            bytes: 0,
        };
        for (position, at) in (0u32..).zip(&refs) {
            let range = sources[at.source as usize].range(at.row);
            walk.row(position, at.source, range.end - range.start)
                .map_err(refused)?;
        }
        let (runs, bytes) = walk.finish().map_err(refused)?;
        Ok(Self {
            field,
            sources: sources.into_iter().map(Into::into).collect(),
            rows: refs,
            leases,
            runs,
            bytes,
        })
    }
}

/// The rows of each part, and the rows in order. Looks at the counts before it makes room for them.
fn sources(parts: Vec<RowsPart>, asked: usize) -> Result<(Vec<Rows>, Vec<RowRef>), Contradiction> {
    let counts = parts.iter().map(|part| part.rows as usize);
    let found = counts.fold(0, usize::saturating_add);
    if found != asked || u32::try_from(asked).is_err() {
        return Err(Contradiction::RowCount { asked, found });
    }
    let mut sources = Vec::with_capacity(parts.len());
    let mut refs = Vec::with_capacity(asked);
    for (number, part) in parts.into_iter().enumerate() {
        let rows = Rows::new(part.layout, part.rows as usize);
        let refused = |source| Contradiction::Layout {
            part: number,
            source,
        };
        sources.push(rows.map_err(refused)?);
        let source = number as u32;
        refs.extend((0..part.rows).map(|row| RowRef { source, row }));
    }
    Ok((sources, refs))
}

fn check_leases(spans: &[SegmentRange], leases: &[Lease]) -> Result<(), Contradiction> {
    if spans.len() != leases.len() {
        return Err(Contradiction::LeaseCount {
            spans: spans.len(),
            leases: leases.len(),
        });
    }
    let mut last: Option<&SegmentRange> = None;
    for (number, (span, lease)) in spans.iter().zip(leases).enumerate() {
        let leased = lease.range();
        let is_leased = (span.offset, span.len) == (leased.offset, leased.len);
        let is_behind = last.is_none_or(|last| {
            let apart = last.offset.saturating_add(last.len) <= span.offset;
            last.segment < span.segment || (last.segment == span.segment && apart)
        });
        if !is_leased || !is_behind {
            return Err(Contradiction::Span { span: number });
        }
        last = Some(span);
    }
    Ok(())
}

/// Lays the rows into the runs, one after the other.
struct Walk<'a> {
    runs: std::vec::IntoIter<SegmentRange>,
    spans: &'a [SegmentRange],
    leases: &'a [Lease],
    /// Runs that rows were laid into.
    begun: usize,
    /// Span, byte of it, and bytes left in the run that the next row lies in.
    at: Option<(u32, u64, u64)>,
    built: RunBuilder,
    bytes: u64,
}

impl Walk<'_> {
    fn row(&mut self, row: u32, source: u32, bytes: u64) -> Result<(), Contradiction> {
        if bytes == 0 {
            return Ok(());
        }
        let (span, offset, left) = match self.at {
            Some(at) => at,
            None => self.next_run()?,
        };
        let left = left.checked_sub(bytes).ok_or(Contradiction::Row { row })?;
        let piece = Piece {
            first_row: row,
            source,
            lease: span,
            offset,
            bytes,
        };
        self.built.push(piece, self.leases[span as usize].id());
        // Only rows repeated beyond belief could overflow, and no destination is that long.
        self.bytes = self.bytes.saturating_add(bytes);
        self.at = (left > 0).then_some((span, offset + bytes, left));
        Ok(())
    }

    /// Where the next run begins: its span, the byte of that, and the run's length.
    fn next_run(&mut self) -> Result<(u32, u64, u64), Contradiction> {
        let none = Contradiction::Run { run: self.begun };
        let Some(run) = self.runs.next().filter(|run| run.len > 0) else {
            return Err(none);
        };
        self.begun += 1;
        let place = (run.segment, run.offset);
        let behind = |span: &SegmentRange| (span.segment, span.offset) <= place;
        let number = self.spans.partition_point(behind);
        let Some((number, span)) = number
            .checked_sub(1)
            .and_then(|number| Some((number, self.spans.get(number)?)))
            .filter(|(_, span)| span.segment == run.segment)
        else {
            return Err(none);
        };
        let offset = run.offset - span.offset;
        match offset.checked_add(run.len) {
            Some(end) if end <= span.len => Ok((number as u32, offset, run.len)),
            _ => Err(none),
        }
    }

    fn finish(self) -> Result<(Runs, u64), Contradiction> {
        if self.at.is_some() || self.runs.len() > 0 {
            return Err(Contradiction::Surplus);
        }
        Ok((self.built.finish(), self.bytes))
    }
}
