//! Woken by a change at the host, which pushes it; nothing polls.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tq_engine::Interest;
use tq_engine::wait::Wake;
use tq_proto::Result;
use tq_wire::proto::SubscribeRequest;

use crate::link::Link;
use crate::remote::{Remote, call};

/// Who waits, by the number of the subscription.
#[derive(Default)]
pub(crate) struct Waits(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    wakes: HashMap<u64, Wake>,
    /// The connection is gone: nobody will be woken any more.
    over: bool,
}

impl fmt::Debug for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waits")
            .field("waiting", &self.lock().wakes.len())
            .finish_non_exhaustive()
    }
}

impl Waits {
    /// Gives the wake back where the connection is gone.
    fn add(&self, number: u64, wake: Wake) -> Option<Wake> {
        let mut waiting = self.lock();
        if waiting.over {
            return Some(wake);
        }
        waiting.wakes.insert(number, wake);
        None
    }

    /// Has `wake` called when the connection is lost, at once where it is already.
    pub(crate) fn at_loss(&self, number: u64, wake: Wake) {
        if let Some(wake) = self.add(number, wake) {
            wake();
        }
    }

    pub(crate) fn take(&self, numbers: &[u64]) -> Vec<Wake> {
        let mut waiting = self.lock();
        numbers
            .iter()
            .filter_map(|number| waiting.wakes.remove(number))
            .collect()
    }

    /// Wakes everybody: what they wait for cannot be told any more.
    pub(crate) fn wake_all(&self) {
        let wakes = {
            let mut waiting = self.lock();
            waiting.over = true;
            mem::take(&mut waiting.wakes)
        };
        wakes.into_values().for_each(|wake| wake());
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait for a change at the host. Dropping it ends the wait; a wake that is under way may still
/// come.
#[must_use = "the wait ends when it is dropped"]
pub struct RemoteSubscription {
    link: Arc<Link>,
    number: u64,
}

impl fmt::Debug for RemoteSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteSubscription")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Drop for RemoteSubscription {
    fn drop(&mut self) {
        if self.link.is_foreign() {
            return mem::forget(Arc::clone(&self.link));
        }
        let unused = self.link.waits.take(&[self.number]);
        if !unused.is_empty() {
            self.link.chores.unsubscribe(self.number);
        }
    }
}

impl Remote {
    /// As [`tq_engine::Embedded::subscribe`]. The wake runs on a thread of its own; it also comes
    /// when the host is lost or this engine is closed, where looking again tells why.
    ///
    /// # Errors
    /// As every call, see [`Remote`].
    pub fn subscribe(
        &self,
        partition: &str,
        interest: Interest,
        wake: Wake,
    ) -> Result<RemoteSubscription> {
        let link = self.link()?;
        let subscription = RemoteSubscription {
            number: link.number(),
            link: Arc::clone(&link),
        };
        let number = subscription.number;
        // Before the host knows of it: the change may come before its answer.
        if let Some(wake) = link.waits.add(number, wake) {
            wake();
            return Ok(subscription);
        }
        let request = SubscribeRequest {
            session: link.session,
            number,
            partition: partition.into(),
            rows: interest.rows,
            consumption: interest.consumption,
        };
        self.ask_over(&link, call!(subscribe, request))?;
        Ok(subscription)
    }
}
