//! What a put says about its columns before a byte is written.

use tq_proto::{DType, Error, ErrorKind, FieldName, Result};

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

/// Shapes of many rows of one rank, kept flat so that any number of rows is one allocation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RowShapes {
    rank: usize,
    rows: usize,
    dims: Vec<u64>,
}

impl RowShapes {
    /// Shapes of `rows` rows of `rank` dimensions; `dims` holds them one row after the other.
    ///
    /// # Errors
    /// `InvalidArgument` where `dims` does not hold exactly `rank * rows` numbers.
    pub fn new(rank: usize, rows: usize, dims: Vec<u64>) -> Result<Self> {
        if rank.checked_mul(rows) != Some(dims.len()) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "{rows} row shapes of rank {rank} were announced, but {} dimensions came with \
                     them; pass rank x rows numbers",
                    dims.len()
                ),
            ));
        }
        Ok(Self { rank, rows, dims })
    }

    /// No rows yet, of `rank` dimensions; room for `rows` of them.
    #[must_use]
    pub(crate) fn with_capacity(rank: usize, rows: usize) -> Self {
        Self {
            rank,
            rows: 0,
            dims: Vec::with_capacity(rank * rows),
        }
    }

    /// Appends one row's shape, which must be of this rank.
    pub(crate) fn push(&mut self, shape: &[u64]) {
        debug_assert_eq!(shape.len(), self.rank);
        self.dims.extend_from_slice(shape);
        self.rows += 1;
    }

    /// Dimensions of each row.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// All dimensions, row after row.
    #[must_use]
    pub fn dims(&self) -> &[u64] {
        &self.dims
    }

    /// Shape of one row; `None` beyond the last.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<&[u64]> {
        if row >= self.rows {
            return None;
        }
        self.dims.get(row * self.rank..(row + 1) * self.rank)
    }

    /// The shapes in row order.
    pub fn iter(&self) -> impl Iterator<Item = &[u64]> {
        (0..self.rows).map(|row| &self.dims[row * self.rank..(row + 1) * self.rank])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_found_by_row() {
        let shapes = RowShapes::new(2, 2, vec![1, 2, 3, 4]).unwrap();
        assert_eq!(shapes.get(1), Some([3, 4].as_slice()));
        assert_eq!(shapes.get(2), None);
        assert_eq!(shapes.iter().collect::<Vec<_>>(), [[1, 2], [3, 4]]);
    }

    #[test]
    fn scalars_have_rows_but_no_dimensions() {
        let shapes = RowShapes::new(0, 3, Vec::new()).unwrap();
        assert_eq!(shapes.iter().count(), 3);
        assert_eq!(shapes.get(2), Some([].as_slice()));
        assert_eq!(shapes.get(3), None);
    }

    #[test]
    fn a_wrong_count_of_dimensions_is_refused() {
        for (rank, rows) in [(2, 2), (0, 3), (usize::MAX, 2)] {
            let error = RowShapes::new(rank, rows, vec![1, 2, 3]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        }
    }
}
