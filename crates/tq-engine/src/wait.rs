//! Waiting without polling: who lacks something subscribes to its partition, looks once more, and
//! sleeps until a change there may have brought it.
//!
//! A subscription says how many more rows must come before looking again can pay. A put wakes only
//! those whose rows are complete, so that a batch of thousands put one by one wakes its waiter once
//! and not thousands of times. Clears, resets and the like wake everybody who waits.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tq_proto::{PartitionId, Result};

use crate::embedded::{Embedded, Shared};

/// Called once, from the thread whose call brought the change, with no lock held.
pub type Wake = Box<dyn FnOnce() + Send>;

/// What a waiter wants to be woken for, besides clears, resets and tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// So many more rows must be put before looking again can pay; 0 counts as 1.
    pub rows: u64,
    /// Whether samples that a task consumes are of interest too.
    pub consumption: bool,
}

/// A change to a partition, as far as waiters tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// So many rows got fields or tags.
    Rows(u64),
    /// A task consumed samples.
    Consumed,
    /// Anything else: cleared, reset, tags replaced, closed.
    Other,
}

struct Waiter {
    number: u64,
    rows_left: u64,
    consumption: bool,
    wake: Wake,
}

/// Everybody who waits, by partition.
#[derive(Default)]
pub(crate) struct WaitBoard(Mutex<Board>);

#[derive(Default)]
struct Board {
    waiters: HashMap<PartitionId, Vec<Waiter>>,
    /// The last change of each partition that exists.
    activity: HashMap<PartitionId, u64>,
    changes: u64,
    subscriptions: u64,
}

impl WaitBoard {
    /// Records a change to `partition` and wakes those whom it concerns. Call it with no lock held.
    pub(crate) fn changed(&self, partition: &str, change: Change) {
        let woken = self.lock().changed(partition, change);
        woken.into_iter().for_each(|wake| wake());
    }

    /// The partition is gone: wakes everybody who waits there.
    pub(crate) fn dropped(&self, partition: &str) {
        let woken = {
            let mut board = self.lock();
            let woken = board.changed(partition, Change::Other);
            board.activity.remove(partition);
            woken
        };
        woken.into_iter().for_each(|wake| wake());
    }

    /// Wakes everybody: the engine ends.
    pub(crate) fn closed(&self) {
        let waiters = std::mem::take(&mut self.lock().waiters);
        waiters
            .into_values()
            .flatten()
            .for_each(|waiter| (waiter.wake)());
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        // Nothing below panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn changed(&mut self, partition: &str, change: Change) -> Vec<Wake> {
        self.changes += 1;
        match self.activity.get_mut(partition) {
            Some(last) => *last = self.changes,
            None => {
                self.activity.insert(partition.into(), self.changes);
            }
        }
        let Some(waiters) = self.waiters.get_mut(partition) else {
            return Vec::new();
        };
        let concerned = |waiter: &mut Waiter| match change {
            Change::Rows(rows) => {
                waiter.rows_left = waiter.rows_left.saturating_sub(rows);
                waiter.rows_left == 0
            }
            Change::Consumed => waiter.consumption,
            Change::Other => true,
        };
        let woken = waiters
            .extract_if(.., concerned)
            .map(|waiter| waiter.wake)
            .collect();
        if waiters.is_empty() {
            self.waiters.remove(partition);
        }
        woken
    }
}

impl fmt::Debug for WaitBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting: usize = self.lock().waiters.values().map(Vec::len).sum();
        f.debug_struct("WaitBoard")
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}

/// Dropping it ends the wait; a wake that is under way may still come.
#[must_use = "the wait ends when it is dropped"]
pub struct Subscription {
    shared: Arc<Shared>,
    partition: PartitionId,
    number: u64,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let gone = {
            let mut board = self.shared.waits.lock();
            let Some(waiters) = board.waiters.get_mut(&self.partition) else {
                return;
            };
            let place = waiters
                .iter()
                .position(|waiter| waiter.number == self.number);
            let gone = place.map(|place| waiters.swap_remove(place));
            if waiters.is_empty() {
                board.waiters.remove(&self.partition);
            }
            gone
        };
        // Dropped without the lock: what it holds may call back.
        drop(gone);
    }
}

impl Embedded {
    /// Has `wake` called once, at the next change to `partition` that `interest` asks for. Look
    /// for what is wanted after this call and before sleeping, or a change in between is missed;
    /// where then fewer rows lack than were subscribed for, subscribe anew. The partition need not
    /// exist yet.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn subscribe(
        &self,
        partition: &str,
        interest: Interest,
        wake: Wake,
    ) -> Result<Subscription> {
        self.check()?;
        let partition = PartitionId::from(partition);
        let number = {
            let mut board = self.shared.waits.lock();
            board.subscriptions += 1;
            let waiter = Waiter {
                number: board.subscriptions,
                rows_left: interest.rows.max(1),
                consumption: interest.consumption,
                wake,
            };
            board
                .waiters
                .entry(partition.clone())
                .or_default()
                .push(waiter);
            board.subscriptions
        };
        let subscription = Subscription {
            shared: Arc::clone(&self.shared),
            partition,
            number,
        };
        // An engine that was closed meanwhile wakes nobody any more.
        self.check()?;
        Ok(subscription)
    }

    /// Whether anybody waits for a change to `partition`, so that one may call back.
    #[must_use]
    pub fn is_awaited(&self, partition: &str) -> bool {
        self.shared.waits.lock().waiters.contains_key(partition)
    }

    /// A number that every change to `partition` raises, consumption included; 0 where nothing ever
    /// happened there. No two changes of this engine share a number.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn activity(&self, partition: &str) -> Result<u64> {
        self.check()?;
        let board = self.shared.waits.lock();
        Ok(board.activity.get(partition).copied().unwrap_or(0))
    }
}
