//! Python's buffer protocol.

use std::ptr;

use pyo3::ffi;
use pyo3::prelude::*;

/// A held export of an object's buffer: the object can neither go nor move its bytes meanwhile.
pub(crate) struct BufferExport {
    // Boxed because an exporter may have stored the address of the structure it filled in.
    view: Box<ffi::Py_buffer>,
}

// SAFETY: a Py_buffer is plain data that describes memory; it is only read here, and released with
// the interpreter attached, which may happen on any thread.
unsafe impl Send for BufferExport {}
// SAFETY: as above; nothing mutates through a shared reference.
unsafe impl Sync for BufferExport {}

impl BufferExport {
    /// One run of bytes, writable if `writable`.
    ///
    /// # Errors
    /// `BufferError` or `TypeError` where the object has no such buffer.
    pub(crate) fn contiguous(object: &Bound<'_, PyAny>, writable: bool) -> PyResult<Self> {
        Self::export(
            object,
            if writable {
                ffi::PyBUF_WRITABLE
            } else {
                ffi::PyBUF_SIMPLE
            },
        )
    }

    /// Shape and strides too; read-only is enough.
    ///
    /// # Errors
    /// `BufferError` or `TypeError` where the object has no such buffer.
    pub(crate) fn strided(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::export(object, ffi::PyBUF_STRIDES)
    }

    fn export(object: &Bound<'_, PyAny>, flags: std::ffi::c_int) -> PyResult<Self> {
        let mut view = Box::new(ffi::Py_buffer::new());
        // SAFETY: `object` is a live object, we are attached, and `view` is writable.
        let result = unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &raw mut *view, flags) };
        if result == 0 {
            return Ok(Self { view });
        }
        // Nothing was exported, so nothing is to be released.
        let error = PyErr::fetch(object.py());
        std::mem::forget(Self { view });
        Err(error)
    }

    pub(super) fn pointer(&self) -> *mut u8 {
        self.view.buf.cast()
    }

    /// Bytes of the buffer, as if contiguous.
    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.view.len).unwrap_or(0)
    }

    /// Bytes of one item.
    pub(crate) fn item_size(&self) -> u64 {
        u64::try_from(self.view.itemsize).unwrap_or(0)
    }

    /// Shape in items; meaningful for a strided export.
    pub(crate) fn shape(&self) -> Vec<u64> {
        self.dimensions(self.view.shape)
            .map(|dim| u64::try_from(dim).unwrap_or(0))
            .collect()
    }

    /// Strides in bytes; meaningful for a strided export.
    pub(crate) fn strides(&self) -> Vec<i64> {
        self.dimensions(self.view.strides)
            .map(|stride| stride as i64)
            .collect()
    }

    fn dimensions(&self, array: *const isize) -> impl Iterator<Item = isize> {
        let count = if array.is_null() {
            0
        } else {
            usize::try_from(self.view.ndim).unwrap_or(0)
        };
        // SAFETY: an exporter that fills in `shape` or `strides` gives `ndim` entries, alive while
        // the export is held.
        (0..count).map(move |axis| unsafe { ptr::read(array.add(axis)) })
    }
}

impl Drop for BufferExport {
    fn drop(&mut self) {
        // Attaching fails only while the interpreter goes down; the process then keeps the export.
        let _ = Python::try_attach(|_| {
            // SAFETY: the export was filled in by PyObject_GetBuffer, is released once, and we are
            // attached.
            unsafe { ffi::PyBuffer_Release(&raw mut *self.view) };
        });
    }
}
