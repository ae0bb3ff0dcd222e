//! A TensorDict's columns, described without copying. Python tells what kind each column is
//! (`transfer_queue/_columns.py`); here its dtype, shapes and memory are read.

use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};
use tq_codec::FrameSource;
use tq_proto::{DType, ErrorKind};
use tq_storage::{ColumnLayout, ColumnPlan, RowShapes};

use crate::codec::encode::PlannedBatch;
use crate::codec::tensor::{PlainTensor, plain_tensor};
use crate::errors::{OrRaise, raise};
use crate::fence::{OwnedBytes, PyFrame};

/// Where a column's bytes come from.
pub(super) enum ColumnSource {
    /// Frames that lie back to back in the column: one for a whole tensor, else one per row.
    Frames(Vec<PyFrame>),
    /// One packed buffer per row, and the bytes that each row takes.
    Objects(PlannedBatch, Vec<u64>),
}

/// A column: its plan for the storage unit, and its bytes.
pub(super) struct Column {
    pub(super) plan: ColumnPlan,
    pub(super) source: ColumnSource,
}

/// Reads one column, `(field, kind, content...)` as `_columns.describe` gives it.
pub(super) fn read(
    described: &Bound<'_, PyAny>,
    rows: usize,
    allow_pickle: bool,
) -> PyResult<Column> {
    let py = described.py();
    let field: Bound<'_, PyString> = described.get_item(0)?.cast_into()?;
    let kind: Bound<'_, PyString> = described.get_item(1)?.cast_into()?;
    let (layout, source) = match kind.to_str()? {
        "dense" => dense(&described.get_item(2)?, rows)?,
        "row" => single(&described.get_item(2)?, rows)?,
        "jagged" => jagged(&described.get_item(2)?, &described.get_item(3)?)?,
        "rows" => row_values(described.get_item(2)?.cast()?, allow_pickle)?,
        other => {
            return Err(raise(
                py,
                ErrorKind::Internal,
                format!("unknown kind of column {other:?}"),
            ));
        }
    };
    Ok(Column {
        plan: ColumnPlan {
            field: field.to_str()?.into(),
            layout,
        },
        source,
    })
}

type Described = (ColumnLayout, ColumnSource);

fn dense(tensor: &Bound<'_, PyAny>, rows: usize) -> PyResult<Described> {
    let plain = readable(tensor)?;
    let [batch, row_shape @ ..] = plain.shape.as_slice() else {
        return Err(wrong(
            tensor.py(),
            "a column cannot be a tensor without dimensions",
        ));
    };
    if *batch != rows as u64 {
        return Err(wrong(
            tensor.py(),
            format!("a column of {batch} rows was put for {rows} keys"),
        ));
    }
    let layout = ColumnLayout::Dense {
        dtype: plain.dtype,
        row_shape: row_shape.to_vec(),
    };
    Ok((layout, ColumnSource::Frames(vec![plain.frame])))
}

/// A tensor that is the only row.
fn single(tensor: &Bound<'_, PyAny>, rows: usize) -> PyResult<Described> {
    if rows != 1 {
        return Err(wrong(
            tensor.py(),
            format!("a single row was put for {rows} keys"),
        ));
    }
    let plain = readable(tensor)?;
    let layout = ColumnLayout::Dense {
        dtype: plain.dtype,
        row_shape: plain.shape,
    };
    Ok((layout, ColumnSource::Frames(vec![plain.frame])))
}

/// `values` hold the rows back to back, `offsets` (int64, one more than rows) say where each starts.
fn jagged(values: &Bound<'_, PyAny>, offsets: &Bound<'_, PyAny>) -> PyResult<Described> {
    let py = values.py();
    let plain = readable(values)?;
    let [length, rest @ ..] = plain.shape.as_slice() else {
        return Err(wrong(
            py,
            "the values of a jagged tensor have no dimensions",
        ));
    };
    let offsets = OwnedBytes::of_object(offsets)?;
    let mut starts = offsets
        .as_slice(py)
        .chunks_exact(size_of::<i64>())
        .filter_map(|bytes| bytes.first_chunk().map(|bytes| i64::from_le_bytes(*bytes)));
    let mut from = starts.next().unwrap_or(-1);
    let first = from;
    let mut dims = Vec::new();
    let mut rows = 0;
    for to in starts {
        let len = to.checked_sub(from).and_then(|len| u64::try_from(len).ok());
        dims.push(len.ok_or_else(|| wrong(py, "the offsets of a jagged tensor do not ascend"))?);
        dims.extend_from_slice(rest);
        rows += 1;
        from = to;
    }
    if first != 0 || u64::try_from(from) != Ok(*length) {
        return Err(wrong(
            py,
            "the offsets of a jagged tensor do not span its values",
        ));
    }
    let row_shapes = RowShapes::new(1 + rest.len(), rows, dims).or_raise(py)?;
    let layout = ColumnLayout::Jagged {
        dtype: plain.dtype,
        row_shapes,
    };
    Ok((layout, ColumnSource::Frames(vec![plain.frame])))
}

/// One value per row. Rows that are plain tensors of one dtype and rank are stored as such, so that
/// they can be read like any other tensor column; all else is packed row by row.
fn row_values(values: &Bound<'_, PyList>, allow_pickle: bool) -> PyResult<Described> {
    if let Some(described) = tensor_rows(values)? {
        return Ok(described);
    }
    let mut batch = PlannedBatch::default();
    for value in values {
        batch.add(&value, allow_pickle)?;
    }
    let row_sizes = object_sizes(&batch);
    let layout = ColumnLayout::Object {
        row_sizes: row_sizes.clone(),
    };
    Ok((layout, ColumnSource::Objects(batch, row_sizes)))
}

/// Bytes that each row takes: those of its packed buffer, or whole pages where rows are large. A
/// view can then be had of any selection of such rows, because no two of them share a page; what
/// lies behind a packed buffer is not looked at.
fn object_sizes(batch: &PlannedBatch) -> Vec<u64> {
    let sizes = batch.values.iter().map(|value| value.plan.total_len);
    let total: u64 = sizes.clone().sum();
    let large = total >= LARGE_ROW * batch.values.len() as u64;
    sizes
        .map(|size| {
            if large {
                size.next_multiple_of(PAGE)
            } else {
                size
            }
        })
        .collect()
}

/// Rows of this size on average are laid out in whole pages, which costs at most a sixteenth.
const LARGE_ROW: u64 = 64 << 10;
const PAGE: u64 = 4096;

fn tensor_rows(values: &Bound<'_, PyList>) -> PyResult<Option<Described>> {
    let mut alike: Option<(DType, usize)> = None;
    let mut dims = Vec::new();
    let mut frames = Vec::with_capacity(values.len());
    for value in values {
        let Some(plain) = plain_tensor(&value)? else {
            return Ok(None);
        };
        let this = (plain.dtype, plain.shape.len());
        if *alike.get_or_insert(this) != this {
            return Ok(None);
        }
        dims.extend_from_slice(&plain.shape);
        frames.push(plain.frame);
    }
    let Some((dtype, rank)) = alike else {
        return Ok(None);
    };
    let row_shapes = RowShapes::new(rank, frames.len(), dims).or_raise(values.py())?;
    Ok(Some((
        ColumnLayout::Jagged { dtype, row_shapes },
        ColumnSource::Frames(frames),
    )))
}

fn readable<'py>(tensor: &Bound<'py, PyAny>) -> PyResult<PlainTensor> {
    plain_tensor(tensor)?.ok_or_else(|| {
        raise(
            tensor.py(),
            ErrorKind::Unsupported,
            "a column of sparse, quantised or other special tensors cannot be stored as a tensor; \
             pass its rows as a list of values",
        )
    })
}

fn wrong(py: Python<'_>, message: impl Into<String>) -> PyErr {
    raise(py, ErrorKind::InvalidArgument, message)
}

impl ColumnSource {
    /// Bytes of the column.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Frames(frames) => frames.iter().map(FrameSource::len).sum(),
            Self::Objects(_, row_sizes) => row_sizes.iter().sum(),
        }
    }
}
