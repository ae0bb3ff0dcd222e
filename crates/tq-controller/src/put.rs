//! Publish: a batch that was reserved becomes visible, all of it or none.

use tq_proto::{Error, ErrorKind, FieldName, GlobalIndex, Result};

use crate::Controller;
use crate::parcels::Stored;
use crate::partition::Partition;
use crate::reserve::Reservation;
use crate::schema::FieldSchemaUpdate;
use crate::tags::Tags;
use crate::wording::{invalid, some_of};

/// One field of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldUpdate {
    /// Name of the field.
    pub name: FieldName,
    /// What its rows look like.
    pub schema: FieldSchemaUpdate,
}

/// What a put has brought about.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// The tags of each row after the merge, in the order of the reservation.
    pub tags: Vec<Tags>,
    /// Sorted names of the fields now produced for all rows of the batch.
    pub fields: Vec<FieldName>,
    /// Number of this change to the partition.
    pub sequence: u64,
}

/// A publish that was refused. Nothing of it is visible and its reservation is undone.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Refused {
    /// Why.
    pub error: Error,
    /// Global indexes of the batch that no sample has (any more); what is stored for them may be
    /// dropped.
    pub orphans: Vec<GlobalIndex>,
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

impl Controller {
    /// Makes the batch visible: its samples, its fields as produced, its tags merged name by name.
    /// `fields` may be empty; `tags` has one entry per row. The bytes must be readable before.
    ///
    /// # Errors
    /// Nothing is published, and the reservation is undone as by [`Self::abandon`]:
    /// `NotFound` when a sample of the batch was cleared since it was reserved, naming its key;
    /// `InvalidArgument` when a field comes twice, or a description per row or the tags have
    /// another length than the keys.
    pub fn publish(
        &mut self,
        reservation: Reservation,
        fields: &[FieldUpdate],
        tags: Option<Vec<Tags>>,
    ) -> Result<Published, Refused> {
        self.publish_stored(reservation, fields, tags, &Stored::default())
    }

    /// As [`Self::publish`], for rows that lie in a storage backend: where they lie and what the
    /// backend noted of them becomes known in the same step.
    ///
    /// # Errors
    /// As [`Self::publish`]; `InvalidArgument` too for rows outside their parcel. The parcels of a
    /// publish that was refused are the caller's to delete.
    pub fn publish_stored(
        &mut self,
        reservation: Reservation,
        fields: &[FieldUpdate],
        tags: Option<Vec<Tags>>,
        stored: &Stored,
    ) -> Result<Published, Refused> {
        let rows = reservation.slots.len();
        let state = self.partitions.get_mut(&reservation.partition);
        let checked = stored
            .check(rows)
            .and_then(|()| check(state, &reservation, fields, tags.as_deref()));
        let state = match checked {
            Ok(state) => state,
            Err(error) => {
                let error = error.with("partition", &reservation.partition);
                return Err(Refused {
                    error,
                    orphans: self.abandon(reservation),
                });
            }
        };

        // Nothing below can fail.
        let slots = &reservation.slots;
        state.slots.show(slots);
        state.changed(slots, &mut self.counters);
        for field in fields {
            state.fields.produce(&field.name, slots, &field.schema);
        }
        state.parcels.place(slots, stored, &self.bin);
        state.receipts.merge(slots, &stored.receipts);
        for (slot, update) in slots.iter().zip(tags.unwrap_or_default()) {
            state.slots[*slot].tags.merge(update, &mut state.tag_names);
        }
        Ok(Published {
            tags: slots
                .iter()
                .map(|slot| state.slots[*slot].tags.clone())
                .collect(),
            fields: state.fields.ready(slots, state.slots.counted()),
            sequence: state.sequence,
        })
    }
}

/// Everything that can speak against a publish, before any of it is applied.
fn check<'a>(
    state: Option<&'a mut Partition>,
    reservation: &Reservation,
    fields: &[FieldUpdate],
    tags: Option<&[Tags]>,
) -> Result<&'a mut Partition> {
    let rows = reservation.slots.len();
    for (place, field) in fields.iter().enumerate() {
        if fields[..place]
            .iter()
            .any(|earlier| earlier.name == field.name)
        {
            return Err(invalid(format!(
                "field `{}` was put twice in one call; name each field once",
                field.name
            )));
        }
        if let Some(described) = field.schema.rows().filter(|described| *described != rows) {
            return Err(invalid(format!(
                "field `{}` describes {described} rows, but {rows} were put; describe each row \
                 once",
                field.name
            )));
        }
    }
    if let Some(given) = tags.map(<[Tags]>::len).filter(|given| *given != rows) {
        return Err(invalid(format!(
            "{given} tags were put with {rows} rows; give one set of tags per row"
        )));
    }
    let holds = |state: &Partition, row: usize| {
        let index = reservation.global_indexes()[row];
        state.slots.holds(reservation.slots[row], index)
    };
    let gone = match state {
        Some(state) if (0..rows).all(|row| holds(state, row)) => return Ok(state),
        Some(state) => (0..rows).filter(|row| !holds(state, *row)).collect(),
        None => Vec::from_iter(0..rows),
    };
    let gone = some_of(gone.into_iter().map(|row| reservation.label(row)));
    Err(Error::new(
        ErrorKind::NotFound,
        format!(
            "samples {gone} were cleared while they were being put; nothing was published, put \
             them again if they are still wanted"
        ),
    ))
}
