//! Keys to samples, and what is produced for them.

use tq_proto::{Error, ErrorKind, FieldName, GlobalIndex, Key, Result};

use crate::Controller;
use crate::partition::Partition;
use crate::schema::{FieldSchema, RowSchema};
use crate::slots::{Sample, Slot, State};
use crate::wording::some_of;

/// Answer to [`Controller::resolve`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolved {
    /// Positions in the request of the keys that were found, ascending.
    pub positions: Vec<usize>,
    /// The global index of each found key.
    pub global_indexes: Vec<GlobalIndex>,
    /// Sorted names of the fields produced for all found samples; empty when none was found.
    pub fields: Vec<FieldName>,
    /// Positions in the request of the keys that were not found, ascending.
    pub missing: Vec<usize>,
}

impl Controller {
    /// Looks up `keys`. A key that comes twice is found twice; unknown ones, and all keys of an
    /// unknown partition, are missing.
    #[must_use]
    pub fn resolve<K: AsRef<str>>(&self, partition: &str, keys: &[K]) -> Resolved {
        let Some(state) = self.visible(partition) else {
            return Resolved {
                missing: (0..keys.len()).collect(),
                ..Resolved::default()
            };
        };
        let mut found = Resolved {
            positions: Vec::with_capacity(keys.len()),
            global_indexes: Vec::with_capacity(keys.len()),
            ..Resolved::default()
        };
        let mut slots = Vec::with_capacity(keys.len());
        for (position, slot) in state.visible_slots(keys).enumerate() {
            match slot {
                Some(slot) => {
                    found.positions.push(position);
                    found.global_indexes.push(state.slots[slot].index);
                    slots.push(slot);
                }
                None => found.missing.push(position),
            }
        }
        found.fields = state.fields.ready(&slots, state.slots.counted());
        found
    }

    /// Sorted names of the fields produced for all samples of `global_indexes`; none for an empty
    /// list.
    ///
    /// # Errors
    /// `NotFound` when the partition or one of the samples does not exist.
    pub fn ready_fields(
        &self,
        partition: &str,
        global_indexes: &[GlobalIndex],
    ) -> Result<Vec<FieldName>> {
        let (state, slots) = self.locate(partition, global_indexes)?;
        Ok(state.fields.ready(&slots, state.slots.counted()))
    }

    /// Checks that each of `fields` is produced for each sample of `global_indexes`.
    ///
    /// # Errors
    /// `NotFound` when the partition or one of the samples does not exist; `NotReady` naming the
    /// first field that is not produced everywhere, and samples for which it is not.
    pub fn require_fields<F: AsRef<str>>(
        &self,
        partition: &str,
        global_indexes: &[GlobalIndex],
        fields: &[F],
    ) -> Result<()> {
        let (state, slots) = self.locate(partition, global_indexes)?;
        for name in fields.iter().map(AsRef::as_ref) {
            let field = state.fields.get(name);
            let lacks = |slot: &Slot| !field.is_some_and(|field| field.is_produced(*slot));
            let lacking: Vec<_> = slots.iter().copied().filter(lacks).collect();
            if lacking.is_empty() {
                continue;
            }
            let samples = some_of(lacking.iter().map(|slot| state.slots[*slot].label()));
            return Err(Error::new(
                ErrorKind::NotReady,
                format!(
                    "field `{name}` is not produced for {samples} ({} of the {} samples asked \
                     for); ask again once it is put, or ask for other fields",
                    lacking.len(),
                    slots.len()
                ),
            )
            .with("partition", partition));
        }
        Ok(())
    }

    /// The key of each sample of `global_indexes`, none where there is no such sample or it has no
    /// key. None at all for an unknown partition.
    #[must_use]
    pub fn keys_of(
        &self,
        partition: &str,
        global_indexes: &[GlobalIndex],
    ) -> Option<Vec<Option<Key>>> {
        let state = self.visible(partition)?;
        // A pre-allocated sample may have the key of a put under way, which no query shows.
        let key = |slot| {
            let sample: &Sample = &state.slots[slot];
            sample
                .key
                .clone()
                .filter(|_| sample.state == State::Visible)
        };
        let found = global_indexes.iter().map(|index| state.slots.find(*index));
        Some(found.map(|slot| slot.and_then(key)).collect())
    }

    /// Sorted names of the fields produced for one key; none when it does not exist.
    #[must_use]
    pub fn fields_of(&self, partition: &str, key: &str) -> Option<Vec<FieldName>> {
        let state = self.visible(partition)?;
        let slot = state.visible_slots(&[key]).next()??;
        Some(state.fields.ready(&[slot], state.slots.counted()))
    }

    /// Every field known to `partition` with its schema, in the order of their first put. A field
    /// whose last row was cleared stays, with 0 rows. Empty for an unknown partition.
    #[must_use]
    pub fn schema(&self, partition: &str) -> Vec<(FieldName, FieldSchema)> {
        let fields = self
            .visible(partition)
            .into_iter()
            .flat_map(|state| state.fields.iter());
        fields
            .map(|field| (field.name.clone(), field.schema()))
            .collect()
    }

    /// Dtype and shape of `field` for each sample of `global_indexes`; none where it is not
    /// produced.
    ///
    /// # Errors
    /// `NotFound` when the partition, the field or one of the samples does not exist.
    pub fn row_schemas(
        &self,
        partition: &str,
        field: &str,
        global_indexes: &[GlobalIndex],
    ) -> Result<Vec<Option<RowSchema>>> {
        let (state, slots) = self.locate(partition, global_indexes)?;
        let Some(found) = state.fields.get(field) else {
            let known = some_of(state.fields.iter().map(|field| &field.name));
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("field `{field}` was never put; known fields are {known}"),
            )
            .with("partition", partition));
        };
        Ok(slots.iter().map(|slot| found.row_schema(*slot)).collect())
    }

    fn locate(
        &self,
        partition: &str,
        global_indexes: &[GlobalIndex],
    ) -> Result<(&Partition, Vec<Slot>)> {
        let state = self.existing(partition)?;
        let slots = state.locate(global_indexes)?;
        Ok((state, slots))
    }
}
