//! The ledger and the live extents behind one lock. Knows nothing of memory, so loom can check it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::extent::ExtentId;
use crate::hold::{Hold, HoldCount};
use crate::ledger::{Ledger, Refusal, Trim, Use};
use crate::piece::Piece;
use crate::sync::{Mutex, lock};

#[derive(Debug)]
struct State<P> {
    ledger: Ledger,
    /// Extents with an owner, by generation.
    live: HashMap<u64, Arc<Hold<P>>>,
    next_generation: u64,
}

/// Grants, commits, leases and frees ranges.
#[derive(Debug)]
pub(crate) struct Registry<P> {
    /// One lock: a loan, a commit and a free each touch several of the maps behind it at once.
    /// Leases are copied and dropped without it, except for the very last of a retired extent.
    state: Mutex<State<P>>,
}

impl<P: Clone> Registry<P> {
    pub(crate) fn new(ledger: Ledger) -> Self {
        let state = State {
            ledger,
            live: HashMap::new(),
            next_generation: 1,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// Runs `look` on the ledger, under the lock.
    pub(crate) fn with_ledger<R>(&self, look: impl FnOnce(&mut Ledger) -> R) -> R {
        look(&mut lock(&self.state).ledger)
    }

    pub(crate) fn reserve(&self, bytes: u64) -> Result<Piece, Refusal> {
        self.with_ledger(|ledger| ledger.reserve(bytes))
    }

    /// Takes a loan back. True when free memory wants care.
    pub(crate) fn give_back(&self, piece: &Piece) -> bool {
        self.with_ledger(|ledger| {
            ledger.free(piece, Use::Loaned);
            ledger.wants_care()
        })
    }

    /// Turns a loan of `len` bytes into extents. The cuts are valid: ascending multiples of 64
    /// inside it.
    pub(crate) fn commit(
        &self,
        piece: Piece,
        len: u64,
        cuts: &[u64],
        place: &P,
    ) -> Vec<Arc<Hold<P>>> {
        let start = piece.offset();
        let charged = piece.len();
        let mut state = lock(&self.state);
        state.ledger.recount(charged, Use::Loaned, Use::Committed);
        let holds: Vec<_> = piece
            .split(cuts)
            .into_iter()
            .zip(state.next_generation..)
            .map(|(piece, generation)| {
                let id = ExtentId {
                    segment: piece.segment(),
                    offset: piece.offset(),
                    // Only the last part carries padding that nobody asked for.
                    len: piece.len().min(start + len - piece.offset()),
                    generation,
                };
                Arc::new(Hold {
                    id,
                    piece,
                    count: HoldCount::owned(),
                    place: place.clone(),
                })
            })
            .collect();
        state.next_generation += holds.len() as u64;
        state.live.extend(
            holds
                .iter()
                .map(|hold| (hold.id.generation, Arc::clone(hold))),
        );
        holds
    }

    /// Finds the extent of that name and counts a lease on it.
    pub(crate) fn lease(&self, id: ExtentId) -> Option<Arc<Hold<P>>> {
        let state = lock(&self.state);
        let hold = state
            .live
            .get(&id.generation)
            .filter(|hold| hold.id == id)?;
        // Listed means owned: `retire` takes it off the list and drops the owner under this lock.
        hold.count.add_lease();
        Some(Arc::clone(hold))
    }

    /// The owner drops the extent. True when free memory wants care.
    pub(crate) fn retire(&self, hold: &Hold<P>) -> bool {
        let mut state = lock(&self.state);
        let listed = state.live.remove(&hold.id.generation);
        let len = hold.piece.len();
        // Under the lock, so that a lease which goes last finds its bytes counted as retired.
        if hold.count.drop_owner() {
            state.ledger.free(&hold.piece, Use::Committed);
        } else {
            state.ledger.recount(len, Use::Committed, Use::Retired);
        }
        let wants_care = state.ledger.wants_care();
        drop(state);
        // Outside the lock: this may be the last handle on what `P` holds.
        drop(listed);
        wants_care
    }

    /// Frees an extent whose last lease just went, after its owner. True as for
    /// [`Registry::retire`].
    pub(crate) fn free_retired(&self, hold: &Hold<P>) -> bool {
        self.with_ledger(|ledger| {
            ledger.free(&hold.piece, Use::Retired);
            ledger.wants_care()
        })
    }

    pub(crate) fn trim(&self) -> Trim {
        self.with_ledger(Ledger::trim)
    }

    pub(crate) fn trimmed(&self, pieces: Vec<Piece>) {
        self.with_ledger(|ledger| ledger.trimmed(pieces));
    }
}

#[cfg(all(test, loom))]
#[path = "registry_loom.rs"]
mod loom_tests;
