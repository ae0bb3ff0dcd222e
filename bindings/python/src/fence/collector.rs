//! Python's cyclic garbage collector.

use std::marker::PhantomData;

use pyo3::ffi;
use pyo3::prelude::*;

/// Holds the collector off while many objects are made that are all kept: it would walk the whole
/// heap again and again, and find nothing. Made for work that stays in C: should Python code run
/// meanwhile and switch the collector off for good, the end of the pause would undo that.
pub(crate) struct CollectorPause<'py> {
    was_enabled: bool,
    attached: PhantomData<Python<'py>>,
}

impl<'py> CollectorPause<'py> {
    pub(crate) fn new(_attached: Python<'py>) -> Self {
        // SAFETY: we are attached.
        let was_enabled = unsafe { ffi::PyGC_Disable() } != 0;
        Self {
            was_enabled,
            attached: PhantomData,
        }
    }
}

impl Drop for CollectorPause<'_> {
    fn drop(&mut self) {
        if self.was_enabled {
            // SAFETY: the lifetime says that we are still attached.
            unsafe { ffi::PyGC_Enable() };
        }
    }
}
