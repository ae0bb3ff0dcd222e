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

    /// Bytes of `rows` rows; `None` where they exceed 64 bits.
    #[must_use]
    pub fn bytes(&self, rows: usize) -> Option<u64> {
        let sum = |sum: u64, bytes: Option<u64>| sum.checked_add(bytes?);
        match self {
            Self::Dense { dtype, row_shape } => dtype.byte_len(row_shape)?.checked_mul(rows as u64),
            Self::Jagged { dtype, row_shapes } if row_shapes.rank() == 0 => {
                (dtype.item_size() as u64).checked_mul(row_shapes.rows() as u64)
            }
            Self::Jagged { dtype, row_shapes } => row_shapes
                .iter()
                .map(|shape| dtype.byte_len(shape))
                .try_fold(0, sum),
            Self::Object { row_sizes } => row_sizes.iter().copied().map(Some).try_fold(0, sum),
        }
    }
}
