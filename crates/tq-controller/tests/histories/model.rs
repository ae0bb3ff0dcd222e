//! A deliberately naive controller: maps of maps, everything found by searching.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tq_controller::{FieldSchema, RowSchema};
use tq_proto::DType;

use crate::words::merge;

/// Dtype and shape of a row; `None` for a row that is not a tensor.
pub(crate) type Row = Option<(DType, Vec<u64>)>;
pub(crate) type Pairs = Vec<(String, i64)>;

#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(crate) enum State {
    #[default]
    Visible,
    Reserved,
    Pending {
        holders: usize,
        counted: bool,
    },
}

#[derive(Default)]
pub(crate) struct Sample {
    pub(crate) state: State,
    pub(crate) key: Option<String>,
    pub(crate) tags: Pairs,
    pub(crate) rows: HashMap<String, Row>,
    pub(crate) consumed: BTreeSet<String>,
}

#[derive(Default)]
pub(crate) struct Partition {
    pub(crate) exists: bool,
    /// By global index.
    pub(crate) samples: BTreeMap<u64, Sample>,
    /// Visible samples with a key, oldest first.
    pub(crate) listed: Vec<u64>,
    /// Known fields in order, and whether each counts as nested.
    pub(crate) fields: Vec<(String, bool)>,
    pub(crate) tasks: BTreeSet<String>,
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
    pub(crate) handed_out: BTreeSet<u64>,
    pub(crate) unfinished: Vec<BTreeSet<u64>>,
}

impl Partition {
    pub(crate) fn by_key(&self, key: &str) -> Option<u64> {
        let mut samples = self.samples.iter();
        let found = samples.find(|(_, sample)| sample.key.as_deref() == Some(key));
        found.map(|(index, _)| *index)
    }

    pub(crate) fn visible_key(&self, key: &str) -> Option<u64> {
        self.by_key(key)
            .filter(|index| self.samples[index].state == State::Visible)
    }

    /// Visible and pre-allocated samples.
    pub(crate) fn counted(&self) -> Vec<u64> {
        let uncounted = |state: State| matches!(state, State::Pending { counted: false, .. });
        let samples = self.samples.iter();
        let counted = samples.filter(|(_, sample)| !uncounted(sample.state));
        counted.map(|(index, _)| *index).collect()
    }

    pub(crate) fn is_counted(&self, index: u64) -> bool {
        self.counted().contains(&index)
    }

    pub(crate) fn knows(&self, field: &str) -> bool {
        self.fields.iter().any(|(name, _)| name == field)
    }

    pub(crate) fn has_all(&self, index: u64, fields: &[String]) -> bool {
        self.samples.get(&index).is_some_and(|sample| {
            let has = |field| sample.rows.contains_key(field);
            sample.state == State::Visible && fields.iter().all(has)
        })
    }

    pub(crate) fn ready(&self, task: &str, fields: &[String]) -> Vec<u64> {
        let is_ready = |(index, sample): &(&u64, &Sample)| {
            self.has_all(**index, fields) && !sample.consumed.contains(task)
        };
        let samples = self.samples.iter().filter(is_ready);
        samples.map(|(index, _)| *index).collect()
    }

    fn shapes(&self, field: &str) -> HashSet<Vec<u64>> {
        let samples = self.samples.values();
        let rows = samples.filter_map(|sample| sample.rows.get(field));
        rows.flatten().map(|(_, shape)| shape.clone()).collect()
    }

    pub(crate) fn schema(&self, field: &str, nested: bool) -> FieldSchema {
        let samples = self.samples.values();
        let rows: Vec<_> = samples
            .filter_map(|sample| sample.rows.get(field))
            .collect();
        let dtypes: HashSet<_> = rows
            .iter()
            .map(|row| row.as_ref().map(|(dtype, _)| *dtype))
            .collect();
        let shapes = self.shapes(field);
        let is_nested = nested || shapes.len() > 1;
        let is_non_tensor = rows.iter().any(|row| row.is_none());
        let dtype = dtypes.iter().next().copied().flatten();
        let shape = shapes.iter().next();
        FieldSchema {
            rows: rows.len(),
            dtype: dtype.filter(|_| dtypes.len() == 1),
            shape: shape
                .filter(|_| !is_nested && !is_non_tensor)
                .map(|shape| shape.as_slice().into()),
            is_nested,
            is_non_tensor,
        }
    }

    pub(crate) fn row_schema(&self, index: u64, field: &str) -> Option<RowSchema> {
        self.samples[&index].rows.get(field).map(|row| RowSchema {
            dtype: row.as_ref().map(|(dtype, _)| *dtype),
            shape: row.as_ref().map(|(_, shape)| shape.as_slice().into()),
        })
    }

    /// Sorted fields that all of `indexes` have.
    pub(crate) fn common(&self, indexes: &[u64]) -> Vec<String> {
        let names: BTreeSet<_> = self.fields.iter().map(|(name, _)| name).collect();
        let in_all = |name: &&&String| {
            let has = |index| self.samples[index].rows.contains_key(**name);
            !indexes.is_empty() && indexes.iter().all(has)
        };
        names.iter().filter(in_all).copied().cloned().collect()
    }

    fn show(&mut self, index: u64) {
        let sample = self.samples.get_mut(&index).unwrap();
        if sample.state != State::Visible {
            sample.state = State::Visible;
            if sample.key.is_some() {
                self.listed.push(index);
            }
        }
    }
}

impl Model {
    pub(crate) fn of(&mut self, partition: &str) -> &mut Partition {
        self.partitions.entry(partition.into()).or_default()
    }

    pub(crate) fn existing(&self, partition: &str) -> Option<&Partition> {
        self.partitions.get(partition).filter(|state| state.exists)
    }

    fn create(&mut self, partition: &str) {
        let state = self.of(partition);
        if !std::mem::replace(&mut state.exists, true) {
            self.order.push(partition.into());
        }
    }

    /// Checks the index that a new sample was given, and takes it over as held by one put.
    fn take(&mut self, partition: &str, index: u64, key: Option<&str>) {
        let highest = self.handed_out.last().copied();
        let state = self.of(partition);
        let mut samples = state.samples.iter();
        let spare = samples.find(|(_, sample)| sample.state == State::Reserved);
        let counted = spare.is_some();
        match spare.map(|(spare, _)| *spare) {
            Some(spare) => assert_eq!(spare, index, "the lowest pre-allocated one comes first"),
            None => assert!(
                highest.is_none_or(|highest| index > highest),
                "{index} is used up"
            ),
        }
        let sample = state.samples.entry(index).or_default();
        sample.state = State::Pending {
            holders: 1,
            counted,
        };
        sample.key = key.map(Into::into);
        self.handed_out.insert(index);
    }

    fn hold(&mut self, partition: &str, index: u64) {
        let sample = self.of(partition).samples.get_mut(&index).unwrap();
        match &mut sample.state {
            State::Visible => {}
            State::Pending { holders, .. } => *holders += 1,
            reserved => {
                *reserved = State::Pending {
                    holders: 1,
                    counted: true,
                }
            }
        }
    }

    pub(crate) fn reserve(
        &mut self,
        partition: &str,
        keys: &[String],
        indexes: &[u64],
        is_new: &[bool],
    ) {
        for ((key, index), is_new) in keys.iter().zip(indexes).zip(is_new) {
            let state = self.of(partition);
            assert_eq!(*is_new, state.visible_key(key).is_none());
            match state.by_key(key) {
                Some(known) => {
                    assert_eq!(known, *index);
                    self.hold(partition, *index);
                }
                None => self.take(partition, *index, Some(key)),
            }
        }
    }

    pub(crate) fn reserve_indexes(&mut self, partition: &str, indexes: &[u64]) {
        for index in indexes {
            self.hold(partition, *index);
        }
    }

    pub(crate) fn insert(&mut self, partition: &str, indexes: &[u64]) {
        self.create(partition);
        for index in indexes {
            self.take(partition, *index, None);
            self.of(partition).show(*index);
        }
    }

    pub(crate) fn register(&mut self, partition: &str, keys: &[String], indexes: &[u64]) {
        self.create(partition);
        for (key, index) in keys.iter().zip(indexes) {
            match self.of(partition).by_key(key) {
                Some(known) => assert_eq!(known, *index),
                None => self.take(partition, *index, Some(key)),
            }
        }
        for index in indexes {
            self.of(partition).show(*index);
        }
    }

    pub(crate) fn preallocate(&mut self, partition: &str, indexes: &[u64]) {
        self.create(partition);
        for index in indexes {
            assert!(self.handed_out.insert(*index));
            let sample = Sample {
                state: State::Reserved,
                ..Sample::default()
            };
            self.of(partition).samples.insert(*index, sample);
        }
    }

    /// Samples of a batch that were cleared since they were reserved.
    pub(crate) fn gone(&self, partition: &str, indexes: &[u64]) -> Vec<u64> {
        let state = self.partitions.get(partition);
        let holds = |index: &u64| state.is_some_and(|state| state.samples.contains_key(index));
        indexes.iter().copied().filter(|i| !holds(i)).collect()
    }

    pub(crate) fn publish(
        &mut self,
        partition: &str,
        indexes: &[u64],
        fields: &[FieldPut],
        tags: Option<&[Pairs]>,
    ) {
        self.create(partition);
        let state = self.of(partition);
        for (row, index) in indexes.iter().enumerate() {
            state.show(*index);
            let sample = state.samples.get_mut(index).unwrap();
            for field in fields {
                let row = field.rows[row].clone();
                sample.rows.insert(field.name.clone(), row);
            }
            merge(&mut sample.tags, tags.map_or(&[], |tags| &tags[row]));
        }
        for field in fields {
            let mut known = state.fields.iter_mut();
            match known.find(|(name, _)| *name == field.name) {
                Some((_, nested)) => *nested |= field.nested,
                None => state.fields.push((field.name.clone(), field.nested)),
            }
        }
    }

    /// Returns the indexes that belong to nobody.
    pub(crate) fn abandon(&mut self, partition: &str, indexes: &[u64]) -> Vec<u64> {
        let state = self.of(partition);
        let mut orphans = Vec::new();
        for index in indexes {
            let Some(sample) = state.samples.get_mut(index) else {
                orphans.push(*index);
                continue;
            };
            match &mut sample.state {
                State::Pending {
                    holders: 1,
                    counted: false,
                } => {
                    state.samples.remove(index);
                    orphans.push(*index);
                }
                State::Pending { holders: 1, .. } => {
                    sample.state = State::Reserved;
                    sample.key = None;
                }
                State::Pending { holders, .. } => *holders -= 1,
                State::Visible | State::Reserved => {}
            }
        }
        orphans
    }

    /// Returns the indexes that were cleared.
    pub(crate) fn clear(&mut self, partition: &str, wanted: &[u64]) -> BTreeSet<u64> {
        let state = self.of(partition);
        let mut touched = BTreeSet::new();
        let mut cleared = BTreeSet::new();
        for index in wanted.iter().filter(|_| state.exists) {
            if state.is_counted(*index) {
                let sample = state.samples.remove(index).unwrap();
                touched.extend(sample.rows.into_keys());
                cleared.insert(*index);
            }
        }
        state.listed.retain(|index| !cleared.contains(index));
        for place in 0..state.fields.len() {
            let name = state.fields[place].0.clone();
            if touched.contains(&name) && state.shapes(&name).len() <= 1 {
                state.fields[place].1 = false;
            }
        }
        if !cleared.is_empty() {
            self.unfinished.push(cleared.clone());
        }
        cleared
    }

    pub(crate) fn drop_partition(&mut self, partition: &str) -> Option<BTreeSet<u64>> {
        self.existing(partition)?;
        let state = self.of(partition);
        for sample in state.samples.values_mut() {
            // The put of a new key goes on without the pre-allocated place it had taken.
            if let State::Pending { counted, .. } = &mut sample.state
                && sample.key.is_some()
            {
                *counted = false;
                sample.tags.clear();
                // And the partition without what its tasks have consumed.
                sample.consumed.clear();
            }
        }
        let all = state.counted();
        let cleared = self.clear(partition, &all);
        self.order.retain(|name| name != partition);
        let state = self.of(partition);
        state.exists = false;
        state.fields.clear();
        state.tasks.clear();
        Some(cleared)
    }

    pub(crate) fn consume(&mut self, partition: &str, task: &str, indexes: &[u64]) {
        let state = self.of(partition);
        state.tasks.insert(task.into());
        for index in indexes {
            if let Some(sample) = state.samples.get_mut(index) {
                sample.consumed.insert(task.into());
            }
        }
    }
}
