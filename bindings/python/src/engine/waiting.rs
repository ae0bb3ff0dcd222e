//! `_core.Engine`: changes since a number, and a call back at the next one.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use tq_engine::Interest;

use super::class::Engine;
use super::tags::TagWriter;
use crate::errors::OrRaise;

/// `(sequence, key, fields, tag, cleared)`.
type Change<'py> = (
    u64,
    Bound<'py, PyString>,
    Bound<'py, PyList>,
    Bound<'py, PyDict>,
    bool,
);

#[pymethods]
impl Engine {
    /// `(changes, number to ask from next, whether none was missed)`.
    fn changes<'py>(
        &self,
        py: Python<'py>,
        partition: String,
        since: u64,
        limit: usize,
        allow_pickle: bool,
    ) -> PyResult<(Vec<Change<'py>>, u64, bool)> {
        let engine = &self.engine;
        let found = py
            .detach(|| engine.changes(&partition, since, limit))
            .or_raise(py)?;
        let mut writer = TagWriter::new(py, allow_pickle);
        let changes = found
            .changes
            .iter()
            .map(|change| {
                Ok((
                    change.sequence,
                    PyString::new(py, &change.key),
                    PyList::new(py, change.fields.iter().map(|name| &**name))?,
                    writer.write(&change.tags)?,
                    change.cleared,
                ))
            })
            .collect::<PyResult<_>>()?;
        Ok((changes, found.next, found.complete))
    }

    /// Number of the last change to what can be seen in the partition; 0 where there is none.
    fn sequence(&self, py: Python<'_>, partition: String) -> PyResult<u64> {
        let engine = &self.engine;
        py.detach(|| engine.sequence(&partition)).or_raise(py)
    }

    /// Number of the last change of any kind, consumption included.
    fn activity(&self, py: Python<'_>, partition: String) -> PyResult<u64> {
        let engine = &self.engine;
        py.detach(|| engine.activity(&partition)).or_raise(py)
    }

    /// Calls `callback` once, from whatever thread: after so many more rows were put, or any clear,
    /// reset or change of tags; where `consumption`, also after a task consumed samples.
    #[pyo3(signature = (partition, rows, callback, consumption=true))]
    fn subscribe(
        &self,
        py: Python<'_>,
        partition: String,
        rows: u64,
        callback: Py<PyAny>,
        consumption: bool,
    ) -> PyResult<Subscription> {
        let wake = Box::new(move || {
            // The interpreter may be shutting down; then nobody waits any more.
            let _ = Python::try_attach(|py| {
                if let Err(error) = callback.call0(py) {
                    error.write_unraisable(py, None);
                }
            });
        });
        let interest = Interest { rows, consumption };
        let engine = &self.engine;
        let subscription = py
            .detach(|| engine.subscribe(&partition, interest, wake))
            .or_raise(py)?;
        Ok(Subscription(Mutex::new(Some(subscription))))
    }
}

/// A call back that is to come. Ends when cancelled or dropped.
#[pyclass(frozen, module = "transfer_queue._core")]
pub(crate) struct Subscription(Mutex<Option<tq_client::engine::Subscription>>);

#[pymethods]
impl Subscription {
    /// Ends it; a call that is under way may still come. Safe to repeat.
    fn cancel(&self, py: Python<'_>) {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // One that is here ends at once, under a lock that is held for moments only. To let go of
        // the interpreter for it would cost a thread that was just woken its turn.
        if let Some(there @ tq_client::engine::Subscription::There(_)) = held {
            py.detach(|| drop(there));
        }
    }
}
