//! A hold on committed bytes for reading.

use std::sync::Arc;

use crate::keeper::Keeper;
use crate::remote::RemoteHold;
use crate::shared::{Place, PlacedHold};
use crate::{ExtentId, SegmentRange};

/// Keeps the bytes of an extent readable and unused by others, also after the extent was retired.
/// Cheap to clone; it ends on drop, never by a clock.
#[derive(Debug)]
pub struct Lease {
    hold: Held,
}

#[derive(Debug)]
enum Held {
    /// An extent of this process, which counts its leases itself.
    Own(Arc<PlacedHold>),
    /// Memory of another process; the last reference ends the lease.
    Remote(Arc<RemoteHold>),
}

impl Lease {
    /// Wraps a lease that was counted already.
    pub(crate) fn counted(hold: Arc<PlacedHold>) -> Self {
        Self {
            hold: Held::Own(hold),
        }
    }

    pub(crate) fn remote(hold: Arc<RemoteHold>) -> Self {
        Self {
            hold: Held::Remote(hold),
        }
    }

    /// The extent it holds. Of memory of another process: the range it holds, as generation 0.
    #[must_use]
    pub fn id(&self) -> ExtentId {
        match &self.hold {
            Held::Own(hold) => hold.id,
            Held::Remote(hold) => hold.id,
        }
    }

    /// Where its bytes lie.
    #[must_use]
    pub fn range(&self) -> SegmentRange {
        self.id().range()
    }

    /// The committed bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match &self.hold {
            Held::Own(hold) => hold.place.segment.shared().bytes(&hold.piece, hold.id.len),
            Held::Remote(hold) => hold.bytes(),
        }
    }

    pub(crate) fn place(&self) -> &Place {
        match &self.hold {
            Held::Own(hold) => &hold.place,
            Held::Remote(hold) => &hold.place,
        }
    }
}

impl Clone for Lease {
    fn clone(&self) -> Self {
        match &self.hold {
            Held::Own(hold) => {
                hold.count.add_lease();
                Self::counted(Arc::clone(hold))
            }
            Held::Remote(hold) => Self::remote(Arc::clone(hold)),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Held::Own(hold) = &self.hold else {
            return;
        };
        if !hold.count.drop_lease() {
            return;
        }
        let shared = &hold.place.shared;
        if shared.birthplace.is_foreign() {
            return std::mem::forget(Arc::clone(hold));
        }
        if shared.registry.free_retired(hold) {
            Keeper::ask_care(shared);
        }
    }
}
