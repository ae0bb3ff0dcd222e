//! Merging rows that lie behind each other in memory.
//!
//! A *piece* is a byte range of one column inside one extent, a *run* a byte range that may continue
//! over columns and adjacent extents. Both are maximal: what lies behind each other is never told
//! apart.

use std::ops::Range;

use tq_arena::ExtentId;

/// Consecutive rows of one column in one extent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Piece {
    /// Position in the request of the first row that has bytes here.
    pub(crate) first_row: u32,
    /// Number of the column the rows come from; they are consecutive there too.
    pub(crate) source: u32,
    /// Number of the lease on the extent.
    pub(crate) lease: u32,
    /// Byte of the extent it starts at.
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// Consecutive rows of a read that lie behind each other in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// Positions in the request. Rows without bytes count to the run before them, leading ones to
    /// the first.
    pub rows: Range<usize>,
    /// Bytes of these rows.
    pub bytes: u64,
}

/// The pieces of a request in order, and which of them begin a run.
#[derive(Default)]
pub(crate) struct Runs {
    pub(crate) pieces: Vec<Piece>,
    /// Number of each run's first piece.
    starts: Vec<u32>,
}

impl Runs {
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The runs of a request of `rows` rows, each with its pieces.
    pub(crate) fn iter(&self, rows: usize) -> impl Iterator<Item = (Run, &[Piece])> {
        let first_row = |piece: u32| self.pieces[piece as usize].first_row as usize;
        self.starts.iter().enumerate().map(move |(number, start)| {
            let next = self.starts.get(number + 1).copied();
            let from = if number == 0 { 0 } else { first_row(*start) };
            let to = next.map_or(rows, first_row);
            let end = next.map_or(self.pieces.len(), |next| next as usize);
            let pieces = &self.pieces[*start as usize..end];
            let run = Run {
                rows: from..to,
                bytes: pieces.iter().map(|piece| piece.bytes).sum(),
            };
            (run, pieces)
        })
    }
}

/// Collects rows in request order.
#[derive(Default)]
pub(crate) struct RunBuilder {
    runs: Runs,
    last: Option<ExtentId>,
}

impl RunBuilder {
    /// Appends the bytes of a row, which are not empty.
    pub(crate) fn push(&mut self, piece: Piece, extent: ExtentId) {
        let mut continues = false;
        if let (Some(last), Some(id)) = (self.runs.pieces.last_mut(), self.last) {
            let end = last.offset + last.bytes;
            if last.lease == piece.lease {
                continues = end == piece.offset;
                if continues && last.source == piece.source {
                    last.bytes += piece.bytes;
                    return;
                }
            } else {
                continues = end == id.len && piece.offset == 0 && adjacent(id, extent);
            }
        }
        if !continues {
            self.runs.starts.push(self.runs.pieces.len() as u32);
        }
        self.runs.pieces.push(piece);
        self.last = Some(extent);
    }

    pub(crate) fn finish(self) -> Runs {
        self.runs
    }
}

fn adjacent(left: ExtentId, right: ExtentId) -> bool {
    left.segment == right.segment && left.offset + left.len == right.offset
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(offset: u64, len: u64) -> ExtentId {
        ExtentId {
            segment: 0,
            offset,
            len,
            generation: 1,
        }
    }

    fn build(rows: &[(u32, u32, ExtentId, u64, u64)], count: usize) -> (Vec<Piece>, Vec<Run>) {
        let mut builder = RunBuilder::default();
        for (first_row, lease, id, offset, bytes) in rows.iter().copied() {
            builder.push(
                Piece {
                    first_row,
                    source: 0,
                    lease,
                    offset,
                    bytes,
                },
                id,
            );
        }
        let runs = builder.finish();
        let listed = runs.iter(count).map(|(run, _)| run).collect();
        (runs.pieces, listed)
    }

    #[test]
    fn rows_in_order_are_one_piece() {
        let id = extent(0, 128);
        let (pieces, runs) = build(&[(0, 0, id, 8, 8), (1, 0, id, 16, 4), (2, 0, id, 20, 8)], 3);
        assert_eq!(
            pieces,
            [Piece {
                first_row: 0,
                source: 0,
                lease: 0,
                offset: 8,
                bytes: 20
            }]
        );
        assert_eq!(
            runs,
            [Run {
                rows: 0..3,
                bytes: 20
            }]
        );
    }

    #[test]
    fn a_run_continues_into_the_adjacent_extent() {
        let (left, right) = (extent(64, 128), extent(192, 64));
        let (pieces, runs) = build(&[(0, 0, left, 120, 8), (1, 1, right, 0, 8)], 2);
        assert_eq!(pieces.len(), 2);
        assert_eq!(
            runs,
            [Run {
                rows: 0..2,
                bytes: 16
            }]
        );
    }

    #[test]
    fn a_gap_another_segment_or_padding_ends_a_run() {
        let left = extent(64, 128);
        let elsewhere = ExtentId {
            segment: 1,
            ..extent(192, 64)
        };
        for (second, first_offset) in [
            (extent(256, 64), 120),
            (elsewhere, 120),
            (extent(192, 64), 100),
        ] {
            let (_, runs) = build(&[(0, 0, left, first_offset, 8), (1, 1, second, 0, 8)], 2);
            assert_eq!(runs.len(), 2, "{second:?}");
        }
        // Into the adjacent extent, but not at its start.
        let (_, runs) = build(&[(0, 0, left, 120, 8), (1, 1, extent(192, 64), 8, 8)], 2);
        assert_eq!(runs.len(), 2);
    }

    #[test]
    fn repeated_and_backward_rows_are_runs_of_their_own() {
        let id = extent(0, 64);
        let (pieces, runs) = build(&[(0, 0, id, 8, 8), (1, 0, id, 8, 8), (2, 0, id, 0, 8)], 3);
        assert_eq!((pieces.len(), runs.len()), (3, 3));
    }

    #[test]
    fn rows_without_bytes_join_their_neighbours() {
        let id = extent(0, 64);
        // Rows 0, 2 and 4 are empty and are not pushed.
        let (_, runs) = build(&[(1, 0, id, 0, 8), (3, 0, id, 32, 8)], 5);
        let rows: Vec<_> = runs.iter().map(|run| run.rows.clone()).collect();
        assert_eq!(rows, [0..3, 3..5]);
    }
}
