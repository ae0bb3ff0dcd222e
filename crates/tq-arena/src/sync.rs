//! The one door for locks and atomics, so that loom can stand in for them under `cfg(loom)`.
//!
//! `Arc` does not come through here: what is modelled is who frees a range, and that is decided by
//! [`crate::hold::HoldCount`] and the registry's lock, never by a reference count of `Arc`.

#[cfg(loom)]
use loom::sync as imp;
#[cfg(not(loom))]
use std::sync as imp;

/// Mutual exclusion; take it through [`lock`].
pub(crate) type Mutex<T> = imp::Mutex<T>;
/// What [`lock`] returns.
pub(crate) type MutexGuard<'a, T> = imp::MutexGuard<'a, T>;
/// Waits on a [`Mutex`]; use [`wait`].
pub(crate) type Condvar = imp::Condvar;
/// Counter shared between threads.
pub(crate) type AtomicU64 = imp::atomic::AtomicU64;
/// Memory orders for [`AtomicU64`].
pub(crate) type Ordering = imp::atomic::Ordering;

/// Locks, also after a panic elsewhere: each critical section here leaves its data consistent
/// before anything in it can panic, and drops must go on working.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits for a notification; spurious wake-ups happen, so callers loop.
pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar
        .wait(guard)
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
