//! torch tensors. A plain dense tensor in host memory takes one C call; all others are reduced in
//! Python to plain tensors and a name.

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use tq_codec::header::tensor_flags;
use tq_proto::{DType, ErrorKind};

use super::encode::{Found, Walk};
use super::helpers::Helpers;
use crate::errors::raise;
use crate::fence::dlpack::{ManagedTensor, has_code, tensor_view};
use crate::fence::{OwnedBytes, PyFrame};

impl<'py> Walk<'_, 'py> {
    /// A `torch.Tensor` or `nn.Parameter`.
    pub(super) fn tensor(&mut self, tensor: &Bound<'py, PyAny>) -> PyResult<Found<'py>> {
        let py = tensor.py();
        let mut flags = 0;
        if tensor
            .getattr(pyo3::intern!(py, "requires_grad"))?
            .is_truthy()?
        {
            flags |= tensor_flags::REQUIRES_GRAD;
        }
        let parameter = tensor.get_type_ptr() == self.helpers.parameter.as_ptr().cast();
        if !parameter && let Some(managed) = readable_as_is(self.helpers, tensor)? {
            return self.dense(py, managed, None, flags);
        }
        // (kind, tensor, dtype name): a plain tensor of the same bytes; (name, content): rebuilt by
        // name; None: pickled.
        let reduced = self.helpers.reduce_tensor.bind(py).call1((tensor,))?;
        if reduced.is_none() {
            return self.pickle(tensor);
        }
        if let Ok((plain, dtype)) = reduced.extract::<(Bound<'py, PyAny>, u8)>() {
            if parameter {
                flags |= tensor_flags::PARAMETER;
            }
            let managed = ManagedTensor::of(&plain)?.ok_or_else(|| {
                raise(
                    py,
                    ErrorKind::Unsupported,
                    "the tensor's memory cannot be read",
                )
            })?;
            return self.dense(py, managed, DType::from_code(dtype), flags);
        }
        let (name, content) = reduced.extract()?;
        Ok(Found::Named(name, content))
    }

    /// Writes a tensor's description; `dtype` where its bytes were handed over as another one's.
    fn dense(
        &mut self,
        py: Python<'py>,
        managed: ManagedTensor,
        dtype: Option<DType>,
        flags: u8,
    ) -> PyResult<Found<'py>> {
        let dtype = dtype.unwrap_or(managed.dtype());
        self.out
            .tensor(dtype, flags, self.next_frame(), managed.shape());
        let frame = PyFrame::of_tensor(managed).ok_or_else(|| {
            raise(
                py,
                ErrorKind::InvalidArgument,
                "the tensor's size exceeds 64 bits",
            )
        })?;
        self.frame(py, frame)?;
        Ok(Found::Done)
    }
}

/// A tensor that can be read as bytes.
pub(crate) struct PlainTensor {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<u64>,
    pub(crate) frame: PyFrame,
}

/// A tensor's dtype, shape and bytes, whatever its device and strides; `None` where `value` is no
/// tensor, or one that has no dense form. Gradients are not looked at.
pub(crate) fn plain_tensor(value: &Bound<'_, PyAny>) -> PyResult<Option<PlainTensor>> {
    let py = value.py();
    let helpers = Helpers::get(py)?;
    let mut managed = None;
    if value.get_type_ptr() == helpers.tensor.as_ptr().cast() {
        managed = readable_as_is(helpers, value)?.map(|managed| (managed.dtype(), managed));
    } else if !value.is_instance(helpers.tensor.bind(py))? {
        return Ok(None);
    }
    if managed.is_none() {
        let reduced = helpers.reduce_tensor.bind(py).call1((value,))?;
        let Ok((plain, code)) = reduced.extract::<(Bound<'_, PyAny>, u8)>() else {
            return Ok(None);
        };
        let plain = ManagedTensor::of(&plain)?;
        managed = plain.map(|plain| (DType::from_code(code).unwrap_or(plain.dtype()), plain));
    }
    let Some((dtype, managed)) = managed else {
        return Ok(None);
    };
    let shape = managed.shape().to_vec();
    Ok(PyFrame::of_tensor(managed).map(|frame| PlainTensor {
        dtype,
        shape,
        frame,
    }))
}

/// The tensor's memory, where its bytes are its values.
fn readable_as_is(helpers: &Helpers, tensor: &Bound<'_, PyAny>) -> PyResult<Option<ManagedTensor>> {
    let Some(managed) = ManagedTensor::of(tensor)? else {
        return Ok(None);
    };
    // Integers of less than a byte are described as bytes too.
    let byte_dtype = match managed.dtype() {
        DType::Int8 => Some(&helpers.int8),
        DType::UInt8 => Some(&helpers.uint8),
        _ => None,
    };
    if let Some(expected) = byte_dtype
        && !tensor
            .getattr(pyo3::intern!(tensor.py(), "dtype"))?
            .is(expected)
    {
        return Ok(None);
    }
    // A lazily conjugated or negated tensor's bytes are not its values.
    let complex = matches!(
        managed.dtype(),
        DType::Complex32 | DType::Complex64 | DType::Complex128
    );
    if complex
        || helpers
            .is_neg
            .bind(tensor.py())
            .call1((tensor,))?
            .is_truthy()?
    {
        return Ok(None);
    }
    Ok(Some(managed))
}

/// A tensor that is a view of `bytes`, or of a copy where their memory is read-only or misaligned.
pub(crate) fn tensor_of<'py>(
    py: Python<'py>,
    bytes: &OwnedBytes,
    dtype: DType,
    shape: &[u64],
) -> PyResult<Bound<'py, PyAny>> {
    let copy;
    let bytes = if bytes.can_be_viewed(dtype.item_size()) {
        bytes
    } else {
        copy = bytes.to_owned_copy(py);
        &copy
    };
    if has_code(dtype) {
        return tensor_view(py, bytes, dtype, shape);
    }
    let plain = tensor_view(py, bytes, DType::UInt8, shape)?;
    Helpers::get(py)?
        .view_as_dtype
        .bind(py)
        .call1((plain, dtype.name()))
}

/// The tensor that a header describes.
///
/// # Errors
/// Kind `Corrupt` where torch has no such tensor.
pub(super) fn decode<'py>(
    py: Python<'py>,
    helpers: &Helpers,
    bytes: &OwnedBytes,
    node: tq_codec::TensorNode,
    shape: &[u64],
) -> PyResult<Bound<'py, PyAny>> {
    check_strides(py, shape)?;
    let tensor =
        tensor_of(py, bytes, node.dtype, shape).map_err(|error| not_a_tensor(py, error))?;
    let requires_grad = node.flags & tensor_flags::REQUIRES_GRAD != 0;
    if node.flags & tensor_flags::PARAMETER != 0 {
        let parameter = helpers.parameter.bind(py);
        return parameter
            .call1((tensor, requires_grad))
            .map_err(|error| not_a_tensor(py, error));
    }
    if requires_grad {
        let name = pyo3::intern!(py, "requires_grad_");
        tensor
            .call_method1(name, (true,))
            .map_err(|error| not_a_tensor(py, error))?;
    }
    Ok(tensor)
}

/// An empty tensor may have any other dimensions, but its strides have to fit 64 bits, signed.
fn check_strides(py: Python<'_>, shape: &[u64]) -> PyResult<()> {
    let fits = shape.iter().try_fold(1i64, |stride, dim| {
        stride.checked_mul(i64::try_from(*dim).ok()?.max(1))
    });
    if fits.is_some() {
        return Ok(());
    }
    Err(raise(
        py,
        ErrorKind::Corrupt,
        format!("header: no tensor can have the shape {shape:?}"),
    ))
}

/// What torch refuses to build, a header should not have described.
fn not_a_tensor(py: Python<'_>, error: PyErr) -> PyErr {
    if error.is_instance_of::<PyRuntimeError>(py) || error.is_instance_of::<PyValueError>(py) {
        return raise(
            py,
            ErrorKind::Corrupt,
            format!("header: torch has no such tensor: {error}"),
        );
    }
    error
}
