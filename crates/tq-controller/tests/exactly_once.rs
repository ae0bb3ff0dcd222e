//! Each ready sample is fetched exactly once by each task, in ascending order, whatever puts,
//! clears and resets come between; with batches large enough to use pages of slots up and again.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tq_controller::sampler::{Sampler, SamplerConfig};
use tq_controller::{Controller, FetchRequest, FieldSchemaUpdate, FieldUpdate};
use tq_proto::{DType, GlobalIndex};

const TASKS: [&str; 2] = ["actor", "critic"];

#[derive(Debug, Clone)]
enum Step {
    Insert(usize),
    /// Produces the field for so many samples from that place among the unproduced on.
    Produce(usize, usize),
    /// Puts new keys; samples are inserted between reservation and publish.
    PutKeys(usize),
    Fetch(usize, usize),
    /// Clears so many samples from that place on, each or every other one.
    Clear(usize, usize, bool),
    Reset(usize, usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (place, many) = (any::<usize>(), 1..150usize);
    let task = 0..TASKS.len();
    prop_oneof![
        2 => many.clone().prop_map(Step::Insert),
        3 => (place, many.clone()).prop_map(|(place, count)| Step::Produce(place, count)),
        2 => many.clone().prop_map(Step::PutKeys),
        5 => (task.clone(), 1..100usize).prop_map(|(task, size)| Step::Fetch(task, size)),
        2 => (place, many.clone(), any::<bool>())
            .prop_map(|(place, count, all)| Step::Clear(place, count, all)),
        1 => (task, place, 1..20usize)
            .prop_map(|(task, place, count)| Step::Reset(task, place, count)),
    ]
}

#[derive(Default)]
struct World {
    controller: Controller,
    /// Whether the field is produced, by global index.
    samples: BTreeMap<u64, bool>,
    /// What each task was given and may not be given again.
    fetched: [BTreeSet<u64>; 2],
    keys: usize,
}

fn field() -> [FieldUpdate; 1] {
    let schema = FieldSchemaUpdate::Dense {
        dtype: DType::Int8,
        row_shape: [].into(),
    };
    [FieldUpdate {
        name: "f".into(),
        schema,
    }]
}

fn slice(from: &[u64], place: usize, count: usize) -> Vec<GlobalIndex> {
    let start = place.checked_rem(from.len()).unwrap_or(0);
    let chosen = from.iter().skip(start).take(count);
    chosen.copied().map(GlobalIndex).collect()
}

impl World {
    fn all(&self) -> Vec<u64> {
        self.samples.keys().copied().collect()
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Insert(count) => {
                let new = self.controller.insert("p", count).unwrap();
                self.samples
                    .extend(new.iter().map(|index| (index.0, false)));
            }
            Step::Produce(place, count) => {
                let lacking = self.samples.iter().filter(|(_, produced)| !**produced);
                let lacking: Vec<_> = lacking.map(|(index, _)| *index).collect();
                let rows = slice(&lacking, place, count);
                if rows.is_empty() {
                    return;
                }
                let put = self.controller.reserve_indexes("p", &rows).unwrap();
                self.controller.publish(put, &field(), None).unwrap();
                self.samples.extend(rows.iter().map(|row| (row.0, true)));
            }
            Step::PutKeys(count) => {
                let keys: Vec<_> = (0..count)
                    .map(|row| format!("{}", self.keys + row))
                    .collect();
                self.keys += count;
                let put = self.controller.reserve("p", &keys).unwrap();
                let rows = put.global_indexes().to_vec();
                self.run(Step::Insert(1 + count % 3));
                self.controller.publish(put, &field(), None).unwrap();
                self.samples.extend(rows.iter().map(|row| (row.0, true)));
            }
            Step::Fetch(task, size) => {
                self.fetch(task, size);
            }
            Step::Clear(place, count, all) => {
                let mut gone = slice(&self.all(), place, count);
                if !all {
                    gone.retain(|index| index.0 % 2 == 0);
                }
                let ticket = self.controller.begin_clear_indexes("p", &gone);
                assert_eq!(ticket.global_indexes(), gone);
                self.controller.finish_clear(&ticket);
                for index in gone {
                    self.samples.remove(&index.0);
                }
            }
            Step::Reset(task, place, count) => {
                let rows = slice(&self.all(), place, count);
                let reset = self
                    .controller
                    .reset_consumption("p", Some(TASKS[task]), Some(&rows));
                let fetched = &mut self.fetched[task];
                let removed = rows.iter().filter(|index| fetched.remove(&index.0));
                assert_eq!(reset, removed.count());
            }
        }
    }

    fn fetch(&mut self, task: usize, size: usize) -> bool {
        let mut sampler = Sampler::new(SamplerConfig::Sequential).unwrap();
        let request = FetchRequest {
            partition: "p".into(),
            task: TASKS[task].into(),
            fields: vec!["f".into()],
            batch_size: size,
            dp_rank: None,
            batch_index: None,
        };
        let fetched = self.controller.fetch(&mut sampler, &request).unwrap();
        let ready = self.samples.iter().filter(|(_, produced)| **produced);
        let ready = ready.map(|(index, _)| *index);
        let mut expected: Vec<_> = ready
            .filter(|index| !self.fetched[task].contains(index))
            .collect();
        expected.truncate(size);
        let enough = expected.len() == size;
        let found = fetched.map(|batch| batch.iter().map(|index| index.0).collect());
        assert_eq!(found, enough.then_some(expected.clone()));
        if enough {
            self.fetched[task].extend(expected);
        }
        enough
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn each_ready_sample_is_fetched_exactly_once_by_each_task(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let mut world = World::default();
        for step in steps {
            world.run(step);
        }
        for (number, task) in TASKS.iter().enumerate() {
            while world.fetch(number, 1) {}
            let left = world.controller.ready_count("p", task, &["f".into()], 1);
            prop_assert_eq!(left, 0);
        }
    }
}
