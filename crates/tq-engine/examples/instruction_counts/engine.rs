//! Whole puts and gets of a process's own engine: controller, storage unit and arena together.

use tq_engine::{Batch, Embedded, EmbeddedConfig};

use crate::count;
use crate::samples::{PARTITION, keys, plans, tags};

const SINGLES: usize = 256;
const BATCH: usize = 1024;

fn engine() -> Embedded {
    let config = EmbeddedConfig {
        // As many as the machine has would be another count on each.
        threads: 1,
        ..EmbeddedConfig::default()
    };
    Embedded::new(config).unwrap()
}

fn put(engine: &Embedded, keys: &[String]) {
    let mut put = engine.begin_put(PARTITION, keys, plans()).unwrap();
    for column in put.columns_mut() {
        column.fill(7);
    }
    put.publish(Some(tags(0, keys.len()))).unwrap();
}

fn get(engine: &Embedded, keys: &[String]) -> Batch {
    engine.read(PARTITION, keys, None).unwrap()
}

pub(crate) fn put_single() {
    let engine = engine();
    put(&engine, &keys(0, BATCH));
    let keys = keys(BATCH, SINGLES);
    count(|| keys.chunks(1).for_each(|key| put(&engine, key)));
}

pub(crate) fn get_single() {
    let engine = engine();
    let keys = keys(0, BATCH);
    put(&engine, &keys);
    let some = &keys[..SINGLES];
    count(|| some.chunks(1).for_each(|key| drop(get(&engine, key))));
}

pub(crate) fn put_batch() {
    let engine = engine();
    put(&engine, &keys(0, BATCH));
    let keys = keys(BATCH, BATCH);
    count(|| put(&engine, &keys));
}

pub(crate) fn get_batch() {
    let engine = engine();
    let keys = keys(0, BATCH);
    put(&engine, &keys);
    count(|| get(&engine, &keys));
}
