//! What a put says about its columns.

use tq_controller::Shape;
use tq_proto::{DType, Result, RowShapes};
use tq_storage::{ColumnLayout, ColumnPlan};

use crate::malformed::{malformed, required};
use crate::proto::{self, layout::Of};

/// The dtype of a code.
pub(crate) fn dtype(code: u32) -> Result<DType> {
    u8::try_from(code)
        .ok()
        .and_then(DType::from_code)
        .ok_or_else(|| malformed(format_args!("unknown dtype {code}")))
}

pub(crate) fn shape_of(dims: &[u64]) -> proto::Shape {
    proto::Shape {
        dims: dims.to_vec(),
    }
}

pub(crate) fn read_shape(shape: proto::Shape) -> Shape {
    shape.dims.into()
}

impl proto::RowShapes {
    fn of(shapes: &RowShapes) -> Self {
        Self {
            rank: shapes.rank() as u32,
            rows: shapes.rows() as u64,
            dims: shapes.dims().to_vec(),
        }
    }

    fn read(self) -> Result<RowShapes> {
        let rows = usize::try_from(self.rows).unwrap_or(usize::MAX);
        RowShapes::new(self.rank as usize, rows, self.dims)
            .map_err(|error| malformed("row shapes lack dimensions").caused_by(error))
    }
}

impl proto::Layout {
    /// The message for `layout`.
    #[must_use]
    pub fn of(layout: &ColumnLayout) -> Self {
        let of = match layout {
            ColumnLayout::Dense { dtype, row_shape } => Of::Dense(proto::Dense {
                dtype: dtype.code().into(),
                row_shape: Some(shape_of(row_shape)),
            }),
            ColumnLayout::Jagged { dtype, row_shapes } => Of::Jagged(proto::Jagged {
                dtype: dtype.code().into(),
                row_shapes: Some(proto::RowShapes::of(row_shapes)),
            }),
            ColumnLayout::Object { row_sizes } => Of::Object(proto::Object {
                row_sizes: row_sizes.clone(),
            }),
        };
        Self { of: Some(of) }
    }

    /// The layout. It may describe any number of rows: whoever knows how many there are compares.
    ///
    /// # Errors
    /// `Internal` for an unknown dtype, and for row shapes that lack dimensions.
    pub fn read(self) -> Result<ColumnLayout> {
        Ok(match required("layout", self.of)? {
            Of::Dense(dense) => ColumnLayout::Dense {
                dtype: dtype(dense.dtype)?,
                row_shape: dense.row_shape.unwrap_or_default().dims,
            },
            Of::Jagged(jagged) => ColumnLayout::Jagged {
                dtype: dtype(jagged.dtype)?,
                row_shapes: required("row shapes", jagged.row_shapes)?.read()?,
            },
            Of::Object(object) => ColumnLayout::Object {
                row_sizes: object.row_sizes,
            },
        })
    }
}

impl proto::ColumnPlan {
    /// The messages for `plans`.
    #[must_use]
    pub fn of(plans: &[ColumnPlan]) -> Vec<Self> {
        let plan = |plan: &ColumnPlan| Self {
            field: plan.field.as_ref().into(),
            layout: Some(proto::Layout::of(&plan.layout)),
        };
        plans.iter().map(plan).collect()
    }

    /// The plans. The engine compares their numbers of rows with the samples put.
    ///
    /// # Errors
    /// As [`proto::Layout::read`].
    pub fn read(plans: Vec<Self>) -> Result<Vec<ColumnPlan>> {
        let read = |plan: Self| {
            Ok(ColumnPlan {
                field: plan.field.into(),
                layout: required("layout", plan.layout)?.read()?,
            })
        };
        plans.into_iter().map(read).collect()
    }
}
