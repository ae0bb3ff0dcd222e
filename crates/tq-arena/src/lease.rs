//! A hold on committed bytes for reading.

use std::sync::Arc;

use crate::ExtentId;
use crate::keeper::Keeper;
use crate::shared::{Place, PlacedHold};

/// Keeps the bytes of an extent readable and unused by others, also after the extent was retired.
/// Cheap to clone; it ends on drop, never by a clock.
#[derive(Debug)]
pub struct Lease {
    hold: Arc<PlacedHold>,
}

impl Lease {
    /// Wraps a lease that was counted already.
    pub(crate) fn counted(hold: Arc<PlacedHold>) -> Self {
        Self { hold }
    }

    /// The extent it holds.
    #[must_use]
    pub fn id(&self) -> ExtentId {
        self.hold.id
    }

    /// The committed bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.hold
            .place
            .segment
            .shared()
            .bytes(&self.hold.piece, self.hold.id.len)
    }

    pub(crate) fn place(&self) -> &Place {
        &self.hold.place
    }
}

impl Clone for Lease {
    fn clone(&self) -> Self {
        self.hold.count.add_lease();
        Self {
            hold: Arc::clone(&self.hold),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.hold.count.drop_lease() {
            return;
        }
        let shared = &self.hold.place.shared;
        if shared.birthplace.is_foreign() {
            return std::mem::forget(Arc::clone(&self.hold));
        }
        if shared.registry.free_retired(&self.hold) {
            Keeper::ask_trim(shared);
        }
    }
}
