//! Numbers for requests that change something.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tq_wire::request_id::RequestId;

/// The requests of one guest.
pub(crate) struct Requests {
    guest: u64,
    open: Mutex<Open>,
}

struct Open {
    next: u64,
    /// Those that are not answered yet.
    numbers: BTreeSet<u64>,
}

/// A request under way; settled when it is dropped.
pub(crate) struct OpenRequest<'a> {
    requests: &'a Requests,
    number: u64,
}

impl Default for Requests {
    fn default() -> Self {
        // Keyed by the system's randomness, differently each time.
        let guest = RandomState::new().hash_one(std::process::id());
        Self {
            guest,
            open: Mutex::new(Open {
                next: 1,
                numbers: BTreeSet::new(),
            }),
        }
    }
}

impl Requests {
    /// A number for a request.
    pub(crate) fn begin(&self) -> OpenRequest<'_> {
        let mut open = self.lock();
        let number = open.next;
        open.next += 1;
        open.numbers.insert(number);
        OpenRequest {
            requests: self,
            number,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenRequest<'_> {
    /// What the host is told of it.
    pub(crate) fn id(&self) -> RequestId {
        let open = self.requests.lock();
        RequestId {
            guest: self.requests.guest,
            number: self.number,
            settled: open.numbers.first().copied().unwrap_or(self.number),
        }
    }
}

impl Drop for OpenRequest<'_> {
    fn drop(&mut self) {
        self.requests.lock().numbers.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_settled_is_told_with_the_next_request() {
        let requests = Requests::default();
        let (first, second) = (requests.begin(), requests.begin());
        assert_eq!((first.id().settled, second.id().settled), (1, 1));
        drop(first);
        assert_eq!((second.id().number, second.id().settled), (2, 2));
        drop(second);
        assert_eq!(requests.begin().id().settled, 3);
        assert_ne!(requests.guest, Requests::default().guest);
    }
}
