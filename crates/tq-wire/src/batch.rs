//! Metadata of samples: batches and statuses.

use tq_controller::{BatchColumns, FieldColumns, FieldSelection, Shape, StatusColumns};
use tq_proto::Result;

use crate::columns::{dtype, read_shape, shape_of};
use crate::malformed::{malformed, required, same_length};
use crate::proto::{self, field_selection::Kind};
use crate::tags::tags;
use crate::texts::{count, field_names, indexes, names, numbers};

impl proto::FieldSelection {
    /// The message for `selection`.
    #[must_use]
    pub fn of(selection: &FieldSelection) -> Self {
        let (kind, chosen) = match selection {
            FieldSelection::All => (Kind::All, [].as_slice()),
            FieldSelection::Named(fields) => (Kind::Named, fields.as_slice()),
            FieldSelection::Known(fields) => (Kind::Known, fields.as_slice()),
        };
        Self {
            kind: kind.into(),
            names: names(chosen),
        }
    }

    /// The selection.
    ///
    /// # Errors
    /// `Internal` for an unknown kind.
    pub fn read(self) -> Result<FieldSelection> {
        Ok(match Kind::try_from(self.kind) {
            Ok(Kind::All) => FieldSelection::All,
            Ok(Kind::Named) => FieldSelection::Named(field_names(self.names)),
            Ok(Kind::Known) => FieldSelection::Known(field_names(self.names)),
            Err(error) => return Err(malformed("unknown field selection").caused_by(error)),
        })
    }
}

impl proto::OptionalShapes {
    fn of(shapes: &[Option<Shape>]) -> Self {
        let rank = |shape: &Option<Shape>| shape.as_ref().map_or(0, |shape| shape.len() as u32 + 1);
        Self {
            ranks: shapes.iter().map(rank).collect(),
            dims: shapes
                .iter()
                .flatten()
                .flat_map(|shape| shape.iter().copied())
                .collect(),
        }
    }

    fn read(self) -> Result<Vec<Option<Shape>>> {
        let mut dims = self.dims.as_slice();
        let mut shapes = Vec::with_capacity(self.ranks.len());
        for rank in self.ranks {
            let Some(rank) = rank.checked_sub(1) else {
                shapes.push(None);
                continue;
            };
            let (shape, rest) = dims
                .split_at_checked(rank as usize)
                .ok_or_else(|| malformed("row shapes lack dimensions"))?;
            shapes.push(Some(shape.into()));
            dims = rest;
        }
        if dims.is_empty() {
            Ok(shapes)
        } else {
            Err(malformed("there are dimensions behind the last row shape"))
        }
    }
}

impl proto::FieldColumn {
    fn of(field: &FieldColumns) -> Self {
        Self {
            name: field.name.as_ref().into(),
            dtype: field.dtype.map(|dtype| dtype.code().into()),
            shape: field.shape.as_deref().map(shape_of),
            is_nested: field.is_nested,
            is_non_tensor: field.is_non_tensor,
            row_shapes: field.row_shapes.as_deref().map(proto::OptionalShapes::of),
        }
    }

    fn read(self, rows: usize) -> Result<FieldColumns> {
        let row_shapes = self
            .row_shapes
            .map(proto::OptionalShapes::read)
            .transpose()?;
        if let Some(shapes) = &row_shapes {
            same_length("row shapes", shapes.len(), rows)?;
        }
        Ok(FieldColumns {
            name: self.name.into(),
            dtype: self.dtype.map(dtype).transpose()?,
            shape: self.shape.map(read_shape),
            is_nested: self.is_nested,
            is_non_tensor: self.is_non_tensor,
            row_shapes,
        })
    }
}

impl proto::Batch {
    /// The message for `batch`.
    #[must_use]
    pub fn of(batch: &BatchColumns) -> Self {
        Self {
            partition: batch.partition.as_ref().into(),
            global_indexes: numbers(&batch.global_indexes),
            fields: batch.fields.iter().map(proto::FieldColumn::of).collect(),
            produced: batch.produced.clone(),
            tags: Some(proto::Tags::of(&batch.tags)),
            keys: Some(proto::OptionalTexts::of(&batch.keys)),
            receipts: batch.receipts.as_ref().map(proto::Receipts::of),
        }
    }

    /// The batch.
    ///
    /// # Errors
    /// `Internal` where the columns contradict each other.
    pub fn read(self) -> Result<BatchColumns> {
        let rows = self.global_indexes.len();
        same_length("production flags", self.produced.len(), rows)?;
        check_bits(&self.produced)?;
        let keys = required("keys", self.keys)?.read()?;
        same_length("keys", keys.len(), rows)?;
        let receipts = self.receipts.map(|receipts| receipts.read(rows));
        let fields = self.fields.into_iter().map(|field| field.read(rows));
        Ok(BatchColumns {
            partition: self.partition.into(),
            fields: fields.collect::<Result<_>>()?,
            produced: self.produced,
            tags: tags(self.tags.as_ref(), rows)?,
            keys,
            receipts: receipts.transpose()?,
            global_indexes: indexes(self.global_indexes),
        })
    }
}

impl proto::BatchReply {
    /// The reply that gives `batch`.
    #[must_use]
    pub fn of(batch: Option<&BatchColumns>) -> Self {
        Self {
            batch: batch.map(proto::Batch::of),
        }
    }

    /// The batch, if any.
    ///
    /// # Errors
    /// As [`proto::Batch::read`].
    pub fn read(self) -> Result<Option<BatchColumns>> {
        self.batch.map(proto::Batch::read).transpose()
    }
}

impl proto::StatusReply {
    /// The reply that gives `status`.
    #[must_use]
    pub fn of(status: Option<&StatusColumns>) -> Self {
        let message = |status: &StatusColumns| proto::Status {
            global_indexes: numbers(&status.global_indexes),
            fields: status.fields as u64,
            cells: status.cells.clone(),
        };
        Self {
            status: status.map(message),
        }
    }

    /// The status, if any.
    ///
    /// # Errors
    /// `Internal` where there are other than samples times fields cells, or other values in them.
    pub fn read(self) -> Result<Option<StatusColumns>> {
        let Some(status) = self.status else {
            return Ok(None);
        };
        let (rows, fields) = (status.global_indexes.len(), count(status.fields));
        if rows.checked_mul(fields) != Some(status.cells.len()) {
            return Err(malformed("a status lacks cells"));
        }
        check_bits(&status.cells)?;
        Ok(Some(StatusColumns {
            global_indexes: indexes(status.global_indexes),
            fields,
            cells: status.cells,
        }))
    }
}

/// Flags are one byte each, 0 or 1.
pub(crate) fn check_bits(bytes: &[u8]) -> Result<()> {
    if bytes.iter().all(|byte| *byte < 2) {
        Ok(())
    } else {
        Err(malformed("a flag is neither 0 nor 1"))
    }
}
