//! The stored description of a column's rows: what each is, and where its bytes lie in the column.

use std::ops::Range;

use tq_proto::{DType, RowShapes};

use crate::error;
use crate::layout::ColumnLayout;
use crate::read_layout::RowLayout;

/// Alignment of packed buffers, column starts and group cuts, in bytes.
pub(crate) const ALIGN: u64 = 64;

/// Rows of one column. `starts` holds the byte each row starts at, and at last the column's length.
pub(crate) enum Rows {
    Dense {
        dtype: DType,
        row_shape: Vec<u64>,
        row_bytes: u64,
        rows: u64,
    },
    Jagged {
        dtype: DType,
        shapes: RowShapes,
        starts: Vec<u64>,
    },
    Object {
        starts: Vec<u64>,
    },
}

/// Why a layout cannot be stored, without the field's name, which the caller knows.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum LayoutError {
    #[error(
        "it describes {found} rows, the put names {asked} samples; describe one row per sample"
    )]
    RowCount { asked: usize, found: usize },
    #[error("its size exceeds 64 bits; check the row shapes")]
    TooLarge,
    #[error(
        "packed buffer {row} is {bytes} bytes; sizes must be positive multiples of {ALIGN}, as \
         planned by the codec"
    )]
    ObjectSize { row: usize, bytes: u64 },
}

impl Rows {
    pub(crate) fn new(layout: ColumnLayout, rows: usize) -> Result<Self, LayoutError> {
        if let Some(found) = layout.rows().filter(|found| *found != rows) {
            return Err(LayoutError::RowCount { asked: rows, found });
        }
        match layout {
            ColumnLayout::Dense { dtype, row_shape } => {
                let rows = rows as u64;
                let row_bytes = dtype.byte_len(&row_shape).ok_or(LayoutError::TooLarge)?;
                row_bytes.checked_mul(rows).ok_or(LayoutError::TooLarge)?;
                Ok(Self::Dense {
                    dtype,
                    row_shape,
                    row_bytes,
                    rows,
                })
            }
            ColumnLayout::Jagged { dtype, row_shapes } => {
                let sizes = row_shapes.iter().map(|shape| dtype.byte_len(shape));
                let starts = prefix_sums(rows, sizes)?;
                Ok(Self::Jagged {
                    dtype,
                    shapes: row_shapes,
                    starts,
                })
            }
            ColumnLayout::Object { row_sizes } => {
                let bad = |bytes: &u64| *bytes == 0 || !bytes.is_multiple_of(ALIGN);
                if let Some(row) = row_sizes.iter().position(bad) {
                    return Err(LayoutError::ObjectSize {
                        row,
                        bytes: row_sizes[row],
                    });
                }
                let starts = prefix_sums(rows, row_sizes.into_iter().map(Some))?;
                Ok(Self::Object { starts })
            }
        }
    }

    /// Bytes of the column.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Dense {
                row_bytes, rows, ..
            } => row_bytes * rows,
            Self::Jagged { starts, .. } | Self::Object { starts } => {
                starts.last().copied().unwrap_or(0)
            }
        }
    }

    /// Bytes `row` takes, relative to the column's start.
    pub(crate) fn range(&self, row: u32) -> Range<u64> {
        match self {
            Self::Dense { row_bytes, .. } => {
                let start = row_bytes * u64::from(row);
                start..start + row_bytes
            }
            Self::Jagged { starts, .. } | Self::Object { starts } => {
                starts[row as usize]..starts[row as usize + 1]
            }
        }
    }

    /// What `row` is.
    pub(crate) fn row_layout(&self, row: u32) -> RowLayout<'_> {
        match self {
            Self::Dense {
                dtype, row_shape, ..
            } => RowLayout::Tensor {
                dtype: *dtype,
                shape: row_shape,
            },
            Self::Jagged { dtype, shapes, .. } => RowLayout::Tensor {
                dtype: *dtype,
                shape: shapes.get(row as usize).unwrap_or_default(),
            },
            Self::Object { .. } => {
                let range = self.range(row);
                RowLayout::Object {
                    bytes: range.end - range.start,
                }
            }
        }
    }

    /// Whether all rows of this column are alike, so that looking at one of them is enough.
    pub(crate) fn is_dense(&self) -> bool {
        matches!(self, Self::Dense { .. })
    }
}

fn prefix_sums(
    rows: usize,
    sizes: impl Iterator<Item = Option<u64>>,
) -> Result<Vec<u64>, LayoutError> {
    let mut starts = Vec::with_capacity(rows + 1);
    let mut end = 0u64;
    starts.push(end);
    for size in sizes {
        end = size
            .and_then(|size| end.checked_add(size))
            .ok_or(LayoutError::TooLarge)?;
        starts.push(end);
    }
    Ok(starts)
}

impl LayoutError {
    pub(crate) fn for_field(self, field: &str) -> tq_proto::Error {
        error::layout(field, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jagged(dims: Vec<u64>) -> ColumnLayout {
        let row_shapes = RowShapes::new(1, dims.len(), dims).unwrap();
        ColumnLayout::Jagged {
            dtype: DType::Int32,
            row_shapes,
        }
    }

    #[test]
    fn jagged_rows_lie_back_to_back() {
        let rows = Rows::new(jagged(vec![3, 0, 1]), 3).unwrap();
        assert_eq!(
            [rows.range(0), rows.range(1), rows.range(2)],
            [0..12, 12..12, 12..16]
        );
        assert_eq!(rows.bytes(), 16);
        assert_eq!(
            rows.row_layout(2),
            RowLayout::Tensor {
                dtype: DType::Int32,
                shape: &[1]
            }
        );
    }

    #[test]
    fn impossible_layouts_are_refused() {
        let row_count = Rows::new(jagged(vec![3, 1]), 3).err();
        assert_eq!(
            row_count,
            Some(LayoutError::RowCount { asked: 3, found: 2 })
        );
        for size in [0, 63, 65] {
            let odd = Rows::new(
                ColumnLayout::Object {
                    row_sizes: vec![64, size],
                },
                2,
            )
            .err();
            assert_eq!(
                odd,
                Some(LayoutError::ObjectSize {
                    row: 1,
                    bytes: size
                })
            );
        }
        let wide = ColumnLayout::Dense {
            dtype: DType::UInt8,
            row_shape: vec![1 << 63],
        };
        assert_eq!(Rows::new(wide, 2).err(), Some(LayoutError::TooLarge));
        let sum = jagged(vec![1 << 61, 1 << 61]);
        assert_eq!(Rows::new(sum, 2).err(), Some(LayoutError::TooLarge));
    }
}
