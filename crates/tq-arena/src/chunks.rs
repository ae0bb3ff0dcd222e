//! Which huge-page-sized parts of a segment have been put together into huge pages, or tried to be.

use std::ops::Range;

/// Bytes of a huge page, and of a segment's grain.
pub(crate) const CHUNK: u64 = 2 << 20;

/// One bit per whole chunk of a segment: whether it was handed out by [`Chunks::take_new`].
#[derive(Debug)]
pub(crate) struct Chunks {
    taken: Vec<u64>,
}

impl Chunks {
    /// For a segment of `len` bytes.
    pub(crate) fn of(len: u64) -> Self {
        let words = (len / CHUNK).div_ceil(u64::from(u64::BITS));
        Self {
            taken: vec![0; words as usize],
        }
    }

    /// The whole chunks inside `bytes` that were never returned before, lowest first.
    pub(crate) fn take_new(&mut self, bytes: &Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let whole = bytes.start.div_ceil(CHUNK)..bytes.end / CHUNK;
        whole.filter_map(|chunk| {
            let word = self.taken.get_mut((chunk / 64) as usize)?;
            let bit = 1 << (chunk % 64);
            let is_new = *word & bit == 0;
            *word |= bit;
            is_new.then(|| chunk * CHUNK..(chunk + 1) * CHUNK)
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_whole_chunk_is_returned_once() {
        let mut chunks = Chunks::of(70 * CHUNK);
        let found: Vec<_> = chunks.take_new(&(1..3 * CHUNK + 5)).collect();
        assert_eq!(found, [CHUNK..2 * CHUNK, 2 * CHUNK..3 * CHUNK]);
        let rest: Vec<_> = chunks.take_new(&(0..70 * CHUNK)).collect();
        assert_eq!(rest.len(), 68);
        assert_eq!(rest.last(), Some(&(69 * CHUNK..70 * CHUNK)));
        assert_eq!(chunks.take_new(&(0..70 * CHUNK)).count(), 0);
    }

    #[test]
    fn less_than_a_chunk_is_none() {
        let mut chunks = Chunks::of(CHUNK);
        assert_eq!(chunks.take_new(&(1..CHUNK)).count(), 0);
        assert_eq!(chunks.take_new(&(CHUNK - 1..CHUNK)).count(), 0);
    }
}
