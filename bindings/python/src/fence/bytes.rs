//! A run of bytes together with what keeps it alive.

use std::ffi::c_int;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use tq_arena::{View, WarmBuffer};

use super::buffer::BufferExport;
use super::dlpack::ManagedTensor;

/// Whatever keeps memory alive; dropped when the last view of it goes, on any thread.
pub(crate) type Owner = Arc<dyn Send + Sync>;

/// Bytes that stay alive and in place while this lives.
#[derive(Clone)]
pub(crate) struct OwnedBytes {
    start: NonNull<u8>,
    len: usize,
    writable: bool,
    owner: Owner,
}

// SAFETY: the pointer is only a name for memory that `owner` (Send + Sync) keeps in place; all
// access goes through the functions of this fence, each of which argues its own.
unsafe impl Send for OwnedBytes {}
// SAFETY: as above.
unsafe impl Sync for OwnedBytes {}

impl OwnedBytes {
    fn new(start: *mut u8, len: usize, writable: bool, owner: Owner) -> Self {
        // An empty buffer may have a null pointer; 64 is aligned for every dtype.
        let start = NonNull::new(start).unwrap_or(NonNull::without_provenance(ALIGNED));
        Self {
            start,
            len,
            writable,
            owner,
        }
    }

    /// The bytes of a Python object's buffer: of a torch tensor on the CPU, or of anything with the
    /// buffer protocol. Read-only objects give read-only bytes.
    ///
    /// # Errors
    /// `TypeError` or `BufferError` where the object has no contiguous buffer.
    pub(crate) fn of_object(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Some(tensor) = ManagedTensor::contiguous_bytes(object)? {
            let (start, len) = tensor.memory();
            return Ok(Self::new(start, len, true, Arc::new(tensor)));
        }
        let (export, writable) = match BufferExport::contiguous(object, true) {
            Ok(export) => (export, true),
            Err(_) => (BufferExport::contiguous(object, false)?, false),
        };
        Ok(Self::new(
            export.pointer(),
            export.len(),
            writable,
            Arc::new(export),
        ))
    }

    /// A private, writable view of stored bytes.
    pub(crate) fn of_view(view: View) -> Self {
        let (start, len) = (view.as_ptr(), view.len() as usize);
        Self::new(start, len, true, Arc::new(view))
    }

    /// Warm memory that was filled.
    pub(crate) fn of_warm(buffer: WarmBuffer) -> Self {
        let (start, len) = (buffer.as_ptr(), buffer.len() as usize);
        Self::new(start, len, true, Arc::new(buffer))
    }

    /// Memory on loan, to be filled.
    pub(super) fn of_loaned(start: *mut u8, len: usize, owner: Owner) -> Self {
        Self::new(start, len, true, owner)
    }

    /// Memory of an object that is being encoded, read-only to whoever gets it.
    pub(super) fn of_kept(start: *mut u8, len: usize, owner: Owner) -> Self {
        Self::new(start, len, false, owner)
    }

    /// Memory of our own.
    pub(crate) fn of_vec(mut bytes: Vec<u8>) -> Self {
        let (start, len) = (bytes.as_mut_ptr(), bytes.len());
        Self::new(start, len, true, Arc::new(bytes))
    }

    /// Part of these bytes; `None` where the range is not inside.
    pub(crate) fn slice(&self, range: Range<usize>) -> Option<Self> {
        if range.start > range.end || range.end > self.len {
            return None;
        }
        // SAFETY: the range was just checked to lie inside the memory.
        let start = unsafe { self.start.add(range.start) };
        Some(Self {
            start,
            len: range.len(),
            ..self.clone()
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether tensors and arrays may be views of these bytes: they are always writable, so their
    /// memory must be; and elements of `item_size` bytes must be aligned.
    pub(crate) fn can_be_viewed(&self, item_size: usize) -> bool {
        let alignment = item_size.clamp(1, ALIGNED.get());
        self.writable && self.start.as_ptr().addr().is_multiple_of(alignment)
    }

    /// A copy in memory of its own.
    pub(crate) fn to_owned_copy(&self, py: Python<'_>) -> Self {
        Self::of_vec(self.as_slice(py).to_vec())
    }

    /// The bytes, while attached: only code that writes without the interpreter could change them
    /// meanwhile, and no such code is ours.
    pub(crate) fn as_slice<'a>(&'a self, _attached: Python<'_>) -> &'a [u8] {
        // SAFETY: `owner` keeps `len` bytes at `start` alive as long as `self`; see above for
        // writers.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// The bytes to be written, for as long as the closure runs; `None` where they are read-only.
    /// The caller vouches that no two slices handed out at a time overlap (see
    /// [`super::super::codec::slots`]).
    pub(crate) fn as_mut_slice(&mut self) -> Option<&mut [u8]> {
        if !self.writable {
            return None;
        }
        // SAFETY: `owner` keeps `len` writable bytes at `start` alive as long as `self`. Callers
        // check that the buffers of one call do not overlap, and the objects behind them were
        // handed over by the user to be filled by this call.
        Some(unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) })
    }

    /// First address and the one behind the last, for comparing buffers with each other.
    pub(crate) fn addresses(&self) -> Range<usize> {
        let start = self.start.as_ptr().addr();
        start..start + self.len
    }

    pub(super) fn pointer(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    pub(super) fn owner(&self) -> Owner {
        Arc::clone(&self.owner)
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }
}

const ALIGNED: std::num::NonZeroUsize = match std::num::NonZeroUsize::new(64) {
    Some(value) => value,
    None => unreachable!(),
};

/// Bytes as a Python object with the buffer protocol; NumPy arrays and memoryviews stand on it.
#[pyclass(frozen, name = "Bytes", module = "transfer_queue._core")]
pub(crate) struct ExportedBytes(pub(crate) OwnedBytes);

#[pymethods]
impl ExportedBytes {
    fn __len__(&self) -> usize {
        self.0.len
    }

    /// # Safety
    /// Called by the interpreter with a structure to fill in.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let bytes = &slf.get().0;
        let len = isize::try_from(bytes.len)
            .map_err(|_| PyBufferError::new_err("more bytes than an address space holds"))?;
        // SAFETY: the interpreter gives a valid structure; the memory lives as long as `slf`, which
        // the filled-in structure keeps a reference to; the object is frozen and never moves it.
        let result = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                slf.as_ptr(),
                bytes.pointer().cast(),
                len,
                c_int::from(!bytes.writable),
                flags,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(PyErr::fetch(slf.py()))
        }
    }
}
