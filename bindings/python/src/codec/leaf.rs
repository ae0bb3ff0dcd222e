//! Values without elements: numbers, text, bytes, arrays; and all that is rebuilt by name.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyComplex, PyFloat, PyInt, PyNone, PyString};
use tq_codec::header::Tag;

use super::encode::{Found, Walk};
use crate::errors::raise;
use crate::fence::{BufferExport, OwnedBytes, PyFrame};
use tq_proto::ErrorKind;

/// Text and bytes from this size on travel as frames: they are then copied once, and beside the
/// interpreter lock.
const FRAME_FROM: usize = 1024;

impl<'py> Walk<'_, 'py> {
    /// Writes a value of one of the builtin types without elements; `false` where it is none.
    pub(super) fn scalar(&mut self, value: &Bound<'py, PyAny>) -> PyResult<bool> {
        if let Ok(text) = value.cast_exact::<PyString>() {
            self.text(text)?;
        } else if let Ok(number) = value.cast_exact::<PyInt>() {
            self.int(number)?;
        } else if let Ok(number) = value.cast_exact::<PyFloat>() {
            self.out.float(number.value());
        } else if value.is_exact_instance_of::<PyNone>() {
            self.out.null();
        } else if let Ok(truth) = value.cast_exact::<PyBool>() {
            self.out.bool(truth.is_true());
        } else if let Ok(bytes) = value.cast_exact::<PyBytes>() {
            if bytes.as_bytes().len() < FRAME_FROM {
                self.out.bytes(bytes.as_bytes());
            } else {
                let frame = self.frame(value.py(), PyFrame::of_bytes(bytes))?;
                self.out.in_frame(Tag::FrameBytes, frame);
            }
        } else if value.is_exact_instance_of::<PyByteArray>() {
            let bytes = OwnedBytes::of_object(value)?;
            if bytes.len() < FRAME_FROM {
                self.out
                    .tagged_bytes(Tag::ByteArray, bytes.as_slice(value.py()));
            } else {
                let frame = self.frame(value.py(), PyFrame::of_owned(bytes))?;
                self.out.in_frame(Tag::FrameByteArray, frame);
            }
        } else if let Ok(number) = value.cast_exact::<PyComplex>() {
            self.out.complex(number.real(), number.imag());
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn text(&mut self, text: &Bound<'py, PyString>) -> PyResult<()> {
        match text.to_str() {
            Ok(utf8) if utf8.len() < FRAME_FROM => self.out.text(utf8),
            Ok(_) => {
                let frame = self.frame(text.py(), PyFrame::of_text(text)?)?;
                self.out.in_frame(Tag::FrameText, frame);
            }
            // Lone surrogates have no UTF-8; Python's own extension of it carries them.
            Err(_) => {
                let bytes = text.call_method1("encode", ("utf-8", "surrogatepass"))?;
                self.out
                    .tagged_bytes(Tag::SurrogateText, bytes.cast::<PyBytes>()?.as_bytes());
            }
        }
        Ok(())
    }

    fn int(&mut self, number: &Bound<'py, PyInt>) -> PyResult<()> {
        if let Ok(value) = number.extract::<i64>() {
            self.out.int(value);
        } else if let Ok(value) = number.extract::<u64>() {
            self.out.uint(value);
        } else {
            let bits: usize = number.call_method0("bit_length")?.extract()?;
            let kwargs = pyo3::types::PyDict::new(number.py());
            kwargs.set_item("signed", true)?;
            let bytes = number.call_method("to_bytes", (bits / 8 + 1, "little"), Some(&kwargs))?;
            self.out
                .tagged_bytes(Tag::BigInt, bytes.cast::<PyBytes>()?.as_bytes());
        }
        Ok(())
    }

    /// Every type that is neither builtin nor a plain tensor.
    pub(super) fn uncommon(&mut self, value: &Bound<'py, PyAny>) -> PyResult<Found<'py>> {
        let py = value.py();
        if value.get_type_ptr() == self.helpers.parameter.as_ptr().cast() {
            return self.tensor(value);
        }
        if value.get_type_ptr() == self.helpers.ndarray.as_ptr().cast() && self.array(value)? {
            return Ok(Found::Done);
        }
        let reduced = self.helpers.reduce_value.bind(py).call1((value,))?;
        if reduced.is_none() {
            return self.pickle(value);
        }
        let (name, content) = reduced.extract()?;
        Ok(Found::Named(name, content))
    }

    /// Writes an array of a plain numeric dtype; `false` for any other, which Python reduces.
    fn array(&mut self, array: &Bound<'py, PyAny>) -> PyResult<bool> {
        let py = array.py();
        let dtype = array.getattr(pyo3::intern!(py, "dtype"))?;
        let kind: char = dtype.getattr(pyo3::intern!(py, "kind"))?.extract()?;
        let plain = matches!(kind, 'b' | 'i' | 'u' | 'f' | 'c');
        if !plain
            || !dtype.getattr(pyo3::intern!(py, "isbuiltin"))?.is_truthy()? && !is_swapped(&dtype)?
        {
            return Ok(false);
        }
        let export = BufferExport::strided(array)?;
        let shape = export.shape();
        let frame = PyFrame::of_array(export, &shape).ok_or_else(|| {
            raise(
                py,
                ErrorKind::InvalidArgument,
                "the array's size exceeds 64 bits",
            )
        })?;
        let frame = self.frame(py, frame)?;
        let descr = dtype.getattr(pyo3::intern!(py, "str"))?;
        self.out
            .array(descr.cast::<PyString>()?.to_str()?, frame, &shape);
        Ok(true)
    }
}

/// Whether a dtype is a builtin one in the other byte order, which NumPy does not call builtin.
fn is_swapped(dtype: &Bound<'_, PyAny>) -> PyResult<bool> {
    if dtype.getattr("isnative")?.is_truthy()? {
        return Ok(false);
    }
    let native = dtype.call_method1("newbyteorder", ("=",))?;
    native.getattr("isbuiltin")?.is_truthy()
}
