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
        whole(bytes).filter(|chunk| self.take(chunk))
    }

    /// Whether the chunk is taken for the first time.
    fn take(&mut self, chunk: &Range<u64>) -> bool {
        let number = chunk.start / CHUNK;
        let Some(word) = self.taken.get_mut((number / 64) as usize) else {
            return false;
        };
        let bit = 1 << (number % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

fn whole(bytes: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
    let numbers = bytes.start.div_ceil(CHUNK)..bytes.end / CHUNK;
    numbers.map(|number| number * CHUNK..(number + 1) * CHUNK)
}

/// Which chunks were come by once, and which twice.
#[derive(Debug)]
pub(crate) struct Twice {
    once: Chunks,
    twice: Chunks,
}

impl Twice {
    /// For a segment of `len` bytes.
    pub(crate) fn of(len: u64) -> Self {
        let [once, twice] = [(); 2].map(|()| Chunks::of(len));
        Self { once, twice }
    }

    /// The whole chunks inside `bytes` that are come by for the second time, lowest first.
    pub(crate) fn take_second(&mut self, bytes: &Range<u64>) -> Vec<Range<u64>> {
        whole(bytes)
            .filter(|chunk| !self.once.take(chunk) && self.twice.take(chunk))
            .collect()
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
    fn each_whole_chunk_is_come_by_twice_once() {
        let mut twice = Twice::of(3 * CHUNK);
        assert!(twice.take_second(&(0..2 * CHUNK)).is_empty());
        assert_eq!(
            twice.take_second(&(0..3 * CHUNK)),
            [0..CHUNK, CHUNK..2 * CHUNK]
        );
        let last = 2 * CHUNK..3 * CHUNK;
        assert_eq!(twice.take_second(&(0..3 * CHUNK)), [last]);
        assert!(twice.take_second(&(0..3 * CHUNK)).is_empty());
    }

    #[test]
    fn less_than_a_chunk_is_none() {
        let mut chunks = Chunks::of(CHUNK);
        assert_eq!(chunks.take_new(&(1..CHUNK)).count(), 0);
        assert_eq!(chunks.take_new(&(CHUNK - 1..CHUNK)).count(), 0);
    }
}
