//! Reserve, publish, abandon: keys become samples, all of a batch or none.

use tq_proto::{Error, ErrorKind, FieldName, GlobalIndex, Key, PartitionId, Result};

use crate::Controller;
use crate::partition::Partition;
use crate::schema::FieldSchemaUpdate;
use crate::slots::{Slot, State};
use crate::tags::Tags;
use crate::wording::some_of;

/// Global indexes held for a put that is under way. It ends in [`Controller::publish`] or
/// [`Controller::abandon`]; one that is dropped keeps its new keys pending for ever.
#[derive(Debug)]
#[must_use = "publish or abandon it, or its new keys stay pending"]
pub struct Reservation {
    partition: PartitionId,
    keys: Vec<Key>,
    slots: Vec<Slot>,
    global_indexes: Vec<GlobalIndex>,
    is_new: Vec<bool>,
}

impl Reservation {
    /// The partition it is for.
    #[must_use]
    pub fn partition(&self) -> &PartitionId {
        &self.partition
    }

    /// The keys, in the order they were asked for.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The global index of each key.
    #[must_use]
    pub fn global_indexes(&self) -> &[GlobalIndex] {
        &self.global_indexes
    }

    /// For each key, whether no visible sample had it when it was reserved. Another reservation
    /// may hold the same pending sample.
    #[must_use]
    pub fn is_new(&self) -> &[bool] {
        &self.is_new
    }
}

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
    /// The tags of each key after the merge, in the order of the reservation.
    pub tags: Vec<Tags>,
    /// Sorted names of the fields now produced for all keys of the batch.
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

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

impl Controller {
    /// Gives each of `keys` its global index: that of its sample where there is one, else that of
    /// the pending sample of a concurrent put of the same key, else a fresh one. Nothing of it is
    /// visible, neither keys nor a new partition.
    ///
    /// # Errors
    /// `InvalidArgument` when `keys` is empty or names a key twice; `CapacityExceeded` beyond
    /// 2^32 - 1 samples in a partition. Nothing is reserved then.
    pub fn reserve<K: AsRef<str>>(&mut self, partition: &str, keys: &[K]) -> Result<Reservation> {
        if keys.is_empty() {
            return Err(
                invalid("an empty list of keys was put; name at least one key".into())
                    .with("partition", partition),
            );
        }
        let id = PartitionId::from(partition);
        let state = self
            .partitions
            .entry(id.clone())
            .or_insert_with(|| Partition::new(id.clone()));
        if keys.len() > state.slots.room() {
            let error = Error::new(
                ErrorKind::CapacityExceeded,
                format!(
                    "{} keys were put where {} samples are held and {} more fit; clear samples or \
                     use another partition",
                    keys.len(),
                    state.slots.occupied(),
                    state.slots.room()
                ),
            );
            self.forget_if_unused(&id);
            return Err(error.with("partition", partition));
        }

        let call = self.counters.next_call();
        let mut reservation = Reservation {
            partition: id,
            keys: Vec::with_capacity(keys.len()),
            slots: Vec::with_capacity(keys.len()),
            global_indexes: Vec::with_capacity(keys.len()),
            is_new: Vec::with_capacity(keys.len()),
        };
        let mut repeated = Vec::new();
        if keys
            .first()
            .is_some_and(|key| state.keys.get(key.as_ref()).is_none())
        {
            // Batches are mostly all new or all known.
            state.slots.prepare(keys.len());
            state.keys.prepare(keys.len());
        }
        for key in keys {
            let key = key.as_ref();
            let slot = match state.keys.get(key) {
                Some(slot) if state.slots.touch(slot, call) => {
                    if let State::Pending(holders) = &mut state.slots[slot].state {
                        *holders += 1;
                    }
                    slot
                }
                Some(_) => {
                    repeated.push(key);
                    continue;
                }
                None => {
                    let key = Key::from(key);
                    let slot = state
                        .slots
                        .add(self.counters.next_index(), key.clone(), call);
                    state.keys.insert(key, slot);
                    slot
                }
            };
            let sample = &state.slots[slot];
            reservation.keys.push(sample.key.clone());
            reservation.slots.push(slot);
            reservation.global_indexes.push(sample.index);
            reservation.is_new.push(sample.state != State::Visible);
        }
        if repeated.is_empty() {
            return Ok(reservation);
        }
        self.abandon(reservation);
        Err(invalid(format!(
            "{} keys were put, but {} came before in the same call; name each key once",
            keys.len(),
            some_of(repeated)
        ))
        .with("partition", partition))
    }

    /// Makes the batch visible: its keys, its fields as produced, its tags merged name by name.
    /// `fields` may be empty; `tags` has one entry per key. The bytes must be readable before.
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
        let state = match check(
            self.partitions.get_mut(&reservation.partition),
            &reservation,
            fields,
            tags.as_deref(),
        ) {
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
        state.changed(&mut self.counters);
        state.slots.show(slots);
        for field in fields {
            state.fields.produce(&field.name, slots, &field.schema);
        }
        for (slot, update) in slots.iter().zip(tags.unwrap_or_default()) {
            state.slots[*slot].tags.merge(update, &mut state.tag_names);
        }
        Ok(Published {
            tags: slots
                .iter()
                .map(|slot| state.slots[*slot].tags.clone())
                .collect(),
            fields: state.fields.ready(slots, state.slots.visible()),
            sequence: state.sequence,
        })
    }

    /// Undoes a reservation: its pending samples that no other reservation holds disappear.
    /// Returns the global indexes of the batch that no sample has (any more); what was stored for
    /// them may be dropped.
    pub fn abandon(&mut self, reservation: Reservation) -> Vec<GlobalIndex> {
        let Reservation {
            partition,
            slots,
            global_indexes,
            ..
        } = reservation;
        let Some(state) = self.partitions.get_mut(&partition) else {
            return global_indexes;
        };
        let mut orphans = Vec::new();
        let mut unheld = Vec::new();
        for (slot, index) in slots.into_iter().zip(global_indexes) {
            if !state.slots.holds(slot, index) {
                orphans.push(index);
                continue;
            }
            match &mut state.slots[slot].state {
                State::Pending(1) => {
                    unheld.push(slot);
                    orphans.push(index);
                }
                State::Pending(holders) => *holders -= 1,
                State::Visible | State::Free => {}
            }
        }
        state.free(&unheld);
        self.forget_if_unused(&partition);
        orphans
    }

    pub(crate) fn forget_if_unused(&mut self, partition: &PartitionId) {
        if self
            .partitions
            .get(partition)
            .is_some_and(Partition::is_forgettable)
        {
            self.partitions.remove(partition);
        }
    }
}

/// Everything that can speak against a publish, before any of it is applied.
fn check<'a>(
    state: Option<&'a mut Partition>,
    reservation: &Reservation,
    fields: &[FieldUpdate],
    tags: Option<&[Tags]>,
) -> Result<&'a mut Partition> {
    let rows = reservation.keys.len();
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
                "field `{}` describes {described} rows, but {rows} keys were put; describe one row \
                 per key",
                field.name
            )));
        }
    }
    if let Some(given) = tags.map(<[Tags]>::len).filter(|given| *given != rows) {
        return Err(invalid(format!(
            "{given} tags were put with {rows} keys; give one set of tags per key"
        )));
    }
    let cleared = |keys| {
        let message = format!(
            "keys {keys} were cleared while they were being put; nothing was published, put them \
             again if they are still wanted"
        );
        Error::new(ErrorKind::NotFound, message)
    };
    let Some(state) = state else {
        return Err(cleared(some_of(&reservation.keys)));
    };
    let mut gone = (0..rows)
        .filter(|row| {
            !state
                .slots
                .holds(reservation.slots[*row], reservation.global_indexes[*row])
        })
        .map(|row| &reservation.keys[row])
        .peekable();
    if gone.peek().is_some() {
        return Err(cleared(some_of(gone)));
    }
    drop(gone);
    Ok(state)
}
