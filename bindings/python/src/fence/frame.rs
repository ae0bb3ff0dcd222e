//! The bytes of one frame of a value that is being encoded.

use std::ops::Range;
use std::ptr;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use tq_arena::copy_streamed_raw;
use tq_codec::{FrameSource, Stores, Strided};

use super::buffer::BufferExport;
use super::bytes::OwnedBytes;
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
    Strided(Box<Scattered>),
}

struct Scattered {
    walk: Strided,
    /// Bytes from the lowest-lying element to `first`, and from there to the end of the highest.
    below: usize,
    above: usize,
}

impl Scattered {
    fn new(walk: Strided, shape: &[u64], strides: &[i64], item_size: u64) -> Self {
        let (mut below, mut above) = (0u64, item_size);
        for (dim, stride) in shape.iter().zip(strides) {
            let reach = dim.saturating_sub(1).saturating_mul(stride.unsigned_abs());
            if *stride < 0 {
                below = below.saturating_add(reach);
            } else {
                above = above.saturating_add(reach);
            }
        }
        Self {
            walk,
            below: below as usize,
            above: above as usize,
        }
    }
}

#[allow(dead_code, reason = "held for what dropping them does")]
enum Keep {
    Immutable(Py<PyAny>),
    Buffer(BufferExport),
    Tensor(ManagedTensor),
    Bytes(OwnedBytes),
}

/// `None` where the size exceeds 64 bits.
fn extent(shape: &[u64], strides: &[i64], item_size: u64) -> Option<Extent> {
    let walk = Strided::new(shape, strides, item_size)?;
    Some(if walk.is_contiguous() {
        Extent::Contiguous(walk.len())
    } else {
        Extent::Strided(Box::new(Scattered::new(walk, shape, strides, item_size)))
    })
}

// SAFETY: the pointer names memory that `keep` holds in place; it is only read, through raw copies.
unsafe impl Send for PyFrame {}
// SAFETY: as above.
unsafe impl Sync for PyFrame {}

impl PyFrame {
    /// UTF-8 of a `str`.
    ///
    /// # Errors
    /// `UnicodeEncodeError` where it holds lone surrogates.
    pub(crate) fn of_text(text: &Bound<'_, PyString>) -> PyResult<Self> {
        // A str caches its UTF-8 and never changes it.
        Ok(Self::immutable(text.to_str()?.as_bytes(), text.as_any()))
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
        let (strides, item_size) = (export.strides(), export.item_size());
        let extent = extent(shape, &strides, item_size)?;
        Some(Self {
            first: export.pointer(),
            extent,
            keep: Keep::Buffer(export),
        })
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
        let extent = extent(tensor.shape(), &strides, item_size)?;
        Some(Self {
            first: tensor.first(),
            extent,
            keep: Keep::Tensor(tensor),
        })
    }

    /// Bytes as they are.
    pub(crate) fn of_owned(bytes: OwnedBytes) -> Self {
        Self {
            first: bytes.pointer(),
            extent: Extent::Contiguous(bytes.len() as u64),
            keep: Keep::Bytes(bytes),
        }
    }

    /// Addresses of the memory that is read, from the lowest-lying byte to behind the highest.
    pub(crate) fn addresses(&self) -> Range<usize> {
        let first = self.first.addr();
        match &self.extent {
            Extent::Contiguous(len) => first..first + *len as usize,
            Extent::Strided(scattered) => first - scattered.below..first + scattered.above,
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
                frame.copy_range(0, &mut bytes, Stores::Cached);
                OwnedBytes::of_vec(bytes)
            }
        }
    }
}

impl FrameSource for PyFrame {
    fn len(&self) -> u64 {
        match &self.extent {
            Extent::Contiguous(len) => *len,
            Extent::Strided(scattered) => scattered.walk.len(),
        }
    }

    fn copy_range(&self, offset: u64, dst: &mut [u8], stores: Stores) {
        match &self.extent {
            Extent::Contiguous(len) => {
                let inside = offset
                    .checked_add(dst.len() as u64)
                    .is_some_and(|end| end <= *len);
                assert!(inside, "a frame is copied within its length");
                // SAFETY: `keep` holds `len` bytes at `first` in place, and the range lies inside.
                // `dst` is a slot that was checked against aliasing, or memory of our own.
                unsafe { copy_raw(self.first.add(offset as usize), dst, stores) };
            }
            Extent::Strided(scattered) => {
                scattered
                    .walk
                    .for_each_piece(offset, dst.len(), |from, to, len| {
                        // SAFETY: `from` is the offset of an element inside the exported tensor or array,
                        // whose `len` bytes lie back to back; see above for `dst`.
                        unsafe {
                            copy_raw(
                                self.first.offset(from as isize),
                                &mut dst[to..to + len],
                                stores,
                            );
                        };
                    });
            }
        }
    }
}

/// Copies `dst.len()` bytes from `src`, which other threads may be writing to.
///
/// # Safety
/// `src` must be valid for reads of `dst.len()` bytes and must not overlap `dst`.
unsafe fn copy_raw(src: *const u8, dst: &mut [u8], stores: Stores) {
    // SAFETY: the caller's promise.
    unsafe {
        match stores {
            Stores::Cached => ptr::copy_nonoverlapping(src, dst.as_mut_ptr(), dst.len()),
            Stores::Streamed => copy_streamed_raw(src, dst),
        }
    }
}
