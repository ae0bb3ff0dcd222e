//! Memory on loan from an arena of this process, for a storage backend's client to read or write.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tq_arena::{CommitError, Extent, Loan};

use super::OwnedBytes;

/// A loan that Python has a buffer of, or what became of it. Its memory is not used again before the
/// last buffer of it is gone.
pub(crate) struct LoanedMemory(Mutex<State>);

enum State {
    Loaned(Loan),
    /// Held for the buffers that may still be there.
    Committed(#[allow(dead_code, reason = "held for what dropping them does")] Vec<Extent>),
}

impl LoanedMemory {
    pub(crate) fn new(loan: Loan) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State::Loaned(loan))))
    }

    /// Its bytes, to be written; nothing may be written through them once it is committed.
    pub(crate) fn bytes(self: &Arc<Self>) -> OwnedBytes {
        let (start, len) = match &mut *self.lock() {
            State::Loaned(loan) => {
                let bytes = loan.as_mut_slice();
                (bytes.as_mut_ptr(), bytes.len())
            }
            State::Committed(_) => return OwnedBytes::of_vec(Vec::new()),
        };
        // SAFETY of later use: the mapping stays as long as the loan, or the extents it becomes,
        // which the owner of these bytes holds.
        OwnedBytes::of_loaned(start, len, Arc::clone(self) as super::bytes::Owner)
    }

    /// Commits the loan, cut at `cuts`; what is returned are leases on the extents, in order. Once.
    pub(crate) fn commit(&self, cuts: &[u64]) -> Result<Vec<tq_arena::Lease>, CommitError> {
        let mut state = self.lock();
        let State::Loaned(loan) = std::mem::replace(&mut *state, State::Committed(Vec::new()))
        else {
            return Ok(Vec::new());
        };
        let extents = loan.commit(cuts)?;
        let leases = extents.iter().map(Extent::lease).collect();
        *state = State::Committed(extents);
        Ok(leases)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
