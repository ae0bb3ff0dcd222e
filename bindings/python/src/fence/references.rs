//! Who else holds an object.

use pyo3::ffi;
use pyo3::prelude::*;

/// References to `object`, that of the caller among them. Where they are no more than the caller
/// knows of, nobody else can get at the object as long as the caller stays attached.
pub(crate) fn reference_count(object: &Bound<'_, PyAny>) -> isize {
    // SAFETY: the object is alive, as the caller holds it, and we are attached.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) }
}
