//! What the rows of a read are, taken together as one column.

use std::sync::Arc;

use tq_proto::{DType, RowShapes};

use crate::read::RowRef;
use crate::rows::Rows;

/// What one row is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RowLayout<'a> {
    /// A tensor.
    Tensor {
        /// Element type.
        dtype: DType,
        /// Shape of the row, without the batch dimension.
        shape: &'a [u64],
    },
    /// A packed buffer.
    Object {
        /// Bytes of the packed buffer.
        bytes: u64,
    },
}

/// A tensor row of a read whose rows are not alike.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TensorRow {
    /// Element type.
    pub dtype: DType,
    /// Shape of the row, without the batch dimension.
    pub shape: Vec<u64>,
}

/// What the rows of a read are, in request order: the narrowest description that fits all of them,
/// however they were put.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReadLayout {
    /// Tensor rows of one dtype and one shape.
    Dense {
        /// Element type of every row.
        dtype: DType,
        /// Shape of every row, without the batch dimension.
        row_shape: Vec<u64>,
    },
    /// Tensor rows of one dtype and rank whose shapes differ.
    Jagged {
        /// Element type of every row.
        dtype: DType,
        /// Shape of each row.
        row_shapes: RowShapes,
    },
    /// Tensor rows whose dtypes or ranks differ; also a read of no rows.
    Mixed {
        /// Each row.
        rows: Vec<TensorRow>,
    },
    /// Packed buffers.
    Object {
        /// Bytes of each row.
        row_sizes: Vec<u64>,
    },
    /// Tensor rows among packed buffers; [`ColumnRead::row_layout`] tells what each row is.
    ///
    /// [`ColumnRead::row_layout`]: crate::ColumnRead::row_layout
    Heterogeneous,
}

/// The rows in order, and which of them are worth a look: not those behind a row of the same dense
/// column.
fn rows<'a>(
    refs: &'a [RowRef],
    sources: &'a [Arc<Rows>],
) -> impl Iterator<Item = (RowLayout<'a>, bool)> {
    let mut last = None;
    refs.iter().map(move |at| {
        let source = &sources[at.source as usize];
        let differs = last != Some(at.source) || !source.is_dense();
        last = Some(at.source);
        (source.row_layout(at.row), differs)
    })
}

impl ReadLayout {
    pub(crate) fn of(refs: &[RowRef], sources: &[Arc<Rows>]) -> Self {
        let (mut tensors, mut objects) = (false, false);
        let (mut one_shape, mut one_rank) = (true, true);
        let mut first: Option<(DType, &[u64])> = None;
        for (row, _) in rows(refs, sources).filter(|(_, differs)| *differs) {
            match row {
                RowLayout::Object { .. } => objects = true,
                RowLayout::Tensor { dtype, shape } => {
                    tensors = true;
                    let (one_dtype, like) = *first.get_or_insert((dtype, shape));
                    one_shape &= dtype == one_dtype && shape == like;
                    one_rank &= dtype == one_dtype && shape.len() == like.len();
                }
            }
        }
        match first {
            _ if objects && tensors => Self::Heterogeneous,
            None if objects => Self::Object {
                row_sizes: object_sizes(refs, sources),
            },
            Some((dtype, shape)) if one_shape => Self::Dense {
                dtype,
                row_shape: shape.to_vec(),
            },
            Some((dtype, shape)) if one_rank => {
                let mut row_shapes = RowShapes::with_capacity(shape.len(), refs.len());
                tensor_rows(refs, sources).for_each(|(_, shape)| row_shapes.push(shape));
                Self::Jagged { dtype, row_shapes }
            }
            _ => {
                let owned = |(dtype, shape): (DType, &[u64])| TensorRow {
                    dtype,
                    shape: shape.to_vec(),
                };
                Self::Mixed {
                    rows: tensor_rows(refs, sources).map(owned).collect(),
                }
            }
        }
    }
}

fn tensor_rows<'a>(
    refs: &'a [RowRef],
    sources: &'a [Arc<Rows>],
) -> impl Iterator<Item = (DType, &'a [u64])> {
    rows(refs, sources).filter_map(|(row, _)| match row {
        RowLayout::Tensor { dtype, shape } => Some((dtype, shape)),
        RowLayout::Object { .. } => None,
    })
}

fn object_sizes(refs: &[RowRef], sources: &[Arc<Rows>]) -> Vec<u64> {
    let sizes = rows(refs, sources).filter_map(|(row, _)| match row {
        RowLayout::Object { bytes } => Some(bytes),
        RowLayout::Tensor { .. } => None,
    });
    sizes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::ColumnLayout;

    fn dense(dtype: DType, shape: &[u64]) -> Arc<Rows> {
        let layout = ColumnLayout::Dense {
            dtype,
            row_shape: shape.to_vec(),
        };
        Arc::new(Rows::new(layout, 4).unwrap())
    }

    fn jagged(dtype: DType, lengths: &[u64]) -> Arc<Rows> {
        let row_shapes = RowShapes::new(1, lengths.len(), lengths.to_vec()).unwrap();
        Arc::new(Rows::new(ColumnLayout::Jagged { dtype, row_shapes }, lengths.len()).unwrap())
    }

    fn objects(sizes: &[u64]) -> Arc<Rows> {
        let layout = ColumnLayout::Object {
            row_sizes: sizes.to_vec(),
        };
        Arc::new(Rows::new(layout, sizes.len()).unwrap())
    }

    fn read(sources: &[Arc<Rows>], at: &[(u32, u32)]) -> ReadLayout {
        let refs: Vec<_> = at
            .iter()
            .map(|(source, row)| RowRef {
                source: *source,
                row: *row,
            })
            .collect();
        ReadLayout::of(&refs, sources)
    }

    #[test]
    fn rows_alike_are_dense_however_they_were_put() {
        let sources = [dense(DType::Int64, &[3]), jagged(DType::Int64, &[3, 5, 3])];
        let wanted = ReadLayout::Dense {
            dtype: DType::Int64,
            row_shape: vec![3],
        };
        assert_eq!(read(&sources, &[(0, 0), (0, 1), (1, 0), (1, 2)]), wanted);
        assert_eq!(read(&sources, &[(1, 2), (0, 3)]), wanted);
    }

    #[test]
    fn differing_shapes_of_one_rank_are_jagged() {
        let sources = [dense(DType::Int64, &[3]), jagged(DType::Int64, &[3, 5])];
        let row_shapes = RowShapes::new(1, 3, vec![3, 5, 3]).unwrap();
        let wanted = ReadLayout::Jagged {
            dtype: DType::Int64,
            row_shapes,
        };
        assert_eq!(read(&sources, &[(0, 0), (1, 1), (0, 1)]), wanted);
    }

    #[test]
    fn differing_ranks_or_dtypes_are_mixed() {
        for other in [dense(DType::Int64, &[3, 1]), dense(DType::Int32, &[3])] {
            let RowLayout::Tensor { dtype, shape } = other.row_layout(0) else {
                unreachable!()
            };
            let row = TensorRow {
                dtype,
                shape: shape.to_vec(),
            };
            let first = TensorRow {
                dtype: DType::Int64,
                shape: vec![3],
            };
            let wanted = ReadLayout::Mixed {
                rows: vec![first, row],
            };
            assert_eq!(
                read(&[dense(DType::Int64, &[3]), other], &[(0, 0), (1, 0)]),
                wanted
            );
        }
    }

    #[test]
    fn packed_buffers_alone_are_objects_and_among_tensors_heterogeneous() {
        let sources = [objects(&[64, 128]), dense(DType::Int64, &[3])];
        let wanted = ReadLayout::Object {
            row_sizes: vec![128, 64, 128],
        };
        assert_eq!(read(&sources, &[(0, 1), (0, 0), (0, 1)]), wanted);
        assert_eq!(read(&sources, &[(0, 1), (1, 0)]), ReadLayout::Heterogeneous);
        assert_eq!(read(&sources, &[(1, 1), (0, 0)]), ReadLayout::Heterogeneous);
    }

    #[test]
    fn no_rows_are_mixed() {
        assert_eq!(read(&[], &[]), ReadLayout::Mixed { rows: Vec::new() });
    }
}
