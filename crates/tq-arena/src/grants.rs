//! Which bytes of another process's segment this process reads and writes. No locks, no memory.
//!
//! Whether bytes may be read or written at all is the other process's word. That its words do not
//! contradict each other is checked here, so that no numbers it sends can give this process a
//! slice to write that overlaps another slice.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::piece::Piece;

/// What a stretch of bytes is held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Nothing,
    /// By so many readers.
    Read(u64),
    Written,
}

/// Bytes that are read: other readers may share them, a writer may not. It never gives out a
/// mutable piece.
#[derive(Debug)]
pub(crate) struct Reading(Piece);

impl Reading {
    pub(crate) fn piece(&self) -> &Piece {
        &self.0
    }
}

/// The holds of this process on one segment.
#[derive(Debug)]
pub(crate) struct Grants {
    segment: u32,
    len: u64,
    /// What is held from each of these bytes on, up to the next; nothing before the first.
    /// Neighbours differ.
    from: BTreeMap<u64, Held>,
}

/// Why a grant was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contradiction {
    /// Not all inside the segment.
    Outside,
    /// A writer is, or would be, not alone.
    Shared,
}

impl Grants {
    pub(crate) fn new(segment: u32, len: u64) -> Self {
        Self {
            segment,
            len,
            from: BTreeMap::new(),
        }
    }

    /// Takes `len` bytes for reading. Return them through [`Grants::end_read`].
    pub(crate) fn read(&mut self, offset: u64, len: u64) -> Result<Reading, Contradiction> {
        let range = self.inside(offset, len)?;
        if self.held(&range).any(|held| held == Held::Written) {
            return Err(Contradiction::Shared);
        }
        self.change(&range, |held| match held {
            Held::Read(readers) => Held::Read(readers + 1),
            Held::Nothing | Held::Written => Held::Read(1),
        });
        Ok(Reading(Piece::granted(self.segment, range)))
    }

    pub(crate) fn end_read(&mut self, reading: Reading) {
        self.change(&reading.0.range(), |held| match held {
            Held::Read(readers @ 2..) => Held::Read(readers - 1),
            _ => Held::Nothing,
        });
    }

    /// Takes `len` bytes for writing, alone. Return them through [`Grants::end_write`].
    pub(crate) fn write(&mut self, offset: u64, len: u64) -> Result<Piece, Contradiction> {
        let range = self.inside(offset, len)?;
        if self.held(&range).any(|held| held != Held::Nothing) {
            return Err(Contradiction::Shared);
        }
        self.change(&range, |_| Held::Written);
        Ok(Piece::granted(self.segment, range))
    }

    pub(crate) fn end_write(&mut self, piece: Piece) {
        self.change(&piece.range(), |_| Held::Nothing);
    }

    fn inside(&self, offset: u64, len: u64) -> Result<Range<u64>, Contradiction> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len => Ok(offset..end),
            _ => Err(Contradiction::Outside),
        }
    }

    fn at(&self, byte: u64) -> Held {
        let before = self.from.range(..=byte).next_back();
        before.map_or(Held::Nothing, |(_, held)| *held)
    }

    /// What the parts of a range are held for; nothing for an empty range.
    fn held(&self, range: &Range<u64>) -> impl Iterator<Item = Held> + '_ {
        let first = (!range.is_empty()).then(|| self.at(range.start));
        let rest = range.start.saturating_add(1)..range.end.max(range.start.saturating_add(1));
        first
            .into_iter()
            .chain(self.from.range(rest).map(|(_, held)| *held))
    }

    fn change(&mut self, range: &Range<u64>, to: impl Fn(Held) -> Held) {
        if range.is_empty() {
            return;
        }
        for edge in [range.start, range.end] {
            let held = self.at(edge);
            self.from.entry(edge).or_insert(held);
        }
        for (_, held) in self.from.range_mut(range.clone()) {
            *held = to(*held);
        }
        // All inside changed alike, so only the edges may have become no edges.
        for edge in [range.start, range.end] {
            let before = self.from.range(..edge).next_back();
            let before = before.map_or(Held::Nothing, |(_, held)| *held);
            if self.from.get(&edge) == Some(&before) {
                self.from.remove(&edge);
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEN: u64 = 24;

    #[derive(Debug, Clone)]
    enum Step {
        Read(u64, u64),
        Write(u64, u64),
        EndRead(usize),
        EndWrite(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let range = || (0..LEN + 2, 0..LEN);
        prop_oneof![
            3 => range().prop_map(|(offset, len)| Step::Read(offset, len)),
            2 => range().prop_map(|(offset, len)| Step::Write(offset, len)),
            2 => any::<usize>().prop_map(Step::EndRead),
            1 => any::<usize>().prop_map(Step::EndWrite),
        ]
    }

    proptest! {
        #[test]
        fn grants_agree_with_a_count_per_byte(steps in prop::collection::vec(step(), 0..60)) {
            let mut grants = Grants::new(3, LEN);
            let (mut reads, mut writes) = (Vec::new(), Vec::new());
            for step in steps {
                let reading = |byte: u64, reads: &[Reading]| {
                    reads.iter().any(|held| held.piece().range().contains(&byte))
                };
                let writing = |byte: u64, writes: &[Piece]| {
                    writes.iter().any(|held| held.range().contains(&byte))
                };
                match step {
                    Step::Read(offset, len) => match grants.read(offset, len) {
                        Ok(held) => {
                            prop_assert!((offset..offset + len).all(|byte| !writing(byte, &writes)));
                            reads.push(held);
                        }
                        Err(Contradiction::Outside) => prop_assert!(offset + len > LEN),
                        Err(Contradiction::Shared) => prop_assert!(
                            (offset..offset + len).any(|byte| writing(byte, &writes))
                        ),
                    },
                    Step::Write(offset, len) => match grants.write(offset, len) {
                        Ok(held) => {
                            prop_assert!((offset..offset + len)
                                .all(|byte| !writing(byte, &writes) && !reading(byte, &reads)));
                            writes.push(held);
                        }
                        Err(Contradiction::Outside) => prop_assert!(offset + len > LEN),
                        Err(Contradiction::Shared) => prop_assert!((offset..offset + len)
                            .any(|byte| writing(byte, &writes) || reading(byte, &reads))),
                    },
                    Step::EndRead(which) if !reads.is_empty() => {
                        grants.end_read(reads.swap_remove(which % reads.len()));
                    }
                    Step::EndWrite(which) if !writes.is_empty() => {
                        grants.end_write(writes.swap_remove(which % writes.len()));
                    }
                    Step::EndRead(_) | Step::EndWrite(_) => {}
                }
            }
            reads.into_iter().for_each(|held| grants.end_read(held));
            writes.into_iter().for_each(|held| grants.end_write(held));
            prop_assert!(grants.from.is_empty(), "{:?}", grants.from);
        }
    }

    #[test]
    fn offsets_at_the_end_of_numbers_are_outside() {
        let mut grants = Grants::new(0, LEN);
        for (offset, len) in [(u64::MAX, 2), (2, u64::MAX), (LEN, 1), (LEN + 1, 0)] {
            assert_eq!(grants.read(offset, len).err(), Some(Contradiction::Outside));
            assert_eq!(
                grants.write(offset, len).err(),
                Some(Contradiction::Outside)
            );
        }
        assert!(grants.write(LEN, 0).is_ok());
    }
}
