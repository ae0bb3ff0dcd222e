//! What an arena, its loans, extents, leases and views have in common.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::error::LoanError;
use crate::hold::Hold;
use crate::keeper::Keeper;
use crate::ledger::{Ledger, Refusal, Trim};
use crate::mapping::{Scanner, can_collapse, page_bytes};
use crate::piece::Piece;
use crate::process::Birthplace;
use crate::registry::Registry;
use crate::segment::Segment;
use crate::sync::{AtomicU64, Mutex, Ordering, lock};
use crate::{ArenaConfig, ArenaUsage};

/// Where a range is mapped, and whom to tell when it is free.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) segment: Arc<Segment>,
    pub(crate) shared: Arc<Shared>,
}

/// An extent with its place.
pub(crate) type PlacedHold = Hold<Place>;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) birthplace: Birthplace,
    pub(crate) registry: Registry<Place>,
    pub(crate) keeper: Keeper,
    /// Granted and not dropped; views of no bytes count too.
    pub(crate) live_views: AtomicU64,
    /// Whether the segments are another process's, so that there is nothing to loan.
    pub(crate) is_guest: bool,
    segment_bytes: u64,
    /// By number. Apart from the registry's lock, which stays free of system calls. Where both are
    /// held, this one is taken first.
    segments: Mutex<BTreeMap<u32, Arc<Segment>>>,
    /// Opened at the first view; `None` inside where the kernel cannot scan.
    scanner: OnceLock<Option<Scanner>>,
    /// Tried out when the first chunk is recycled.
    can_collapse: OnceLock<bool>,
}

impl Shared {
    pub(crate) fn new(config: &ArenaConfig) -> Self {
        let ledger = Ledger::new(config.capacity_bytes, config.retain_bytes, page_bytes());
        Self {
            birthplace: Birthplace::here(),
            registry: Registry::new(ledger),
            keeper: Keeper::default(),
            live_views: AtomicU64::new(0),
            is_guest: false,
            segment_bytes: config.segment_bytes,
            segments: Mutex::new(BTreeMap::new()),
            scanner: OnceLock::new(),
            can_collapse: OnceLock::new(),
        }
    }

    /// For segments of another process.
    pub(crate) fn guest() -> Self {
        Self {
            is_guest: true,
            ..Self::new(&ArenaConfig {
                capacity_bytes: 0,
                ..ArenaConfig::default()
            })
        }
    }

    /// Counts a segment of another process among those of this arena.
    pub(crate) fn adopt(&self, segment: &Arc<Segment>) {
        lock(&self.segments).insert(segment.id(), Arc::clone(segment));
    }

    /// Takes back [`Shared::adopt`].
    pub(crate) fn disown(&self, segment: u32) {
        let gone = lock(&self.segments).remove(&segment);
        // Unmapping may take long, so not under the lock.
        drop(gone);
    }

    /// The segment of that number.
    pub(crate) fn segment(&self, segment: u32) -> Option<Arc<Segment>> {
        lock(&self.segments).get(&segment).cloned()
    }

    /// A range for a loan, and the segment it lies in; adds a segment where none has room.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<(Piece, Arc<Segment>), LoanError> {
        let mut reserved = self.registry.reserve(bytes);
        // The lock is kept while a segment is added, so that two loans do not both add one.
        let mut segments = lock(&self.segments);
        if matches!(reserved, Err(Refusal::NoRoom { .. })) {
            reserved = self.registry.reserve(bytes);
        }
        if let Err(Refusal::NoRoom { need }) = reserved {
            let segment =
                Segment::create(self.segment_for(need)).map_err(|source| LoanError::System {
                    asked: bytes,
                    source,
                })?;
            reserved = self.registry.with_ledger(|ledger| {
                ledger.add_segment(segment.id(), segment.len());
                ledger.reserve(bytes)
            });
            segments.insert(segment.id(), Arc::new(segment));
        }
        let piece = reserved.map_err(|refusal| self.refused(bytes, &refusal))?;
        match segments.get(&piece.segment()) {
            Some(segment) => Ok((piece, Arc::clone(segment))),
            // Only after `close`, which no handle outlives.
            None => Err(self.refused(bytes, &Refusal::Full { in_use: 0 })),
        }
    }

    /// Bytes of a segment for a loan of `need`: whole steps of `segment_bytes`, and a quarter more
    /// than needed. Batches vary in size, and one that is a little larger than all before would else
    /// need a segment of its own, every page of it fresh.
    fn segment_for(&self, need: u64) -> u64 {
        need.saturating_add(need / 4)
            .checked_next_multiple_of(self.segment_bytes)
            .unwrap_or(need)
    }

    fn refused(&self, bytes: u64, refusal: &Refusal) -> LoanError {
        let (charge, capacity, now) = self.registry.with_ledger(|ledger| {
            (
                ledger.charge(bytes),
                ledger.capacity(),
                ledger.in_use().total(),
            )
        });
        LoanError::CapacityExceeded {
            asked: charge.unwrap_or(bytes),
            in_use: if let Refusal::Full { in_use } = refusal {
                *in_use
            } else {
                now
            },
            capacity,
        }
    }

    pub(crate) fn scanner(&self) -> Option<&Scanner> {
        self.scanner.get_or_init(Scanner::open).as_ref()
    }

    /// Gives memory beyond `retain_bytes` back to the system.
    pub(crate) fn trim(&self) {
        let Trim {
            mut segments,
            mut pieces,
        } = self.registry.trim();
        for whole in &mut segments {
            let gone = lock(&self.segments).remove(&whole.segment());
            // Unmapping alone would not do: another process may have the segment mapped too. Both
            // may take long, so not under the lock.
            if let Some(segment) = gone {
                segment.punch(whole);
            }
        }
        for piece in &mut pieces {
            if let Some(segment) = self.segment(piece.segment()) {
                segment.punch(piece);
            }
        }
        self.registry.trimmed(pieces);
    }

    /// Whether the system can put pages together.
    pub(crate) fn can_collapse(&self) -> bool {
        *self.can_collapse.get_or_init(can_collapse)
    }

    /// Puts the pages of one recycled chunk together. False where there is none.
    pub(crate) fn collapse_next(&self) -> bool {
        let next = self.registry.with_ledger(Ledger::next_recycled);
        let Some((segment, chunk)) = next else {
            return false;
        };
        if self.can_collapse()
            && let Some(segment) = self.segment(segment)
            && let Err(error) = segment.shared().collapse(chunk.clone())
        {
            tracing::debug!(%error, segment = segment.id(), ?chunk, "pages stay small");
        }
        true
    }

    /// The last handle is gone: no loan and no view can be asked for any more. Segments live on
    /// through the leases on them, and only those.
    pub(crate) fn close(&self) {
        self.keeper.stop();
        self.registry.with_ledger(Ledger::clear);
        let segments = std::mem::take(&mut *lock(&self.segments));
        // Unmapping may take long, so not under the lock.
        drop(segments);
    }

    pub(crate) fn usage(&self) -> ArenaUsage {
        let segments = lock(&self.segments).len() as u64;
        let live_views = self.live_views.load(Ordering::Relaxed);
        self.registry.with_ledger(|ledger| {
            let in_use = ledger.in_use();
            ArenaUsage {
                capacity: ledger.capacity(),
                loaned: in_use.loaned,
                committed: in_use.committed,
                retired: in_use.retired,
                free_resident: ledger.warm(),
                segments,
                live_views,
            }
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn memory_that_comes_back_is_put_together_and_keeps_its_bytes() {
        let shared = Shared::new(&ArenaConfig::default());
        let len = 4 << 20;
        let (mut piece, segment) = shared.reserve(len).unwrap();
        segment.shared().bytes_mut(&mut piece, len).fill(1);
        assert!(!shared.collapse_next(), "it was not free yet");
        assert!(shared.registry.give_back(&piece), "two chunks want care");
        assert!(shared.collapse_next() && shared.collapse_next());
        assert!(!shared.collapse_next());
        let (piece, segment) = shared.reserve(len).unwrap();
        let bytes = segment.shared().bytes(&piece, len);
        assert!(bytes.iter().all(|byte| *byte == 1));
        assert!(!shared.registry.give_back(&piece), "nothing is new");
    }

    #[test]
    fn a_somewhat_larger_loan_than_ever_finds_its_memory_warm() {
        let shared = Shared::new(&ArenaConfig {
            segment_bytes: 2 << 20,
            ..ArenaConfig::default()
        });
        for (bytes, segments) in [(3 << 20, 1), (3 << 20, 1), (7 << 19, 1), (8 << 20, 2)] {
            let (piece, _) = shared.reserve(bytes).unwrap();
            let _wants_care = shared.registry.give_back(&piece);
            assert_eq!(shared.usage().segments, segments, "{bytes} bytes");
        }
    }

    #[test]
    fn trimmed_memory_is_empty_and_can_be_loaned_again() {
        let config = ArenaConfig {
            segment_bytes: 2 << 20,
            retain_bytes: 0,
            ..Default::default()
        };
        let shared = Shared::new(&config);
        let (anchor, segment) = shared.reserve(64).unwrap();
        let len = 1 << 20;
        let (mut piece, _) = shared.reserve(len).unwrap();
        segment.shared().bytes_mut(&mut piece, len).fill(1);
        assert!(shared.registry.give_back(&piece));
        shared.trim();
        assert_eq!(
            (shared.usage().segments, shared.usage().free_resident),
            (1, 0)
        );

        let rest = segment.len() - page_bytes();
        let (mut again, same) = shared.reserve(rest).unwrap();
        assert!(
            Arc::ptr_eq(&segment, &same),
            "all but the anchor's page is free"
        );
        assert!(
            segment
                .shared()
                .bytes_mut(&mut again, rest)
                .iter()
                .all(|byte| *byte == 0)
        );
        assert!(shared.registry.give_back(&again));
        assert!(shared.registry.give_back(&anchor));
        shared.trim();
        assert_eq!(shared.usage().segments, 0);
    }
}
