//! The background thread `tq-revert`: reverts what views wrote, gives surplus memory back, and puts
//! recycled memory together into huge pages, so that none of it happens where a view or an extent is
//! dropped.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::segment::Segment;
use crate::shared::Shared;
use crate::sync::{Condvar, Mutex, lock, wait};

/// A page range of a segment that waits for its revert, named by its start.
type Revert = (Arc<Segment>, u64);

/// The thread and what it has to do.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    inbox: Mutex<Inbox>,
    /// Notified, with `inbox` locked, on every change of it.
    changed: Condvar,
    /// Where both are locked, this one is locked before `inbox`.
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Inbox {
    reverts: VecDeque<Revert>,
    /// Reverts asked for and reverts done, ever; they are done in order.
    asked: u64,
    done: u64,
    trim: bool,
    collapse: bool,
    /// Chunks of private mappings that are to be mapped whole.
    to_map: VecDeque<(Arc<Segment>, Range<u64>)>,
    stopped: bool,
}

enum Work {
    Revert(Revert),
    Trim,
    /// Of one chunk, so that a revert waits no longer than that.
    Collapse,
    Map(Arc<Segment>, Range<u64>),
}

impl Keeper {
    /// Starts the thread of `shared` unless it runs, or was stopped for good.
    pub(crate) fn start(shared: &Arc<Shared>) -> io::Result<()> {
        let keeper = &shared.keeper;
        let mut thread = lock(&keeper.thread);
        if thread.is_none() && !lock(&keeper.inbox).stopped {
            let shared = Arc::clone(shared);
            let run = move || shared.keeper.run(&shared);
            *thread = Some(
                thread::Builder::new()
                    .name("tq-revert".to_owned())
                    .spawn(run)?,
            );
        }
        Ok(())
    }

    /// Asks for a revert; false after [`Keeper::stop`].
    pub(crate) fn ask_revert(&self, segment: Arc<Segment>, start: u64) -> bool {
        let mut inbox = lock(&self.inbox);
        if inbox.stopped {
            return false;
        }
        inbox.reverts.push_back((segment, start));
        inbox.asked += 1;
        drop(inbox);
        self.changed.notify_all();
        true
    }

    /// Waits until every revert that was asked for is done. False where there was none to wait for,
    /// so that the caller's memory cannot have become free.
    pub(crate) fn settle(&self) -> bool {
        let mut inbox = lock(&self.inbox);
        let asked = inbox.asked;
        if inbox.stopped || inbox.done >= asked {
            return false;
        }
        while !inbox.stopped && inbox.done < asked {
            inbox = wait(&self.changed, inbox);
        }
        true
    }

    /// Asks for care of free memory: surplus is given back, here and now where there can be no
    /// thread, and what was recycled is put together.
    pub(crate) fn ask_care(shared: &Arc<Shared>) {
        let keeper = &shared.keeper;
        let mut inbox = lock(&keeper.inbox);
        if inbox.stopped || inbox.trim {
            return;
        }
        inbox.trim = true;
        drop(inbox);
        keeper.changed.notify_all();
        if let Err(error) = Self::start(shared) {
            tracing::warn!(%error, "no thread tq-revert; giving memory back in place");
            lock(&keeper.inbox).trim = false;
            shared.trim();
        }
    }

    /// Ends the thread and waits for it. Reverts that it has not done are left undone, and what they
    /// keep is let go: no view can be asked for any more. Called on the thread itself (by what a
    /// lease ran at its end), it does not wait.
    pub(crate) fn stop(&self) {
        lock(&self.inbox).stopped = true;
        self.changed.notify_all();
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread
            && thread.thread().id() != thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the thread tq-revert panicked");
        }
        let mut inbox = lock(&self.inbox);
        let undone = std::mem::take(&mut inbox.reverts);
        let unmapped = std::mem::take(&mut inbox.to_map);
        drop(inbox);
        // Perhaps the last handles on their segments, so not under the lock.
        drop(unmapped);
        for (segment, start) in undone {
            segment.release_at(start);
        }
    }

    fn run(&self, shared: &Arc<Shared>) {
        // Should a revert panic, nobody may wait for those behind it.
        let _ended = Ended(self);
        while let Some(work) = self.next() {
            match work {
                Work::Revert((segment, start)) => {
                    let reverted = match shared.scanner() {
                        Some(scanner) => segment.revert_at(start, scanner),
                        // No view was ever granted without a scanner, so nothing can wait.
                        None => {
                            segment.release_at(start);
                            None
                        }
                    };
                    let chunks = reverted.map(|range| segment.to_map_whole(&range));
                    let mut inbox = lock(&self.inbox);
                    let chunks = chunks.into_iter().flatten();
                    inbox
                        .to_map
                        .extend(chunks.map(|chunk| (Arc::clone(&segment), chunk)));
                    inbox.done += 1;
                    drop(inbox);
                    self.changed.notify_all();
                }
                Work::Trim => {
                    shared.trim();
                    lock(&self.inbox).collapse = true;
                }
                Work::Collapse => lock(&self.inbox).collapse |= shared.collapse_next(),
                Work::Map(segment, chunk) if shared.can_collapse() => segment.map_whole(chunk),
                Work::Map(..) => {}
            }
        }
    }

    fn next(&self) -> Option<Work> {
        let mut inbox = lock(&self.inbox);
        loop {
            if inbox.stopped {
                return None;
            }
            if let Some(revert) = inbox.reverts.pop_front() {
                return Some(Work::Revert(revert));
            }
            if std::mem::take(&mut inbox.trim) {
                return Some(Work::Trim);
            }
            if std::mem::take(&mut inbox.collapse) {
                return Some(Work::Collapse);
            }
            if let Some((segment, chunk)) = inbox.to_map.pop_front() {
                return Some(Work::Map(segment, chunk));
            }
            inbox = wait(&self.changed, inbox);
        }
    }
}

/// Wakes whoever waits for the thread when it ends, however it ends.
struct Ended<'a>(&'a Keeper);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        lock(&self.0.inbox).stopped = true;
        self.0.changed.notify_all();
    }
}
