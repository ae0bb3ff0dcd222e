//! Fields that a backend has stored in its own way, as Python describes them.

use pyo3::prelude::*;
use tq_proto::{DType, ErrorKind, RowShapes};
use tq_storage::{ColumnLayout, ColumnPlan};

use crate::codec::tensor::plain_tensor;
use crate::errors::{OrRaise, raise};

/// `(field, a tensor of the dtype or None, shapes)`: one shape for all rows, or one per row; none of
/// a field that holds no tensors.
pub(super) type Described<'py> = (String, Option<Bound<'py, PyAny>>, Vec<Vec<u64>>);

/// Reads the fields. A field without dtype holds no tensors.
pub(super) fn read_all(py: Python<'_>, columns: Vec<Described<'_>>) -> PyResult<Vec<ColumnPlan>> {
    let read = |(field, tensor, shapes): Described<'_>| {
        let plain = tensor.map(|tensor| plain_tensor(&tensor)).transpose()?;
        let layout = match plain.flatten() {
            None => ColumnLayout::Object {
                row_sizes: Vec::new(),
            },
            Some(plain) => of_tensors(py, plain.dtype, shapes)?,
        };
        Ok(ColumnPlan {
            field: field.into(),
            layout,
        })
    };
    columns.into_iter().map(read).collect()
}

fn of_tensors(py: Python<'_>, dtype: DType, mut shapes: Vec<Vec<u64>>) -> PyResult<ColumnLayout> {
    if shapes.len() == 1 {
        return Ok(ColumnLayout::Dense {
            dtype,
            row_shape: shapes.remove(0),
        });
    }
    let rank = shapes.first().map_or(0, Vec::len);
    if shapes.iter().any(|shape| shape.len() != rank) {
        let message = "rows of one field have shapes of different ranks; store them as objects";
        return Err(raise(py, ErrorKind::InvalidArgument, message));
    }
    let rows = shapes.len();
    let row_shapes = RowShapes::new(rank, rows, shapes.concat()).or_raise(py)?;
    Ok(ColumnLayout::Jagged { dtype, row_shapes })
}
