//! The proof that a byte range of a segment belongs to its holder alone.

use std::ops::Range;

use crate::ranges::RangeSet;

/// A byte range taken out of a segment's free ranges.
///
/// Of a segment of this process, only this module makes one, and only by taking its bytes out of a
/// [`RangeSet`] of free ranges or by splitting another piece, so no two pieces in use ever share a
/// byte. Of a segment of another process, [`crate::grants::Grants`] makes them: there only pieces
/// to read may share bytes, and those are never lent out mutably. The unsafe module relies on that:
/// `&mut Piece` allows writing the bytes, `&Piece` allows reading them.
#[derive(Debug)]
pub(crate) struct Piece {
    segment: u32,
    offset: u64,
    len: u64,
}

impl Piece {
    /// Takes `range` out of `free`.
    ///
    /// # Panics
    /// When some byte was not free: going on would give it two owners.
    pub(crate) fn take(free: &mut RangeSet, segment: u32, range: Range<u64>) -> Self {
        let len = range.end - range.start;
        let offset = range.start;
        assert!(
            free.subtract(range) == len,
            "{len} bytes at {offset} of segment {segment} were not all free: a bug in tq-arena"
        );
        Self {
            segment,
            offset,
            len,
        }
    }

    /// A range that another process granted to this one. For [`crate::grants::Grants`] alone, which
    /// keeps the promise of the type.
    pub(crate) fn granted(segment: u32, range: Range<u64>) -> Self {
        Self {
            segment,
            offset: range.start,
            len: range.end - range.start,
        }
    }

    /// Splits at ascending offsets strictly inside the piece (relative to its start).
    pub(crate) fn split(self, cuts: &[u64]) -> Vec<Self> {
        let mut pieces = Vec::with_capacity(cuts.len() + 1);
        let mut rest = self;
        let mut taken = 0;
        for &cut in cuts {
            let head = cut - taken;
            debug_assert!(
                0 < head && head < rest.len,
                "cuts are checked by the caller"
            );
            pieces.push(Self { len: head, ..rest });
            rest = Self {
                offset: rest.offset + head,
                len: rest.len - head,
                ..rest
            };
            taken = cut;
        }
        pieces.push(rest);
        pieces
    }

    /// Undoes [`Piece::split`]: the parts, in order, as one piece again.
    ///
    /// # Panics
    /// Where they do not lie end to end: what lies between them belongs to somebody else.
    pub(crate) fn join(parts: impl IntoIterator<Item = Self>) -> Option<Self> {
        parts.into_iter().reduce(|left, right| {
            assert!(
                left.segment == right.segment && left.offset + left.len == right.offset,
                "{left:?} and {right:?} do not lie end to end: a bug in tq-arena"
            );
            Self {
                len: left.len + right.len,
                ..left
            }
        })
    }

    /// The segment it lies in.
    pub(crate) fn segment(&self) -> u32 {
        self.segment
    }

    /// First byte, from the start of the segment.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes, padding included.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The bytes, from the start of the segment.
    pub(crate) fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.len
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_split_lie_end_to_end() {
        let mut free = RangeSet::default();
        free.insert(0..1024);
        let parts = Piece::take(&mut free, 7, 128..640).split(&[64, 256]);
        let ranges: Vec<_> = parts.iter().map(Piece::range).collect();
        assert_eq!(ranges, [128..192, 192..384, 384..640]);
        assert!(parts.iter().all(|part| part.segment() == 7));
        assert_eq!(free.total(), 512);
        let whole = Piece::join(parts).unwrap();
        assert_eq!((whole.segment(), whole.range()), (7, 128..640));
    }

    #[test]
    #[should_panic(expected = "do not lie end to end")]
    fn parts_with_a_gap_are_not_joined() {
        let mut free = RangeSet::default();
        free.insert(0..1024);
        let mut parts = Piece::take(&mut free, 7, 0..192).split(&[64, 128]);
        parts.remove(1);
        Piece::join(parts);
    }

    #[test]
    #[should_panic(expected = "not all free")]
    fn bytes_in_use_cannot_be_taken() {
        let mut free = RangeSet::default();
        free.insert(0..1024);
        let _first = Piece::take(&mut free, 0, 0..64);
        let _second = Piece::take(&mut free, 0, 0..64);
    }
}
