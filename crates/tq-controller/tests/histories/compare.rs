//! Everything that a caller can see, compared with the model.

use std::collections::BTreeSet;

use tq_controller::{BatchColumns, FieldColumns, FieldSelection, StatusColumns};

use crate::consume::ready;
use crate::model::Partition;
use crate::pair::Pair;
use crate::steps::{FIELDS, KEYS, PARTITIONS, TASKS};
use crate::words::{field_name, indexes, keys, names, numbers, pairs, partition, task};

impl Pair {
    pub(crate) fn compare(&self) {
        let ids = |ids: Vec<_>| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(ids(self.real.partitions()), self.model.order);
        let listed = self.real.list(None).map(|listed| listed.partition.clone());
        assert_eq!(ids(listed.collect()), self.model.order);
        let unfinished: BTreeSet<_> = self
            .real
            .unfinished_clears()
            .map(|ticket| BTreeSet::from_iter(numbers(ticket.global_indexes())))
            .collect();
        let expected = self.model.unfinished.iter().cloned().collect();
        assert_eq!(unfinished, expected);
        for number in 0..PARTITIONS {
            let id = partition(number);
            match self.model.existing(&id) {
                Some(state) => {
                    self.compare_listing(&id, state);
                    self.compare_resolved(&id, state);
                    self.compare_schema(&id, state);
                    self.compare_batches(&id, state);
                    self.compare_status(&id, state);
                }
                None => self.compare_unknown(&id),
            }
            self.compare_ready(&id);
        }
    }

    fn compare_unknown(&self, id: &str) {
        let all = keys(&Vec::from_iter(0..KEYS));
        assert!(!self.real.has_partition(id));
        assert_eq!(self.real.list(Some(id)).count(), 0);
        assert_eq!(self.real.resolve(id, &all).missing.len(), KEYS);
        assert!(self.real.schema(id).is_empty());
        assert!(self.real.all_indexes(id).is_err());
        assert!(self.real.batch(id, &[], &FieldSelection::All).is_err());
        assert!(self.real.tasks(id).is_empty());
        assert!(!self.real.is_consumed(id, &task(0)));
        assert!(!self.real.is_produced(id, &[]));
        assert_eq!(self.real.keys_of(id, &[]), None);
    }

    fn compare_listing(&self, id: &str, state: &Partition) {
        let listed: Vec<_> = self
            .real
            .list(Some(id))
            .flat_map(|listed| {
                assert_eq!(listed.keys.len(), state.listed.len());
                listed.keys
            })
            .map(|(key, tags)| (key.to_string(), pairs(tags)))
            .collect();
        let sample = |index: &u64| &state.samples[index];
        let expected: Vec<_> = (state.listed.iter().map(sample))
            .map(|sample| (sample.key.clone().unwrap(), sample.tags.clone()))
            .collect();
        assert_eq!(listed, expected);
        let visible = state
            .samples
            .keys()
            .filter(|index| state.has_all(**index, &[]));
        assert_eq!(self.real.sample_count(id), visible.count());
    }

    fn compare_resolved(&self, id: &str, state: &Partition) {
        let all = keys(&Vec::from_iter(0..KEYS));
        for asked in [&all[..], &all[..4], &all[7..9]] {
            let found = self.real.resolve(id, asked);
            let at = |place: usize| state.visible_key(&asked[place]);
            let (known, missing): (Vec<_>, Vec<_>) =
                (0..asked.len()).partition(|place| at(*place).is_some());
            let expected: Vec<_> = known.iter().filter_map(|place| at(*place)).collect();
            assert_eq!((&found.positions, &found.missing), (&known, &missing));
            assert_eq!(numbers(&found.global_indexes), expected);
            let fields: Vec<_> = found.fields.iter().map(ToString::to_string).collect();
            assert_eq!(fields, state.common(&expected));
        }
        let counted = state.counted();
        let some = &counted[..counted.len() / 2];
        for asked in [&counted[..], some] {
            let given = indexes(asked);
            let fields = self.real.ready_fields(id, &given).unwrap();
            assert_eq!(fields, names(&state.common(asked)));
            for (field, _) in &state.fields {
                let complete = asked.is_empty() || state.common(asked).contains(field);
                let checked = self.real.require_fields(id, &given, &[field]);
                assert_eq!(checked.is_ok(), complete);
                let rows = self.real.row_schemas(id, field, &given).unwrap();
                let row = |index: &u64| state.row_schema(*index, field);
                assert_eq!(rows, asked.iter().map(row).collect::<Vec<_>>());
            }
        }
    }

    fn compare_schema(&self, id: &str, state: &Partition) {
        let schema = self.real.schema(id).into_iter();
        let schema: Vec<_> = schema.map(|(name, of)| (name.to_string(), of)).collect();
        let expected =
            |(name, nested): &(String, bool)| (name.clone(), state.schema(name, *nested));
        assert_eq!(
            schema,
            state.fields.iter().map(expected).collect::<Vec<_>>()
        );
    }

    fn compare_batches(&self, id: &str, state: &Partition) {
        let counted = state.counted();
        assert_eq!(numbers(&self.real.all_indexes(id).unwrap()), counted);
        let held: Vec<_> = (state.fields.iter())
            .map(|(name, _)| name.clone())
            .filter(|name| state.samples.values().any(|s| s.rows.contains_key(name)))
            .collect();
        let two = vec![field_name(3), field_name(0), field_name(3)];
        let known: Vec<_> = (two[..2].iter())
            .filter(|name| state.knows(name))
            .cloned()
            .collect();
        let backwards: Vec<_> = counted.iter().rev().copied().collect();
        for (asked, selection, fields) in [
            (&counted, FieldSelection::All, &held[..]),
            (&backwards, FieldSelection::Named(names(&two)), &two[..2]),
            (&vec![], FieldSelection::Known(names(&two)), &known[..]),
            (&counted, FieldSelection::Known(names(&two)), &known[..]),
        ] {
            let batch = self.real.batch(id, &indexes(asked), &selection).unwrap();
            assert_eq!(batch, expected_batch(id, state, asked, fields));
            let found = self.real.tags_of(id, &batch.global_indexes);
            assert_eq!(found, batch.tags);
            let found = self.real.keys_of(id, &batch.global_indexes);
            assert_eq!(found, Some(batch.keys));
        }
        let stale = self.model.handed_out.last().map_or(0, |last| last + 1);
        let stale = indexes(&[stale]);
        assert!(self.real.batch(id, &stale, &FieldSelection::All).is_err());
        assert_eq!(self.real.keys_of(id, &stale), Some(vec![None]));
        assert!(self.real.tags_of(id, &stale)[0].is_empty());
    }

    fn compare_status(&self, id: &str, state: &Partition) {
        let counted = state.counted();
        for fields in [vec![], vec![0], vec![4, 1, 4], vec![2, 3, 0, 1]] {
            let asked: Vec<_> = fields.into_iter().map(field_name).collect();
            let all_known = asked.iter().all(|field| state.knows(field));
            let columns: Vec<_> = (state.fields.iter())
                .map(|(name, _)| name)
                .filter(|name| asked.contains(name))
                .collect();
            let row = |index| {
                let rows = &state.samples[index].rows;
                columns
                    .iter()
                    .map(|name| u8::from(rows.contains_key(*name)))
            };
            let expected = StatusColumns {
                global_indexes: indexes(&counted),
                fields: columns.len(),
                cells: counted.iter().flat_map(row).collect(),
            };
            let complete = !expected.cells.is_empty() && expected.cells.iter().all(|c| *c == 1);
            let expected = (all_known && !asked.is_empty()).then_some(expected);
            let is_produced = expected.is_some() && complete;
            assert_eq!(self.real.production_status(id, &names(&asked)), expected);
            assert_eq!(self.real.is_produced(id, &names(&asked)), is_produced);
        }
        let consumed = |task: &String| {
            let mut samples = state.samples.values();
            samples
                .by_ref()
                .filter(|s| s.consumed.contains(task))
                .count()
        };
        let tasks: Vec<_> = (self.real.tasks(id).into_iter())
            .map(|(name, count)| (name.to_string(), count))
            .collect();
        let expected = state
            .tasks
            .iter()
            .map(|task| (task.clone(), consumed(task)));
        assert_eq!(tasks, expected.collect::<Vec<_>>());
        for number in 0..TASKS {
            let all = counted.len() == consumed(&task(number)) && !counted.is_empty();
            assert_eq!(self.real.is_consumed(id, &task(number)), all);
        }
    }

    fn compare_ready(&self, id: &str) {
        for number in 0..TASKS {
            for fields in [vec![], vec![1], vec![FIELDS - 1, 0]] {
                let fields: Vec<_> = fields.into_iter().map(field_name).collect();
                let expected = ready(&self.model, id, &task(number), &fields);
                for most in [1, 3, usize::MAX] {
                    let first = &expected[..most.min(expected.len())];
                    let (task, fields) = (task(number), names(&fields));
                    let found = self.real.ready_indexes(id, &task, &fields, most);
                    assert_eq!(numbers(&found), first);
                    let count = self.real.ready_count(id, &task, &fields, most);
                    assert_eq!(count, first.len());
                }
            }
        }
    }
}

fn expected_batch(id: &str, state: &Partition, asked: &[u64], fields: &[String]) -> BatchColumns {
    let sample = |index: &u64| &state.samples[index];
    let known: Vec<_> = fields.iter().filter(|name| state.knows(name)).collect();
    let produced = |index| {
        let has = |name: &&String| sample(index).rows.contains_key(*name);
        u8::from(!known.is_empty() && known.iter().all(has))
    };
    let key = |index: &u64| {
        let key = sample(index).key.as_deref();
        key.filter(|_| state.has_all(*index, &[])).map(Into::into)
    };
    BatchColumns {
        partition: id.into(),
        global_indexes: indexes(asked),
        fields: (fields.iter())
            .map(|name| expected_field(state, name, asked))
            .collect(),
        produced: asked.iter().map(produced).collect(),
        tags: (asked.iter().map(sample))
            .map(|sample| crate::words::tags(&sample.tags))
            .collect(),
        keys: asked.iter().map(key).collect(),
        receipts: None,
    }
}

fn expected_field(state: &Partition, name: &str, asked: &[u64]) -> FieldColumns {
    let mut columns = FieldColumns {
        name: name.into(),
        dtype: None,
        shape: None,
        is_nested: false,
        is_non_tensor: false,
        row_shapes: None,
    };
    let Some((_, nested)) = state.fields.iter().find(|(known, _)| known == name) else {
        return columns;
    };
    let overall = state.schema(name, *nested);
    let rows: Vec<_> = (asked.iter())
        .map(|index| state.row_schema(*index, name))
        .collect();
    let Some(first) = rows.iter().flatten().next() else {
        columns.dtype = overall.dtype;
        columns.shape = overall.shape;
        columns.is_non_tensor = overall.is_non_tensor;
        columns.is_nested = overall.is_nested && !overall.is_non_tensor;
        columns.row_shapes = columns.is_nested.then(|| vec![None; asked.len()]);
        return columns;
    };
    if rows.iter().flatten().any(|row| row.dtype.is_none()) {
        columns.is_non_tensor = true;
        return columns;
    }
    let same_dtype = rows.iter().flatten().all(|row| row.dtype == first.dtype);
    columns.dtype = first.dtype.filter(|_| same_dtype);
    columns.is_nested = overall.is_nested;
    let shapes = rows.iter().map(|row| row.as_ref()?.shape.clone());
    match overall.is_nested {
        true => columns.row_shapes = Some(shapes.collect()),
        false => columns.shape = first.shape.clone(),
    }
    columns
}
