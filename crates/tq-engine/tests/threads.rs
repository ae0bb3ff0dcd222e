//! Random histories from many threads at once, each held against a naive model.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::thread;

use proptest::prelude::*;
use tq_controller::FetchRequest;
use tq_engine::{Embedded, EmbeddedConfig};
use tq_proto::{DType, FieldName, GlobalIndex};
use tq_storage::{ColumnLayout, ColumnPlan};

const THREADS: usize = 4;
const FIELDS: [&str; 2] = ["f", "g"];
/// The partition that all threads share, beside one of its own for each.
const SHARED: &str = "shared";

#[derive(Clone, Debug)]
enum Step {
    Insert(usize),
    /// Fields of the samples at these places among the thread's own.
    Put(usize, BTreeSet<usize>),
    Fetch(usize, usize),
    Clear(BTreeSet<usize>),
    Reset,
    /// New samples with a field, and a fetch of some, among everybody else's.
    PutShared(usize),
    FetchShared(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let places = || prop::collection::btree_set(0..12_usize, 1..6);
    prop_oneof![
        2 => (1..5_usize).prop_map(Step::Insert),
        4 => (0..2_usize, places()).prop_map(|(field, rows)| Step::Put(field, rows)),
        3 => (0..2_usize, 1..4_usize).prop_map(|(field, size)| Step::Fetch(field, size)),
        1 => places().prop_map(Step::Clear),
        1 => Just(Step::Reset),
        2 => (1..4_usize).prop_map(Step::PutShared),
        3 => (1..4_usize).prop_map(Step::FetchShared),
    ]
}

fn put(engine: &Embedded, partition: &str, indexes: &[GlobalIndex], field: &str) {
    let plan = ColumnPlan {
        field: field.into(),
        layout: ColumnLayout::Dense {
            dtype: DType::UInt8,
            row_shape: vec![4],
        },
    };
    let partitions = vec![partition; indexes.len()];
    let mut put = engine
        .begin_put_indexes(&partitions, indexes, vec![plan])
        .unwrap();
    put.columns_mut()
        .into_iter()
        .for_each(|bytes| bytes.fill(7));
    put.publish(None).unwrap();
}

fn fetch(engine: &Embedded, partition: &str, field: &str, size: usize) -> Vec<GlobalIndex> {
    let request = FetchRequest {
        partition: partition.into(),
        task: "t".into(),
        fields: vec![field.into()],
        batch_size: size,
        dp_rank: None,
        batch_index: None,
    };
    let batch = engine.fetch(&request).unwrap();
    batch.map_or_else(Vec::new, |batch| batch.global_indexes)
}

/// What a thread knows of its own partition: the fields of each sample, and what was consumed.
#[derive(Default)]
struct Model {
    samples: BTreeMap<GlobalIndex, BTreeSet<usize>>,
    consumed: BTreeSet<GlobalIndex>,
}

impl Model {
    fn at(&self, places: &BTreeSet<usize>) -> Vec<GlobalIndex> {
        let known: Vec<_> = self.samples.keys().copied().collect();
        places
            .iter()
            .filter_map(|place| known.get(*place).copied())
            .collect()
    }

    fn fetch(&mut self, field: usize, size: usize) -> Vec<GlobalIndex> {
        let ready = self
            .samples
            .iter()
            .filter(|(index, fields)| fields.contains(&field) && !self.consumed.contains(index));
        let batch: Vec<_> = ready.map(|(index, _)| *index).take(size).collect();
        if batch.len() < size {
            return Vec::new();
        }
        self.consumed.extend(&batch);
        batch
    }
}

fn run(engine: &Embedded, thread: usize, steps: &[Step], taken: &Mutex<Vec<GlobalIndex>>) -> usize {
    let own = format!("own{thread}");
    let mut model = Model::default();
    let mut shared = 0;
    for step in steps {
        match step {
            Step::Insert(count) => {
                let batch = engine.insert(&own, vec!["f".into()], *count).unwrap();
                for index in batch.global_indexes {
                    model.samples.insert(index, BTreeSet::new());
                }
            }
            Step::Put(field, places) => {
                let indexes = model.at(places);
                if !indexes.is_empty() {
                    put(engine, &own, &indexes, FIELDS[*field]);
                }
                for index in indexes {
                    model.samples.get_mut(&index).unwrap().insert(*field);
                }
            }
            Step::Fetch(field, size) => {
                let found = fetch(engine, &own, FIELDS[*field], *size);
                assert_eq!(found, model.fetch(*field, *size));
            }
            Step::Clear(places) => {
                let indexes = model.at(places);
                assert_eq!(engine.clear_indexes(&own, &indexes).unwrap(), indexes.len());
                for index in indexes {
                    model.samples.remove(&index);
                    model.consumed.remove(&index);
                }
            }
            Step::Reset => {
                let reset = engine.reset_consumption(&own, Some("t"), None).unwrap();
                assert_eq!(reset, model.consumed.len());
                model.consumed.clear();
            }
            Step::PutShared(count) => {
                let batch = engine.insert(SHARED, vec!["f".into()], *count).unwrap();
                put(engine, SHARED, &batch.global_indexes, "f");
                shared += count;
            }
            Step::FetchShared(size) => {
                let found = fetch(engine, SHARED, "f", *size);
                taken.lock().unwrap().extend(found);
            }
        }
    }
    let fields: Vec<FieldName> = vec!["f".into()];
    for (index, has) in &model.samples {
        let read = engine.read_indexes(&[*index], &fields);
        assert_eq!(read.is_ok(), has.contains(&0), "{index}");
    }
    shared
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn threads_do_not_disturb_each_other_and_share_each_sample_once(
        histories in prop::collection::vec(prop::collection::vec(step(), 1..40), THREADS)
    ) {
        let engine = Embedded::new(EmbeddedConfig { threads: 1, ..EmbeddedConfig::default() }).unwrap();
        let taken = Mutex::new(Vec::new());
        let put: usize = thread::scope(|scope| {
            let threads: Vec<_> = histories
                .iter()
                .enumerate()
                .map(|(thread, steps)| {
                    let (engine, taken) = (&engine, &taken);
                    scope.spawn(move || run(engine, thread, steps, taken))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        let mut taken = taken.into_inner().unwrap();
        loop {
            let rest = fetch(&engine, SHARED, "f", 1);
            if rest.is_empty() {
                break;
            }
            taken.extend(rest);
        }
        let once: BTreeSet<_> = taken.iter().collect();
        prop_assert_eq!((taken.len(), once.len()), (put, put));
        prop_assert_eq!(engine.is_consumed(SHARED, "t").unwrap(), put > 0);
    }
}
