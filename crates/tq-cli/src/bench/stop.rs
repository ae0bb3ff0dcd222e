//! Word that a measurement is to end early.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<State>);

#[derive(Default)]
struct State {
    asked: AtomicBool,
    hook: Mutex<Option<Box<dyn Fn() + Send>>>,
}

impl Stop {
    pub(crate) fn ask(&self) {
        self.0.asked.store(true, Ordering::Release);
        let hook = self.0.hook.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hook) = hook.as_ref() {
            hook();
        }
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::Acquire)
    }

    /// Has `hook` called too when it is asked, in place of any former one; it must not wait.
    pub(crate) fn hook(&self, hook: impl Fn() + Send + 'static) {
        let mut place = self.0.hook.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_asked() {
            hook();
        }
        *place = Some(Box::new(hook));
    }
}
