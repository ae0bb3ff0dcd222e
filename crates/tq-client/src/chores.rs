//! What the host is told without anybody waiting for an answer: reads released, subscriptions ended,
//! calls given up on. Told in batches: while one message is under way the next fills up.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tonic::Status;
use tq_wire::proto::HoldRequest;

use crate::link::Calls;

/// What is to be told.
#[derive(Debug, Default)]
pub(crate) struct Chores {
    waiting: Mutex<Waiting>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    batch: Batch,
    /// The connection is gone; the host knows what that means.
    closed: bool,
}

#[derive(Debug, Default)]
struct Batch {
    reads: Vec<u64>,
    puts: Vec<u64>,
    subscriptions: Vec<u64>,
}

impl Chores {
    /// A read that nobody looks at any more.
    pub(crate) fn release(&self, read: u64) {
        self.add(|batch| batch.reads.push(read));
    }

    /// A put that was given up on.
    pub(crate) fn abandon(&self, put: u64) {
        self.add(|batch| batch.puts.push(put));
    }

    /// A subscription that is not to wake any more.
    pub(crate) fn unsubscribe(&self, subscription: u64) {
        self.add(|batch| batch.subscriptions.push(subscription));
    }

    /// Nothing is told from now on.
    pub(crate) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.batch = Batch::default();
    }

    fn add(&self, add: impl FnOnce(&mut Batch)) {
        {
            let mut waiting = self.lock();
            if waiting.closed {
                return;
            }
            add(&mut waiting.batch);
        }
        self.more.notify_one();
    }

    /// Tells the host what comes, until it cannot be told.
    pub(crate) async fn run(&self, mut calls: Calls, session: u64) -> Result<(), Status> {
        loop {
            self.more.notified().await;
            let Batch {
                reads,
                puts,
                subscriptions,
            } = mem::take(&mut self.lock().batch);
            let request = |numbers| HoldRequest { session, numbers };
            if !reads.is_empty() {
                calls.release(request(reads)).await?;
            }
            if !puts.is_empty() {
                calls.abandon(request(puts)).await?;
            }
            if !subscriptions.is_empty() {
                calls.unsubscribe(request(subscriptions)).await?;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
