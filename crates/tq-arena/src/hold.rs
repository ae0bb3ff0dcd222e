//! Who still needs an extent: its owner, and a number of leases.

use crate::extent::ExtentId;
use crate::piece::Piece;
use crate::sync::{AtomicU64, Ordering};

/// The bit that stands for the owner; leases are counted below it.
const OWNER: u64 = 1 << 63;

/// Owner and leases in one word, so that exactly one of them sees itself as the last.
///
/// Once the owner is gone no new lease is granted, so the word only falls, and reaches zero once.
#[derive(Debug)]
pub(crate) struct HoldCount(AtomicU64);

impl HoldCount {
    /// Held by the owner alone.
    pub(crate) fn owned() -> Self {
        Self(AtomicU64::new(OWNER))
    }

    /// One more lease, for a caller who keeps the extent held meanwhile (as owner or with a lease).
    pub(crate) fn add_lease(&self) {
        // Relaxed: the caller's own hold keeps the bytes; nothing is published by counting up.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One lease less; true when that was the last hold of any kind.
    #[must_use]
    pub(crate) fn drop_lease(&self) -> bool {
        // SYNC POINT: AcqRel, pairs with itself and `drop_owner`: reads made under other holds come
        // before the reuse of the bytes by whoever goes last.
        self.0.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// The owner goes; true when no lease is left either.
    #[must_use]
    pub(crate) fn drop_owner(&self) -> bool {
        // SYNC POINT: AcqRel, as in `drop_lease`.
        self.0.fetch_sub(OWNER, Ordering::AcqRel) == OWNER
    }
}

/// A committed range with its name and its holders. `P` says where the bytes are mapped; the
/// accounting never looks at it, so it can be tested without memory.
#[derive(Debug)]
pub(crate) struct Hold<P> {
    pub(crate) id: ExtentId,
    pub(crate) piece: Piece,
    pub(crate) count: HoldCount,
    pub(crate) place: P,
}
