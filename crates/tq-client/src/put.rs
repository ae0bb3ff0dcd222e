//! One batch on its way in. Its keys are reserved and its memory is loaned; the caller fills the
//! columns; then it becomes visible at once, or nothing of it ever does.

use tq_controller::{FieldSchemaUpdate, FieldUpdate, Published, Reservation, Tags};
use tq_proto::Result;
use tq_storage::{ColumnLayout, ColumnPlan, PendingPut};

use crate::embedded::Embedded;

/// A batch that is being put. Dropping it undoes it.
pub struct Put {
    engine: Embedded,
    reservation: Option<Reservation>,
    fields: Vec<FieldUpdate>,
    /// `None` for a put of tags alone.
    pending: Option<PendingPut>,
}

impl Embedded {
    /// Begins to put `columns`, one row per key, under `keys` of `partition`. Keys that exist are
    /// extended or overwritten field by field.
    ///
    /// # Errors
    /// `InvalidArgument` for repeated keys or fields and for columns of another length;
    /// `CapacityExceeded` where samples or bytes do not fit; `Closed`, `Forked`, `System`. Nothing
    /// has changed then.
    pub fn begin_put<K: AsRef<str>>(
        &self,
        partition: &str,
        keys: &[K],
        columns: Vec<ColumnPlan>,
    ) -> Result<Put> {
        self.check()?;
        let fields = columns.iter().map(field_update).collect();
        let reservation = self.shared.controller().reserve(partition, keys)?;
        let mut put = Put {
            engine: self.clone(),
            reservation: Some(reservation),
            fields,
            pending: None,
        };
        if let (Some(reservation), false) = (&put.reservation, columns.is_empty()) {
            let pending = self
                .shared
                .unit
                .begin_put(reservation.global_indexes(), columns)?;
            put.pending = Some(pending);
        }
        Ok(put)
    }
}

impl Put {
    /// Bytes loaned for the batch, padding included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.pending.as_ref().map_or(0, PendingPut::bytes)
    }

    /// The bytes of each column, in the order given: rows back to back. All are to be written.
    pub fn columns_mut(&mut self) -> Vec<&mut [u8]> {
        self.pending
            .as_mut()
            .map(PendingPut::columns_mut)
            .unwrap_or_default()
    }

    /// Makes the batch visible, with `tags` (one per key) merged into those there are.
    ///
    /// # Errors
    /// `NotFound` where a key was cleared meanwhile; `InvalidArgument` for tags of another length;
    /// `Closed`. Nothing of the batch is visible then.
    pub fn publish(mut self, tags: Option<Vec<Tags>>) -> Result<Published> {
        self.engine.check()?;
        if let Some(pending) = self.pending.take() {
            pending.commit()?;
        }
        let Some(reservation) = self.reservation.take() else {
            return Err(tq_proto::Error::new(
                tq_proto::ErrorKind::Internal,
                "a put was published twice",
            ));
        };
        let fields = std::mem::take(&mut self.fields);
        let published = self
            .engine
            .shared
            .controller()
            .publish(reservation, &fields, tags);
        published.map_err(|refused| {
            self.engine.shared.unit.clear(&refused.orphans);
            refused.error
        })
    }
}

impl Drop for Put {
    fn drop(&mut self) {
        if let Some(reservation) = self.reservation.take()
            && self.engine.check().is_ok()
        {
            // The memory first: nobody may find the keys gone and the room still taken.
            self.pending = None;
            let orphans = self.engine.shared.controller().abandon(reservation);
            self.engine.shared.unit.clear(&orphans);
        }
    }
}

fn field_update(column: &ColumnPlan) -> FieldUpdate {
    let schema = match &column.layout {
        ColumnLayout::Dense { dtype, row_shape } => FieldSchemaUpdate::Dense {
            dtype: *dtype,
            row_shape: row_shape.as_slice().into(),
        },
        ColumnLayout::Jagged { dtype, row_shapes } => FieldSchemaUpdate::Jagged {
            dtype: *dtype,
            row_shapes: row_shapes.clone(),
        },
        ColumnLayout::Object { .. } => FieldSchemaUpdate::NonTensor,
    };
    FieldUpdate {
        name: column.field.clone(),
        schema,
    }
}
