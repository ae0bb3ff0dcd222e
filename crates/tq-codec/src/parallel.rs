//! Work shared out among this thread and a few helpers that live as long as the call.

use std::sync::{Mutex, PoisonError};
use std::thread;

/// Does `work` once for each of `jobs`, on at most `threads` threads, this one among them; returns
/// when all are done.
///
/// Each thread has one job of its own before it takes what is left, so that as many threads work as
/// were asked for, however late the system starts them. A helper that cannot be started is no loss:
/// its job goes back to those that are left.
///
/// # Panics
/// Where `work` does, after the other threads have ended.
pub fn drain<J: Send>(jobs: Vec<J>, threads: usize, work: impl Fn(J) + Sync) {
    drain_with(jobs, threads, work, thread::Builder::new);
}

/// [`drain`], whose helpers come from `builder`.
fn drain_with<J: Send>(
    jobs: Vec<J>,
    threads: usize,
    work: impl Fn(J) + Sync,
    builder: impl Fn() -> thread::Builder,
) {
    let helpers = threads.min(jobs.len()).saturating_sub(1);
    let mut jobs = jobs.into_iter();
    let own = jobs.next();
    // Not moved into the helper: what cannot be started would take its job along.
    let firsts: Vec<Mutex<Option<J>>> = jobs
        .by_ref()
        .take(helpers)
        .map(|job| Mutex::new(Some(job)))
        .collect();
    let rest = Mutex::new(jobs.collect::<Vec<J>>());
    let start = |first: Option<J>| {
        let mut next = first;
        while let Some(job) = next {
            work(job);
            next = locked(&rest).pop();
        }
    };
    thread::scope(|scope| {
        for first in &firsts {
            let helper = || start(locked(first).take());
            if builder()
                .name("tq-copy".into())
                .spawn_scoped(scope, helper)
                .is_err()
            {
                locked(&rest).extend(locked(first).take());
            }
        }
        start(own);
    });
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn done_by(jobs: usize, threads: usize, builder: fn() -> thread::Builder) -> usize {
        let done: Vec<AtomicUsize> = (0..jobs).map(|_| AtomicUsize::new(0)).collect();
        let workers = Mutex::new(HashSet::new());
        let work = |job: usize| {
            done[job].fetch_add(1, Ordering::Relaxed);
            locked(&workers).insert(thread::current().id());
        };
        drain_with((0..jobs).collect(), threads, work, builder);
        assert!(done.iter().all(|times| times.load(Ordering::Relaxed) == 1));
        workers.into_inner().unwrap().len()
    }

    #[test]
    fn each_job_is_done_once_and_each_thread_does_one() {
        for (jobs, threads, expected) in [
            (0, 3, 0),
            (1, 3, 1),
            (3, 3, 3),
            (100, 4, 4),
            (5, 1, 1),
            (5, 0, 1),
        ] {
            let workers = done_by(jobs, threads, thread::Builder::new);
            assert_eq!(workers, expected, "{jobs} jobs, {threads} threads");
        }
    }

    #[test]
    fn helpers_that_cannot_be_started_are_no_loss() {
        // No system has room for this stack.
        let refused = || thread::Builder::new().stack_size(1 << 60);
        assert_eq!(done_by(100, 4, refused), 1);
        assert_eq!(done_by(4, 4, refused), 1);
    }
}
