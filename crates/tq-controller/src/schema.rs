//! Dtype and shapes of a field: as a put describes them and as the controller reports them.
//!
//! Rows of one field may differ in dtype and shape, because puts may. Nothing is refused and
//! nothing is guessed for that: what all rows share is reported for the field, and the rest per
//! row.

use std::sync::Arc;

use tq_proto::{DType, RowShapes};

/// Shape of one row, without the batch dimension; `[]` is a scalar.
pub type Shape = Arc<[u64]>;

/// What a put says about one field of its batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldSchemaUpdate {
    /// A tensor whose rows have one dtype and one shape.
    Dense {
        /// Element type of all rows.
        dtype: DType,
        /// Shape of each row.
        row_shape: Shape,
    },
    /// A nested tensor: one dtype, rows of their own shapes.
    Jagged {
        /// Element type of all rows.
        dtype: DType,
        /// Shape of each row, in the order of the batch.
        row_shapes: RowShapes,
    },
    /// Rows that are not tensors.
    NonTensor,
}

impl FieldSchemaUpdate {
    /// Rows described, where the description is per row.
    pub(crate) fn rows(&self) -> Option<usize> {
        match self {
            Self::Jagged { row_shapes, .. } => Some(row_shapes.rows()),
            Self::Dense { .. } | Self::NonTensor => None,
        }
    }
}

/// What is known of a field over all visible samples that have it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSchema {
    /// Samples for which the field is produced.
    pub rows: usize,
    /// Element type, when all rows are tensors of the same one.
    pub dtype: Option<DType>,
    /// Row shape, when all rows are tensors of the same one and the field is not nested.
    pub shape: Option<Shape>,
    /// Whether rows must be described one by one: the field was put as a nested tensor, or its
    /// tensors differ in shape. Ends when a clear leaves rows of one shape only.
    pub is_nested: bool,
    /// Whether some row is not a tensor.
    pub is_non_tensor: bool,
}

/// What is known of one row of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSchema {
    /// Element type; none when the row is not a tensor.
    pub dtype: Option<DType>,
    /// Shape; none when the row is not a tensor.
    pub shape: Option<Shape>,
}
