//! What a put says about its columns before a byte is written.

use tq_proto::{DType, FieldName, RowShapes};

/// One field of a put: its name and what its rows are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ColumnPlan {
    /// The field these rows are stored under.
    pub field: FieldName,
    /// What the rows are.
    pub layout: ColumnLayout,
}

/// What the rows of one column are, and so how many bytes each of them takes.
///
/// Rows lie back to back in the order of the put's global indexes, without padding between them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ColumnLayout {
    /// Tensor rows of one dtype and one shape.
    Dense {
        /// Element type of every row.
        dtype: DType,
        /// Shape of one row, without the batch dimension.
        row_shape: Vec<u64>,
    },
    /// Tensor rows of one dtype and rank whose shapes differ.
    Jagged {
        /// Element type of every row.
        dtype: DType,
        /// Shape of each row.
        row_shapes: RowShapes,
    },
    /// One packed buffer per row.
    Object {
        /// Bytes of each packed buffer; positive multiples of 64.
        row_sizes: Vec<u64>,
    },
}

impl ColumnLayout {
    /// Rows this layout describes; `None` for a dense layout, which fits any number.
    #[must_use]
    pub fn rows(&self) -> Option<usize> {
        match self {
            Self::Dense { .. } => None,
            Self::Jagged { row_shapes, .. } => Some(row_shapes.rows()),
            Self::Object { row_sizes } => Some(row_sizes.len()),
        }
    }
}
