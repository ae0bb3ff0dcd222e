//! A deliberately naive controller: maps of maps, everything found by searching.

pub(crate) mod steps;

use std::collections::{BTreeSet, HashMap, HashSet};

use tq_controller::{FieldSchema, RowSchema};
use tq_proto::DType;

/// Dtype and shape of a row; `None` for a row that is not a tensor.
pub(crate) type Row = Option<(DType, Vec<u64>)>;
pub(crate) type Pairs = Vec<(String, i64)>;

#[derive(Default)]
pub(crate) struct Sample {
    pub(crate) index: u64,
    pub(crate) tags: Pairs,
    pub(crate) rows: HashMap<String, Row>,
}

#[derive(Default)]
pub(crate) struct Partition {
    pub(crate) exists: bool,
    /// Visible keys, oldest first.
    pub(crate) keys: Vec<String>,
    pub(crate) samples: HashMap<String, Sample>,
    /// Index and holders of keys that are reserved and not visible.
    pub(crate) pending: HashMap<String, (u64, usize)>,
    /// Known fields in order, and whether each counts as nested.
    pub(crate) fields: Vec<(String, bool)>,
}

#[derive(Clone)]
pub(crate) struct Reservation {
    pub(crate) partition: String,
    pub(crate) rows: Vec<(String, u64)>,
}

#[derive(Clone)]
pub(crate) struct FieldPut {
    pub(crate) name: String,
    pub(crate) nested: bool,
    pub(crate) rows: Vec<Row>,
}

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) partitions: HashMap<String, Partition>,
    /// Names of existing partitions, oldest first.
    pub(crate) order: Vec<String>,
    pub(crate) handed_out: HashSet<u64>,
    pub(crate) unfinished: Vec<Vec<u64>>,
}

impl Partition {
    fn holds(&self, key: &str, index: u64) -> bool {
        self.samples
            .get(key)
            .is_some_and(|sample| sample.index == index)
            || self
                .pending
                .get(key)
                .is_some_and(|(pending, _)| *pending == index)
    }

    fn shapes(&self, field: &str) -> HashSet<Vec<u64>> {
        let rows = self
            .samples
            .values()
            .filter_map(|sample| sample.rows.get(field));
        rows.flatten().map(|(_, shape)| shape.clone()).collect()
    }

    pub(crate) fn schema(&self, field: &str, nested: bool) -> FieldSchema {
        let rows: Vec<_> = self
            .samples
            .values()
            .filter_map(|sample| sample.rows.get(field))
            .collect();
        let dtypes: HashSet<_> = rows
            .iter()
            .map(|row| row.as_ref().map(|(dtype, _)| *dtype))
            .collect();
        let shapes = self.shapes(field);
        let is_nested = nested || shapes.len() > 1;
        let is_non_tensor = rows.iter().any(|row| row.is_none());
        FieldSchema {
            rows: rows.len(),
            dtype: dtypes
                .iter()
                .next()
                .copied()
                .flatten()
                .filter(|_| dtypes.len() == 1),
            shape: shapes
                .iter()
                .next()
                .filter(|_| !is_nested && !is_non_tensor)
                .map(|shape| shape.as_slice().into()),
            is_nested,
            is_non_tensor,
        }
    }

    pub(crate) fn row_schema(&self, key: &str, field: &str) -> Option<RowSchema> {
        self.samples[key].rows.get(field).map(|row| RowSchema {
            dtype: row.as_ref().map(|(dtype, _)| *dtype),
            shape: row.as_ref().map(|(_, shape)| shape.as_slice().into()),
        })
    }

    /// Sorted fields that all of `keys` have.
    pub(crate) fn ready(&self, keys: &[String]) -> BTreeSet<String> {
        let mut sets = keys.iter().map(|key| {
            self.samples[key]
                .rows
                .keys()
                .cloned()
                .collect::<BTreeSet<String>>()
        });
        let first = sets.next().unwrap_or_default();
        sets.fold(first, |common, fields| {
            common.intersection(&fields).cloned().collect()
        })
    }
}

impl Model {
    /// Checks the indexes that were handed out for `keys` and takes them over.
    pub(crate) fn reserve(
        &mut self,
        partition: &str,
        keys: &[String],
        indexes: &[u64],
        new: &[bool],
    ) {
        let state = self.partitions.entry(partition.into()).or_default();
        for ((key, index), is_new) in keys.iter().zip(indexes).zip(new) {
            if let Some(sample) = state.samples.get(key) {
                assert_eq!((sample.index, false), (*index, *is_new));
                continue;
            }
            assert!(*is_new);
            if let Some((pending, holders)) = state.pending.get_mut(key) {
                assert_eq!(pending, index);
                *holders += 1;
            } else {
                assert!(
                    self.handed_out.insert(*index),
                    "{index} was handed out twice"
                );
                state.pending.insert(key.clone(), (*index, 1));
            }
        }
    }

    /// Keys of the batch that were cleared since they were reserved.
    pub(crate) fn gone(&self, reservation: &Reservation) -> Vec<String> {
        let state = &self.partitions[&reservation.partition];
        let gone = reservation
            .rows
            .iter()
            .filter(|(key, index)| !state.holds(key, *index));
        gone.map(|(key, _)| key.clone()).collect()
    }

    pub(crate) fn publish(
        &mut self,
        reservation: &Reservation,
        fields: &[FieldPut],
        tags: Option<&[Pairs]>,
    ) {
        let state = self.partitions.get_mut(&reservation.partition).unwrap();
        if !state.exists {
            state.exists = true;
            self.order.push(reservation.partition.clone());
        }
        for (row, (key, index)) in reservation.rows.iter().enumerate() {
            if state.pending.remove(key).is_some() {
                state.keys.push(key.clone());
                state.samples.insert(
                    key.clone(),
                    Sample {
                        index: *index,
                        ..Sample::default()
                    },
                );
            }
            let sample = state.samples.get_mut(key).unwrap();
            for field in fields {
                sample
                    .rows
                    .insert(field.name.clone(), field.rows[row].clone());
            }
            for (name, value) in tags.map(|tags| &tags[row]).into_iter().flatten() {
                match sample.tags.iter_mut().find(|(known, _)| known == name) {
                    Some((_, known)) => *known = *value,
                    None => sample.tags.push((name.clone(), *value)),
                }
            }
        }
        for field in fields {
            match state
                .fields
                .iter_mut()
                .find(|(name, _)| *name == field.name)
            {
                Some((_, nested)) => *nested |= field.nested,
                None => state.fields.push((field.name.clone(), field.nested)),
            }
        }
    }

    /// Returns the indexes that belong to nobody.
    pub(crate) fn abandon(&mut self, reservation: &Reservation) -> Vec<u64> {
        let state = self.partitions.get_mut(&reservation.partition).unwrap();
        let mut orphans = Vec::new();
        for (key, index) in &reservation.rows {
            if !state.holds(key, *index) {
                orphans.push(*index);
            } else if let Some((_, holders)) = state.pending.get_mut(key) {
                *holders -= 1;
                if *holders == 0 {
                    state.pending.remove(key);
                    orphans.push(*index);
                }
            }
        }
        orphans
    }

    /// Returns the indexes that were cleared, in the order asked for.
    pub(crate) fn clear(
        &mut self,
        partition: &str,
        wanted: impl Fn(&str, u64) -> bool,
    ) -> BTreeSet<u64> {
        let Some(state) = self.partitions.get_mut(partition) else {
            return BTreeSet::new();
        };
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut state.keys)
            .into_iter()
            .partition(|key| wanted(key, state.samples[key].index));
        state.keys = kept;
        let mut touched = HashSet::new();
        let mut indexes = BTreeSet::new();
        for key in gone {
            let sample = state.samples.remove(&key).unwrap();
            indexes.insert(sample.index);
            touched.extend(sample.rows.into_keys());
        }
        for place in 0..state.fields.len() {
            let name = state.fields[place].0.clone();
            if touched.contains(&name) && state.shapes(&name).len() <= 1 {
                state.fields[place].1 = false;
            }
        }
        if !indexes.is_empty() {
            self.unfinished.push(indexes.iter().copied().collect());
        }
        indexes
    }

    pub(crate) fn drop_partition(&mut self, partition: &str) -> Option<BTreeSet<u64>> {
        self.partitions
            .get(partition)
            .filter(|state| state.exists)?;
        let indexes = self.clear(partition, |_, _| true);
        self.order.retain(|name| name != partition);
        let state = self.partitions.get_mut(partition).unwrap();
        state.exists = false;
        state.fields.clear();
        Some(indexes)
    }
}
