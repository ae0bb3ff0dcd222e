//! The bytes of one frame of a value that is being encoded.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use tq_codec::{FrameSource, Strided};

use super::buffer::BufferExport;
use super::bytes::{OwnedBytes, copy_raw};
use super::dlpack::ManagedTensor;

/// Bytes of a Python object, kept alive and in place, readable without the interpreter.
pub(crate) struct PyFrame {
    /// The first element's first byte.
    first: *const u8,
    extent: Extent,
    keep: Keep,
}

enum Extent {
    Contiguous(u64),
    Strided(Box<Strided>),
}

#[allow(dead_code, reason = "held for what dropping them does")]
enum Keep {
    Immutable(Py<PyAny>),
    Buffer(BufferExport),
    Tensor(ManagedTensor),
    Bytes(OwnedBytes),
}

// SAFETY: the pointer names memory that `keep` holds in place; it is only read, through raw copies.
unsafe impl Send for PyFrame {}
// SAFETY: as above.
unsafe impl Sync for PyFrame {}

impl PyFrame {
    /// UTF-8 of a `str`; `None` where it holds lone surrogates.
    pub(crate) fn of_text(text: &Bound<'_, PyString>) -> Option<Self> {
        let utf8 = text.to_str().ok()?;
        // A str caches its UTF-8 and never changes it.
        Some(Self::immutable(utf8.as_bytes(), text.as_any()))
    }

    /// The content of a `bytes`.
    pub(crate) fn of_bytes(bytes: &Bound<'_, PyBytes>) -> Self {
        Self::immutable(bytes.as_bytes(), bytes.as_any())
    }

    fn immutable(content: &[u8], object: &Bound<'_, PyAny>) -> Self {
        Self {
            first: content.as_ptr(),
            extent: Extent::Contiguous(content.len() as u64),
            keep: Keep::Immutable(object.clone().unbind()),
        }
    }

    /// The elements of a strided buffer (a NumPy array), row-major. `None` where the size exceeds
    /// 64 bits.
    pub(crate) fn of_array(export: BufferExport, shape: &[u64]) -> Option<Self> {
        let strided = Strided::new(shape, &export.strides(), export.item_size())?;
        Some(Self::strided(
            export.pointer(),
            strided,
            Keep::Buffer(export),
        ))
    }

    /// The elements of a tensor on the CPU, row-major. `None` where the size exceeds 64 bits.
    pub(crate) fn of_tensor(tensor: ManagedTensor) -> Option<Self> {
        let item_size = tensor.dtype().item_size() as u64;
        if tensor.is_contiguous() {
            let extent = Extent::Contiguous(tensor.dtype().byte_len(tensor.shape())?);
            return Some(Self {
                first: tensor.first(),
                extent,
                keep: Keep::Tensor(tensor),
            });
        }
        let strides: Vec<i64> = tensor
            .strides()
            .iter()
            .map(|stride| stride * item_size as i64)
            .collect();
        let strided = Strided::new(tensor.shape(), &strides, item_size)?;
        Some(Self::strided(tensor.first(), strided, Keep::Tensor(tensor)))
    }

    /// Bytes as they are.
    pub(crate) fn of_owned(bytes: OwnedBytes) -> Self {
        Self {
            first: bytes.pointer(),
            extent: Extent::Contiguous(bytes.len() as u64),
            keep: Keep::Bytes(bytes),
        }
    }

    fn strided(first: *const u8, strided: Strided, keep: Keep) -> Self {
        let extent = if strided.is_contiguous() {
            Extent::Contiguous(strided.len())
        } else {
            Extent::Strided(Box::new(strided))
        };
        Self {
            first,
            extent,
            keep,
        }
    }

    /// The bytes as an object's buffer, without a copy where they lie back to back.
    pub(crate) fn into_owned_bytes(self) -> OwnedBytes {
        let len = self.len() as usize;
        match (self.extent, self.keep) {
            (Extent::Contiguous(_), keep) => {
                OwnedBytes::of_kept(self.first.cast_mut(), len, std::sync::Arc::new(keep))
            }
            (extent @ Extent::Strided(_), keep) => {
                let frame = Self {
                    first: self.first,
                    extent,
                    keep,
                };
                let mut bytes = vec![0; len];
                frame.copy_range(0, &mut bytes);
                OwnedBytes::of_vec(bytes)
            }
        }
    }
}

impl FrameSource for PyFrame {
    fn len(&self) -> u64 {
        match &self.extent {
            Extent::Contiguous(len) => *len,
            Extent::Strided(strided) => strided.len(),
        }
    }

    fn copy_range(&self, offset: u64, dst: &mut [u8]) {
        match &self.extent {
            Extent::Contiguous(len) => {
                let inside = offset
                    .checked_add(dst.len() as u64)
                    .is_some_and(|end| end <= *len);
                assert!(inside, "a frame is copied within its length");
                // SAFETY: `keep` holds `len` bytes at `first` in place, and the range lies inside.
                // `dst` is a slot that was checked against aliasing, or memory of our own.
                unsafe { copy_raw(self.first.add(offset as usize), dst) };
            }
            Extent::Strided(strided) => {
                strided.for_each_piece(offset, dst.len(), |from, to, len| {
                    // SAFETY: `from` is the offset of an element inside the exported tensor or array,
                    // whose `len` bytes lie back to back; see above for `dst`.
                    unsafe { copy_raw(self.first.offset(from as isize), &mut dst[to..to + len]) };
                });
            }
        }
    }
}
