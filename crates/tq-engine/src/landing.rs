//! Which bytes of which objects a read needs, and where they land: whole blocks, so that each can be
//! checked, back to back in one piece of memory per parcel. A column whose rows lie back to back in
//! its parcel does so where it lands, too, and needs no further copy.

use std::ops::Range;

use tq_proto::Parcel;

use crate::stored::{StoredBatch, StoredRead, StoredRun};

/// Stretches that do not touch land on page borders, so that views of them share no page.
const PAGE: u64 = 4096;

/// Bytes of one object, and where they land.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// The parcel's place in the batch.
    pub parcel: usize,
    /// Which of its objects.
    pub object: usize,
    /// Which bytes of the object: whole blocks.
    pub bytes: Range<u64>,
    /// Number in the parcel of the first block.
    pub first_block: usize,
    /// Where they begin in the parcel's landing.
    pub at: u64,
}

/// Consecutive bytes of a parcel, and where they land.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stretch {
    bytes: Range<u64>,
    at: u64,
}

/// Where the bytes of a batch land.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Landing {
    /// Bytes of memory for each parcel.
    pub bytes: Vec<u64>,
    /// What is to be fetched; parcel by parcel, ascending.
    pub fetches: Vec<Fetch>,
    stretches: Vec<Vec<Stretch>>,
}

impl Landing {
    /// What `batch` needs.
    #[must_use]
    pub fn of(batch: &StoredBatch) -> Self {
        let mut needed: Vec<Vec<Range<u64>>> = vec![Vec::new(); batch.parcels.len()];
        for run in batch.columns.iter().flat_map(|column| &column.runs) {
            if let Some(ranges) = needed.get_mut(run.parcel as usize) {
                ranges.push(run.offset..run.offset + run.bytes);
            }
        }
        let mut landing = Self::default();
        for (number, (parcel, ranges)) in batch.parcels.iter().zip(needed).enumerate() {
            landing.add(number, parcel, ranges);
        }
        landing
    }

    fn add(&mut self, number: usize, parcel: &Parcel, ranges: Vec<Range<u64>>) {
        // Where each object starts, and its first block; and where the last ends.
        let mut starts = vec![(0, 0)];
        let (mut end, mut blocks) = (0, 0);
        for len in &parcel.objects {
            end += len;
            blocks += len.div_ceil(parcel.block) as usize;
            starts.push((end, blocks));
        }
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut end = 0;
        for (object, bytes) in touched(parcel, &starts, ranges) {
            let (start, first_block) = starts[object];
            let whole = start + bytes.start..start + bytes.end;
            let at = match stretches.last_mut() {
                Some(last) if last.bytes.end == whole.start => {
                    last.bytes.end = whole.end;
                    end
                }
                _ => {
                    let at = u64::next_multiple_of(end, PAGE);
                    stretches.push(Stretch { bytes: whole, at });
                    at
                }
            };
            end = at + (bytes.end - bytes.start);
            self.fetches.push(Fetch {
                parcel: number,
                object,
                first_block: first_block + (bytes.start / parcel.block) as usize,
                bytes,
                at,
            });
        }
        self.bytes.push(end);
        self.stretches.push(stretches);
    }

    /// Where the bytes of a run lie in its parcel's landing.
    #[must_use]
    pub fn place(&self, run: &StoredRun) -> Option<u64> {
        let stretches = self.stretches.get(run.parcel as usize)?;
        let behind = stretches.partition_point(|stretch| stretch.bytes.start <= run.offset);
        let stretch = stretches.get(behind.checked_sub(1)?)?;
        let is_inside = run.offset + run.bytes <= stretch.bytes.end;
        is_inside.then(|| stretch.at + (run.offset - stretch.bytes.start))
    }

    /// Where the bytes of a column lie, run by run: the parcel, the offset in its landing, the
    /// length. `None` where the batch is another one.
    #[must_use]
    pub fn places(&self, column: &StoredRead) -> Option<Vec<(usize, u64, u64)>> {
        let place = |run: &StoredRun| Some((run.parcel as usize, self.place(run)?, run.bytes));
        column.runs.iter().map(place).collect()
    }
}

/// The blocks that `ranges` of the parcel touch, object by object, ascending, what touches merged.
fn touched(
    parcel: &Parcel,
    starts: &[(u64, usize)],
    ranges: Vec<Range<u64>>,
) -> Vec<(usize, Range<u64>)> {
    let mut pieces: Vec<(usize, Range<u64>)> = Vec::with_capacity(ranges.len());
    for range in ranges {
        let first = starts.partition_point(|(start, _)| *start <= range.start);
        let objects = parcel.objects.iter().enumerate();
        for (object, len) in objects.skip(first.saturating_sub(1)) {
            let start = starts[object].0;
            if start >= range.end {
                break;
            }
            let from = range.start.saturating_sub(start) / parcel.block * parcel.block;
            let to = (range.end - start).min(*len);
            let to = to.div_ceil(parcel.block).saturating_mul(parcel.block);
            pieces.push((object, from..to.min(*len)));
        }
    }
    pieces.sort_unstable_by_key(|(object, bytes)| (*object, bytes.start));
    let mut merged: Vec<(usize, Range<u64>)> = Vec::new();
    for (object, bytes) in pieces {
        match merged.last_mut() {
            Some((last, until)) if *last == object && bytes.start <= until.end => {
                until.end = until.end.max(bytes.end);
            }
            _ => merged.push((object, bytes)),
        }
    }
    merged
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn batch(objects: &[u64], runs: &[(u64, u64)]) -> StoredBatch {
        let block = 8;
        let blocks: u64 = objects.iter().map(|len| len.div_ceil(block)).sum();
        StoredBatch {
            parcels: vec![Arc::new(Parcel {
                key: "k".into(),
                objects: objects.to_vec(),
                block,
                checksums: vec![0; blocks as usize],
            })],
            columns: vec![StoredRead {
                field: "x".into(),
                parts: Vec::new(),
                runs: runs
                    .iter()
                    .map(|(offset, bytes)| StoredRun {
                        parcel: 0,
                        offset: *offset,
                        bytes: *bytes,
                    })
                    .collect(),
            }],
            ..StoredBatch::default()
        }
    }

    /// Carries out the fetches on a parcel whose bytes tell their place, and reads the runs back.
    fn check(objects: &[u64], runs: &[(u64, u64)]) -> Landing {
        let batch = batch(objects, runs);
        let landing = Landing::of(&batch);
        let mut memory = vec![u64::MAX; landing.bytes[0] as usize];
        let mut blocks = 0;
        let mut start_of = vec![(0, 0)];
        for len in objects {
            let (start, block) = *start_of.last().unwrap();
            start_of.push((start + len, block + len.div_ceil(8)));
        }
        for fetch in &landing.fetches {
            let (start, first) = start_of[fetch.object];
            assert_eq!(fetch.bytes.start % 8, 0);
            assert!(fetch.bytes.end % 8 == 0 || fetch.bytes.end == objects[fetch.object]);
            assert_eq!(fetch.first_block as u64, first + fetch.bytes.start / 8);
            for at in fetch.bytes.clone() {
                let cell = &mut memory[(fetch.at + at - fetch.bytes.start) as usize];
                assert_eq!(*cell, u64::MAX, "a byte lands twice");
                *cell = start + at;
                blocks += 1;
            }
        }
        let needed: u64 = runs.iter().map(|(_, bytes)| bytes).sum();
        assert!(blocks <= needed + 16 * runs.len() as u64);
        for run in &batch.columns[0].runs {
            let at = landing.place(run).unwrap();
            let wanted: Vec<u64> = (run.offset..run.offset + run.bytes).collect();
            assert_eq!(memory[at as usize..(at + run.bytes) as usize], wanted);
        }
        landing
    }

    #[test]
    fn a_whole_parcel_lands_in_one_piece() {
        let landing = check(&[16, 16, 5], &[(0, 37)]);
        assert_eq!((landing.bytes[0], landing.fetches.len()), (37, 3));
    }

    #[test]
    fn a_row_brings_its_blocks_and_no_others() {
        let landing = check(&[64, 64], &[(9, 2)]);
        assert_eq!(
            (landing.bytes[0], landing.fetches[0].bytes.clone()),
            (8, 8..16)
        );
    }

    #[test]
    fn rows_in_any_order_across_objects() {
        check(
            &[64, 64, 30],
            &[(130, 20), (3, 2), (60, 10), (4, 1), (20, 8)],
        );
        check(&[8, 8, 8], &[(4, 18), (6, 4), (7, 17)]);
        check(&[20, 20], &[(0, 21), (19, 3), (2, 30)]);
    }

    #[test]
    fn no_runs_need_nothing() {
        let landing = check(&[64], &[]);
        assert_eq!((landing.bytes[0], landing.fetches.len()), (0, 0));
    }
}
