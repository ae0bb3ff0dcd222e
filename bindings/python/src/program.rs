//! The program `tq`, so that the wheel has its code once.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs `tq` with `args` and returns its exit status. Takes over SIGINT and SIGTERM: to be called by a
/// program that does nothing else, in its main thread.
#[pyfunction]
pub(crate) fn main(py: Python<'_>, args: Vec<OsString>) -> i32 {
    py.detach(|| tq_cli::main(args))
}
