//! Metadata and statuses as Python takes them: column by column.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use tq_controller::{BatchColumns, FieldColumns, Shape, StatusColumns};
use tq_proto::{DType, GlobalIndex};

use super::receipts;
use super::tags::TagWriter;
use crate::codec::tensor::tensor_of;
use crate::fence::OwnedBytes;

/// `(global indexes, partition, schema, production status, custom metas, backend metas)`, the last
/// none where all are empty; see `_metas.py`.
pub(super) type Meta<'py> = (
    Bound<'py, PyList>,
    Bound<'py, PyString>,
    Bound<'py, PyDict>,
    Bound<'py, PyBytes>,
    Bound<'py, PyList>,
    Option<Bound<'py, PyList>>,
);

/// Global indexes as a list of integers.
pub(super) fn index_list<'py>(
    py: Python<'py>,
    indexes: &[GlobalIndex],
) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, indexes.iter().map(|index| index.0))
}

/// The metadata of a batch.
pub(super) fn meta<'py>(
    py: Python<'py>,
    batch: &BatchColumns,
    allow_pickle: bool,
) -> PyResult<Meta<'py>> {
    let schema = PyDict::new(py);
    let mut shapes = Shapes::new(py)?;
    for field in &batch.fields {
        schema.set_item(&*field.name, field_schema(py, field, &mut shapes)?)?;
    }
    let tags = TagWriter::new(py, allow_pickle).write_all(&batch.tags)?;
    let receipts = batch.receipts.as_deref();
    let receipts = receipts.map(|rows| receipts::write_all(py, rows, allow_pickle));
    Ok((
        index_list(py, &batch.global_indexes)?,
        PyString::new(py, &batch.partition),
        schema,
        PyBytes::new(py, &batch.produced),
        tags,
        receipts.transpose()?,
    ))
}

fn field_schema<'py>(
    py: Python<'py>,
    field: &FieldColumns,
    shapes: &mut Shapes<'py>,
) -> PyResult<Bound<'py, PyDict>> {
    let schema = PyDict::new(py);
    let dtype = field.dtype.map(|dtype| dtype_of(py, dtype)).transpose()?;
    schema.set_item(pyo3::intern!(py, "dtype"), dtype)?;
    let shape = field.shape.as_ref().map(|shape| shapes.of(shape));
    schema.set_item(pyo3::intern!(py, "shape"), shape.transpose()?)?;
    schema.set_item(pyo3::intern!(py, "is_nested"), field.is_nested)?;
    schema.set_item(pyo3::intern!(py, "is_non_tensor"), field.is_non_tensor)?;
    if let Some(rows) = &field.row_shapes {
        let rows = rows
            .iter()
            .map(|shape| shape.as_ref().map(|shape| shapes.of(shape)).transpose())
            .collect::<PyResult<Vec<_>>>()?;
        schema.set_item(
            pyo3::intern!(py, "per_sample_shapes"),
            PyList::new(py, rows)?,
        )?;
    }
    Ok(schema)
}

/// Shapes as `torch.Size`. Neighbouring rows mostly share theirs, and the controller keeps one
/// allocation per shape, so the last one is remembered by its address.
struct Shapes<'py> {
    size: Bound<'py, PyAny>,
    last: Option<(Shape, Bound<'py, PyAny>)>,
}

impl<'py> Shapes<'py> {
    fn new(py: Python<'py>) -> PyResult<Self> {
        static SIZE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let size = SIZE.get_or_try_init(py, || {
            py.import("torch")?.getattr("Size").map(Bound::unbind)
        })?;
        Ok(Self {
            size: size.bind(py).clone(),
            last: None,
        })
    }

    fn of(&mut self, shape: &Shape) -> PyResult<Bound<'py, PyAny>> {
        if let Some((known, size)) = &self.last
            && Arc::ptr_eq(known, shape)
        {
            return Ok(size.clone());
        }
        let dims = PyTuple::new(self.size.py(), shape.iter())?;
        let size = self.size.call1((dims,))?;
        self.last = Some((Arc::clone(shape), size.clone()));
        Ok(size)
    }
}

/// `torch.float32` and the like.
fn dtype_of(py: Python<'_>, dtype: DType) -> PyResult<Bound<'_, PyAny>> {
    static TORCH: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    TORCH
        .get_or_try_init(py, || py.import("torch").map(Bound::unbind))?
        .bind(py)
        .getattr(dtype.name())
}

/// `(global indexes int64 [N], status int8 [N, F])`, or `[N]` for a status without fields.
pub(super) fn status<'py>(
    py: Python<'py>,
    status: StatusColumns,
    by_field: bool,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let rows = status.global_indexes.len() as u64;
    let indexes = status
        .global_indexes
        .iter()
        .flat_map(|index| index.0.to_ne_bytes())
        .collect();
    let shape: &[u64] = if by_field {
        &[rows, status.fields as u64]
    } else {
        &[rows]
    };
    Ok((
        tensor_of(py, &OwnedBytes::of_vec(indexes), DType::Int64, &[rows])?,
        tensor_of(py, &OwnedBytes::of_vec(status.cells), DType::Int8, shape)?,
    ))
}
