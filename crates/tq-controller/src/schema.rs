//! Dtype and shapes of a field: as a put describes them and as the controller reports them.
//!
//! Rows of one field may differ in dtype and shape, because puts may. Nothing is refused and
//! nothing is guessed for that: what all rows share is reported for the field, and the rest per
//! row.

use std::sync::Arc;

use tq_proto::{DType, Error, ErrorKind, Result};

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
            Self::Jagged { row_shapes, .. } => Some(row_shapes.len()),
            Self::Dense { .. } | Self::NonTensor => None,
        }
    }
}

/// Shapes of many rows of one rank in one allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowShapes {
    dims: Vec<u64>,
    rank: usize,
    rows: usize,
}

impl RowShapes {
    /// Shapes of `rows` rows of `rank` dimensions each, laid end to end in `dims`.
    ///
    /// # Errors
    /// `InvalidArgument` when `dims` does not hold `rows` x `rank` numbers.
    pub fn new(dims: Vec<u64>, rank: usize, rows: usize) -> Result<Self> {
        if rows.checked_mul(rank) != Some(dims.len()) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "{rows} row shapes of rank {rank} were announced, but {} dimensions were \
                     given; give rank dimensions for each row",
                    dims.len()
                ),
            ));
        }
        Ok(Self { dims, rank, rows })
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Dimensions of each row.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The shapes, row by row.
    pub fn iter(&self) -> impl Iterator<Item = &[u64]> {
        (0..self.rows).map(|row| &self.dims[row * self.rank..(row + 1) * self.rank])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_shapes_are_cut_by_rank() {
        let shapes = RowShapes::new(vec![1, 2, 3, 4], 2, 2).unwrap();
        assert_eq!(shapes.iter().collect::<Vec<_>>(), [[1, 2], [3, 4]]);
        let scalars = RowShapes::new(vec![], 0, 3).unwrap();
        assert_eq!(scalars.iter().count(), 3);
    }

    #[test]
    fn row_shapes_of_another_count_are_refused() {
        for (dims, rank, rows) in [(3, 2, 2), (0, 1, 1), (1, usize::MAX, 2), (1, 0, 1)] {
            let error = RowShapes::new(vec![1; dims], rank, rows).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        }
    }
}
