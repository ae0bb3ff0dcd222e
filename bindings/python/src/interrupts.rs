//! Signals that come while a host is waited for: Python's handlers run meanwhile, and what they raise
//! ends the call, as Ctrl-C does everywhere else.

use std::cell::Cell;

use pyo3::prelude::*;
use tq_client::Interrupt;

thread_local! {
    /// What a handler raised on this thread, until the call that it ended returns.
    static RAISED: Cell<Option<PyErr>> = const { Cell::new(None) };
}

/// Runs the handlers of signals that have come. Python does so on its main thread only.
pub(crate) const INTERRUPT: Interrupt = Interrupt(|| {
    // An interpreter that ends has no handlers any more.
    let raised = Python::try_attach(|py| py.check_signals().err()).flatten();
    let has_raised = raised.is_some();
    RAISED.set(raised);
    has_raised
});

/// What a handler raised that has ended a call of this thread.
pub(crate) fn take_raised() -> Option<PyErr> {
    RAISED.take()
}
