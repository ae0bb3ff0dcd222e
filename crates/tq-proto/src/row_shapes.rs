//! Shapes of the rows of a jagged field.

use crate::error::{Error, ErrorKind, Result};

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
    pub fn with_capacity(rank: usize, rows: usize) -> Self {
        Self {
            rank,
            rows: 0,
            dims: Vec::with_capacity(rank.saturating_mul(rows)),
        }
    }

    /// Appends one row's shape.
    ///
    /// # Panics
    /// Where it is of another rank: every shape behind it would be a lie.
    pub fn push(&mut self, shape: &[u64]) {
        assert_eq!(shape.len(), self.rank, "a row of another rank");
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
    fn pushed_shapes_are_those_given_at_once() {
        let mut shapes = RowShapes::with_capacity(2, 1);
        shapes.push(&[1, 2]);
        shapes.push(&[3, 4]);
        assert_eq!(shapes, RowShapes::new(2, 2, vec![1, 2, 3, 4]).unwrap());
    }

    #[test]
    #[should_panic(expected = "a row of another rank")]
    fn a_shape_of_another_rank_is_not_pushed() {
        RowShapes::with_capacity(2, 1).push(&[1]);
    }

    #[test]
    fn a_wrong_count_of_dimensions_is_refused() {
        for (rank, rows, dims) in [
            (2, 2, 3),
            (0, 3, 3),
            (0, 1, 1),
            (1, 1, 0),
            (usize::MAX, 2, 3),
            (usize::MAX, 2, 1),
        ] {
            let error = RowShapes::new(rank, rows, vec![1; dims]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        }
    }
}
