//! The one place where error kinds become Python exceptions.

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyModule;
use tq_proto::{Error, ErrorKind};

use crate::interrupts::take_raised;

/// Name of the exception class in `transfer_queue.errors` for a kind. Each also inherits the builtin
/// that a Python user would catch.
const fn class_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidArgument => "InvalidArgumentError",
        ErrorKind::NotFound => "StorageKeyNotFoundError",
        ErrorKind::NotReady => "NotReadyError",
        ErrorKind::CapacityExceeded => "CapacityExceededError",
        ErrorKind::Corrupt => "CorruptBufferError",
        ErrorKind::Unsupported => "UnsupportedValueError",
        ErrorKind::PickleRefused => "PickleRefusedError",
        ErrorKind::DeadlineExceeded => "DeadlineExceededError",
        ErrorKind::Closed => "ClosedError",
        ErrorKind::Forked => "ForkedProcessError",
        ErrorKind::System => "SystemResourceError",
        ErrorKind::Unavailable => "UnavailableError",
        ErrorKind::Sampler => "SamplerError",
        _ => "InternalError",
    }
}

/// The exception for an error, with its message, context and cause.
pub(crate) fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    if error.kind() == ErrorKind::Interrupted {
        return take_raised().unwrap_or_else(|| PyKeyboardInterrupt::new_err(error.to_string()));
    }
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let class = MODULE
        .get_or_try_init(py, || py.import("transfer_queue.errors").map(Bound::unbind))
        .and_then(|module| module.bind(py).getattr(class_name(error.kind())));
    match class.and_then(|class| class.call1((error.to_string(),))) {
        Ok(exception) => PyErr::from_value(exception),
        Err(failure) => failure,
    }
}

/// What can be raised by Python code that is called from here.
const RAISED: &[ErrorKind] = &[
    ErrorKind::InvalidArgument,
    ErrorKind::NotFound,
    ErrorKind::NotReady,
    ErrorKind::Closed,
    ErrorKind::Forked,
    ErrorKind::Unsupported,
];

/// The error for an exception of a user's sampler.
pub(crate) fn of_sampler(py: Python<'_>, exception: &PyErr) -> Error {
    let class = exception.get_type(py);
    let name = class
        .name()
        .map_or_else(|_| String::new(), |n| n.to_string());
    let kind = RAISED.iter().find(|kind| class_name(**kind) == name);
    let text = exception.value(py).str();
    let text = text.map_or_else(|_| name.clone(), |text| text.to_string());
    Error::new(kind.copied().unwrap_or(ErrorKind::Sampler), text)
}

/// An error of `kind`, as a Python exception.
pub(crate) fn raise(py: Python<'_>, kind: ErrorKind, message: impl Into<String>) -> PyErr {
    to_python(py, &Error::new(kind, message))
}

/// Turns a Rust result into a Python one.
pub(crate) trait OrRaise<T> {
    /// The value, or the exception of the error's kind.
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T, E: Into<Error>> OrRaise<T> for Result<T, E> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| to_python(py, &error.into()))
    }
}
