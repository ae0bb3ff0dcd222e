//! The calls of the controller, on a partition of 8,192 samples.

use tq_controller::sampler::{Sampler, SamplerConfig};
use tq_controller::{
    Comparison, Controller, FetchRequest, FieldSelection, FieldUpdate, Predicate, Published,
    Selection, TagValue, Tags,
};

use crate::count;
use crate::samples::{PARTITION, keys, names, tags, updates};

const SAMPLES: usize = 8192;
const BATCH: usize = 1024;

fn put(
    controller: &mut Controller,
    keys: &[String],
    fields: &[FieldUpdate],
    tags: Vec<Tags>,
) -> Published {
    let reservation = controller.reserve(PARTITION, keys).unwrap();
    controller.publish(reservation, fields, Some(tags)).unwrap()
}

fn filled() -> Controller {
    let mut controller = Controller::new();
    let (keys, tags) = (keys(0, SAMPLES), tags(0, SAMPLES));
    put(&mut controller, &keys, &updates(), tags);
    controller
}

fn count_put(first: usize) {
    let mut controller = filled();
    let (keys, tags, fields) = (keys(first, BATCH), tags(first, BATCH), updates());
    count(|| put(&mut controller, &keys, &fields, tags));
}

pub(crate) fn put_new() {
    count_put(SAMPLES);
}

pub(crate) fn put_known() {
    count_put(SAMPLES / 2);
}

pub(crate) fn resolve() {
    let controller = filled();
    let shuffled = |number: usize| format!("sample_{}", number * 7919 % SAMPLES);
    let asked: Vec<_> = (0..BATCH).map(shuffled).collect();
    count(|| controller.resolve(PARTITION, &asked));
}

pub(crate) fn fetch() {
    let mut controller = filled();
    let mut sampler = Sampler::new(SamplerConfig::Sequential).unwrap();
    let request = FetchRequest {
        partition: PARTITION.into(),
        task: "train".into(),
        fields: names(),
        batch_size: BATCH,
        dp_rank: None,
        batch_index: None,
    };
    let selection = FieldSelection::Named(names());
    count(|| {
        let fetched = controller.fetch(&mut sampler, &request).unwrap().unwrap();
        controller.batch(PARTITION, &fetched, &selection).unwrap()
    });
}

pub(crate) fn list() {
    let controller = filled();
    count(|| {
        let listed = controller.list(Some(PARTITION));
        let pairs = listed.flat_map(|listed| listed.keys);
        pairs
            .map(|(key, tags)| (key.clone(), tags.clone()))
            .collect::<Vec<_>>()
    });
}

pub(crate) fn select() {
    let mut controller = filled();
    let selection = Selection {
        predicate: Predicate::Compare {
            tag: "length".into(),
            op: Comparison::Less,
            value: TagValue::Int(2048),
        },
        fields: names(),
        order_by: vec![("length".into(), false)],
        limit: Some(BATCH),
        ..Selection::default()
    };
    count(|| controller.select(PARTITION, &selection).unwrap());
}

pub(crate) fn clear() {
    let mut controller = filled();
    let keys = keys(SAMPLES / 2, BATCH);
    count(|| {
        let ticket = controller.begin_clear_keys(PARTITION, &keys);
        controller.finish_clear(&ticket);
    });
}
