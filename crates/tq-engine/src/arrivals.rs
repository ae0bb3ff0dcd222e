//! Which rows are whole while the bytes they lie in arrive piece by piece, in any order.

use std::collections::BTreeMap;
use std::ops::Range;

/// Rows that wait for their bytes; `R` names one.
#[derive(Debug)]
pub struct Arrivals<R> {
    /// By where they begin: where they end.
    waiting: BTreeMap<u64, (u64, R)>,
    /// What has arrived: where it begins, and where it ends; what touches is one.
    pieces: BTreeMap<u64, u64>,
}

impl<R> Arrivals<R> {
    /// Rows and the bytes that each needs. Of two that begin at the same place only the later one is
    /// waited for.
    pub fn new(rows: impl IntoIterator<Item = (Range<u64>, R)>) -> Self {
        let row = |(bytes, row): (Range<u64>, R)| (bytes.start, (bytes.end, row));
        Self {
            waiting: rows.into_iter().map(row).collect(),
            pieces: BTreeMap::new(),
        }
    }

    /// Notes that `bytes` have arrived; the rows that are whole now and were not before.
    pub fn arrived(&mut self, bytes: Range<u64>) -> Vec<(Range<u64>, R)> {
        let piece = self.add(bytes);
        let starts = self.waiting.range(piece.clone());
        let whole = starts.filter(|(_, (end, _))| *end <= piece.end);
        let whole: Vec<u64> = whole.map(|(start, _)| *start).collect();
        let take = |start| {
            let (end, row) = self.waiting.remove(&start)?;
            Some((start..end, row))
        };
        whole.into_iter().filter_map(take).collect()
    }

    /// All that has arrived in one piece with `bytes`.
    fn add(&mut self, bytes: Range<u64>) -> Range<u64> {
        let mut piece = bytes;
        if let Some((start, end)) = self.pieces.range(..=piece.start).next_back()
            && *end >= piece.start
        {
            piece = *start..piece.end.max(*end);
        }
        while let Some((start, end)) = self.pieces.range(piece.start..=piece.end).next_back() {
            let (start, end) = (*start, *end);
            piece.end = piece.end.max(end);
            self.pieces.remove(&start);
        }
        self.pieces.insert(piece.start, piece.end);
        piece
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_look_at_every_byte(
            lengths in prop::collection::vec(1u64..20, 0..30),
            pieces in prop::collection::vec((0u64..700, 0u64..150), 0..40),
        ) {
            let mut end = 0;
            let rows: Vec<Range<u64>> = lengths
                .iter()
                .map(|length| {
                    // Some rows lie apart.
                    let start = end + length % 3;
                    end = start + length;
                    start..end
                })
                .collect();
            let numbered = rows.iter().cloned().zip(0usize..);
            let mut arrivals = Arrivals::new(numbered);
            let mut there = vec![false; 1000];
            let mut whole = vec![false; rows.len()];
            for (start, length) in pieces {
                there[start as usize..(start + length) as usize].fill(true);
                for (bytes, row) in arrivals.arrived(start..start + length) {
                    prop_assert_eq!(&bytes, &rows[row]);
                    prop_assert!(!whole[row], "row {} came twice", row);
                    whole[row] = true;
                }
                for (row, bytes) in rows.iter().enumerate() {
                    let expected = there[bytes.start as usize..bytes.end as usize].iter().all(|byte| *byte);
                    // Nothing arrives with an empty piece.
                    prop_assert!(whole[row] == expected || length == 0, "row {}", row);
                }
            }
        }
    }

    #[test]
    fn of_rows_that_begin_together_the_later_one_is_waited_for() {
        let mut arrivals = Arrivals::new([(0..4, 'a'), (4..9, 'b'), (0..2, 'c')]);
        assert_eq!(arrivals.arrived(0..4), [(0..2, 'c')]);
        assert_eq!(arrivals.arrived(4..9), [(4..9, 'b')]);
    }
}
