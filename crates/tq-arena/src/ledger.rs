//! Which bytes are free, which of those are warm, and how many are in use. No locks, no memory.
//!
//! *Warm* are free bytes that were handed out before: their pages are resident, and writing them
//! costs no page fault. They are preferred for new loans, and given back to the system only beyond
//! `retain`.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use crate::chunks::{CHUNK, Chunks};
use crate::piece::Piece;
use crate::ranges::RangeSet;

/// Starts and cuts are multiples of this.
pub(crate) const SMALL_ALIGN: u64 = 64;
/// From this size on a loan has pages of its own, so that views of neighbours do not share pages.
pub(crate) const LARGE: u64 = 64 * 1024;

#[derive(Debug)]
struct Space {
    len: u64,
    free: RangeSet,
    /// Part of `free`.
    warm: RangeSet,
    /// Those that became warm as a whole.
    recycled: Chunks,
}

/// What a piece counted as until now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Loaned,
    Committed,
    Retired,
}

/// Bytes by use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct InUse {
    pub(crate) loaned: u64,
    pub(crate) committed: u64,
    pub(crate) retired: u64,
}

impl InUse {
    pub(crate) fn total(&self) -> u64 {
        self.loaned + self.committed + self.retired
    }

    fn of(&mut self, what: Use) -> &mut u64 {
        match what {
            Use::Loaned => &mut self.loaned,
            Use::Committed => &mut self.committed,
            Use::Retired => &mut self.retired,
        }
    }
}

/// Why nothing was reserved.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The capacity does not allow it.
    Full { in_use: u64 },
    /// It may be had once a segment of at least `need` bytes is added.
    NoRoom { need: u64 },
}

/// Memory to give back to the system.
#[derive(Debug, Default)]
pub(crate) struct Trim {
    /// Whole segments, already forgotten here.
    pub(crate) segments: Vec<Piece>,
    /// Ranges of whole pages; return them through [`Ledger::trimmed`].
    pub(crate) pieces: Vec<Piece>,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    capacity: u64,
    retain: u64,
    page: u64,
    spaces: BTreeMap<u32, Space>,
    in_use: InUse,
    warm: u64,
    /// Chunks that became warm as a whole for the first time, and wait for
    /// [`Ledger::next_recycled`].
    recycled: VecDeque<(u32, Range<u64>)>,
}

impl Ledger {
    pub(crate) fn new(capacity: u64, retain: u64, page: u64) -> Self {
        Self {
            capacity,
            retain,
            page,
            spaces: BTreeMap::new(),
            in_use: InUse::default(),
            warm: 0,
            recycled: VecDeque::new(),
        }
    }

    pub(crate) fn in_use(&self) -> InUse {
        self.in_use
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(crate) fn warm(&self) -> u64 {
        self.warm
    }

    /// What a loan of `bytes` takes up; `None` where that overflows.
    pub(crate) fn charge(&self, bytes: u64) -> Option<u64> {
        bytes.max(1).checked_next_multiple_of(self.align(bytes))
    }

    fn align(&self, bytes: u64) -> u64 {
        if bytes >= LARGE {
            self.page
        } else {
            SMALL_ALIGN
        }
    }

    pub(crate) fn add_segment(&mut self, segment: u32, len: u64) {
        let mut free = RangeSet::default();
        free.insert(0..len);
        self.spaces.insert(
            segment,
            Space {
                len,
                free,
                warm: RangeSet::default(),
                recycled: Chunks::of(len),
            },
        );
    }

    /// Takes a range for a loan of `bytes`.
    pub(crate) fn reserve(&mut self, bytes: u64) -> Result<Piece, Refusal> {
        let in_use = self.in_use.total();
        let room = self.capacity - in_use;
        let Some(need) = self.charge(bytes).filter(|need| *need <= room) else {
            return Err(Refusal::Full { in_use });
        };
        let align = self.align(bytes);
        let warm = self
            .spaces
            .iter()
            .find_map(|(id, space)| Some((*id, space.warm.fit(need, align)?)));
        let Some((segment, start)) = warm.or_else(|| {
            self.spaces
                .iter()
                .find_map(|(id, space)| Some((*id, space.free.fit(need, align)?)))
        }) else {
            return Err(Refusal::NoRoom { need });
        };
        let Some(space) = self.spaces.get_mut(&segment) else {
            return Err(Refusal::NoRoom { need });
        };
        let range = start..start + need;
        self.warm -= space.warm.subtract(range.clone());
        self.in_use.loaned += need;
        Ok(Piece::take(&mut space.free, segment, range))
    }

    /// Counts `len` bytes under another use.
    pub(crate) fn recount(&mut self, len: u64, from: Use, to: Use) {
        *self.in_use.of(from) -= len;
        *self.in_use.of(to) += len;
    }

    /// Frees a piece; its bytes are warm. The caller is its last holder and uses it no more.
    pub(crate) fn free(&mut self, piece: &Piece, was: Use) {
        *self.in_use.of(was) -= piece.len();
        // After `clear` the segments are forgotten, and their memory goes with the last lease.
        if let Some(space) = self.spaces.get_mut(&piece.segment()) {
            space.free.insert(piece.range());
            let around = space.warm.insert(piece.range());
            self.warm += piece.len();
            if around.end - around.start >= CHUNK {
                // Of the neighbours' bytes only those that make up a chunk with this piece's.
                let near =
                    piece.offset() / CHUNK * CHUNK..piece.range().end.next_multiple_of(CHUNK);
                let new = around.start.max(near.start)..around.end.min(near.end);
                let new = space.recycled.take_new(&new);
                self.recycled
                    .extend(new.map(|chunk| (piece.segment(), chunk)));
            }
        }
    }

    /// Whether [`Ledger::trim`] or [`Ledger::next_recycled`] would find something.
    pub(crate) fn wants_care(&self) -> bool {
        self.warm > self.retain || !self.recycled.is_empty()
    }

    /// A chunk of a segment that was in use and is free again, each once: memory that comes back is
    /// the memory that the next loans get, so it is worth being put together into a huge page.
    pub(crate) fn next_recycled(&mut self) -> Option<(u32, Range<u64>)> {
        self.recycled.pop_front()
    }

    /// Chooses what to give back: wholly free segments and the highest warm pages of the latest
    /// segments, until no more than `retain` warm bytes stay.
    pub(crate) fn trim(&mut self) -> Trim {
        let mut trim = Trim::default();
        let latest_first: Vec<u32> = self.spaces.keys().rev().copied().collect();
        for segment in latest_first {
            let Some(excess) = self
                .warm
                .checked_sub(self.retain)
                .filter(|excess| *excess > 0)
            else {
                break;
            };
            let Some(space) = self.spaces.get_mut(&segment) else {
                continue;
            };
            let warm = space.warm.total();
            if warm > 0 && warm <= excess && space.free.total() == space.len {
                let whole = 0..space.len;
                trim.segments
                    .push(Piece::take(&mut space.free, segment, whole));
                self.spaces.remove(&segment);
                self.warm -= warm;
            } else {
                for range in cold_candidates(space, self.page, excess) {
                    self.warm -= space.warm.subtract(range.clone());
                    trim.pieces
                        .push(Piece::take(&mut space.free, segment, range));
                }
            }
        }
        trim
    }

    /// Puts back what [`Ledger::trim`] took: still free, and cold now.
    pub(crate) fn trimmed(&mut self, pieces: Vec<Piece>) {
        for piece in pieces {
            if let Some(space) = self.spaces.get_mut(&piece.segment()) {
                space.free.insert(piece.range());
            }
        }
    }

    /// Forgets all segments: nothing can be reserved any more.
    pub(crate) fn clear(&mut self) {
        self.spaces.clear();
        self.recycled.clear();
        self.warm = 0;
    }
}

/// Whole free pages with warm bytes in them, highest first, until `excess` warm bytes are covered.
fn cold_candidates(space: &Space, page: u64, excess: u64) -> Vec<Range<u64>> {
    let mut found: Vec<Range<u64>> = Vec::new();
    let mut left = excess;
    // Small holes hold no whole page, and there may be very many of them.
    for free in space.free.at_least(page) {
        let pages = free.start.next_multiple_of(page)..free.end / page * page;
        if pages.is_empty() {
            continue;
        }
        for warm in space.warm.within(pages) {
            if left == 0 {
                return found;
            }
            let ceiling = found.last().map_or(u64::MAX, |above| above.start);
            let end = warm.end.next_multiple_of(page).min(ceiling);
            let start = (warm.start / page * page).max(end.saturating_sub(left) / page * page);
            if start < end {
                left -= left.min(warm.end.min(end) - warm.start.max(start));
                found.push(start..end);
            }
        }
    }
    found
}

#[cfg(all(test, not(loom)))]
#[path = "ledger_tests.rs"]
mod tests;
