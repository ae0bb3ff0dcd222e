//! Counts of partitions agree with their statuses, whatever happened to the samples.

#![allow(clippy::unwrap_used, reason = "tests")]

use tq_controller::sampler::{Sampler, SamplerConfig};
use tq_controller::{Controller, FetchRequest, FieldSchemaUpdate, FieldUpdate, PartitionOverview};
use tq_proto::{DType, FieldName};

fn put(controller: &mut Controller, partition: &str, keys: &[&str], fields: &[&str]) {
    let update = |name: &&str| FieldUpdate {
        name: (*name).into(),
        schema: FieldSchemaUpdate::Dense {
            dtype: DType::Int8,
            row_shape: [].into(),
        },
    };
    let fields: Vec<_> = fields.iter().map(update).collect();
    let reservation = controller.reserve(partition, keys).unwrap();
    controller.publish(reservation, &fields, None).unwrap();
}

fn fetch(controller: &mut Controller, task: &str, batch_size: usize) {
    let request = FetchRequest {
        partition: "p".into(),
        task: task.into(),
        fields: vec!["a".into()],
        batch_size,
        dp_rank: None,
        batch_index: None,
    };
    let mut sampler = Sampler::new(SamplerConfig::Sequential).unwrap();
    assert!(controller.fetch(&mut sampler, &request).unwrap().is_some());
}

fn ones(cells: &[u8]) -> usize {
    cells.iter().filter(|cell| **cell == 1).count()
}

/// The counts of one partition, and that they are those of its statuses.
fn checked(controller: &mut Controller) -> PartitionOverview {
    let found = controller.overview().remove(0);
    assert_eq!(found.samples, controller.sample_count("p"));
    assert_eq!(found.sequence, controller.sequence("p"));
    for (field, produced) in &found.produced {
        let fields: [FieldName; 1] = [field.clone()];
        let status = controller.production_status("p", &fields).unwrap();
        assert_eq!(*produced, ones(&status.cells), "{field}");
    }
    for (task, consumed) in &found.consumed {
        let status = controller.consumption_status("p", task).unwrap();
        assert_eq!(*consumed, ones(&status.cells), "{task}");
    }
    found
}

#[test]
fn counts_follow_puts_fetches_and_clears() {
    let mut controller = Controller::new();
    assert_eq!(controller.overview(), []);
    put(&mut controller, "p", &["x", "y", "z"], &["b", "a"]);
    put(&mut controller, "p", &["w"], &["a"]);
    put(&mut controller, "later", &["x"], &["a"]);
    fetch(&mut controller, "update", 3);
    fetch(&mut controller, "log", 1);
    let found = checked(&mut controller);
    assert_eq!((found.samples, found.keys, found.preallocated), (4, 4, 0));
    assert_eq!(found.produced, [("b".into(), 3), ("a".into(), 4)]);
    assert_eq!(found.consumed, [("log".into(), 1), ("update".into(), 3)]);
    let names: Vec<_> = controller
        .overview()
        .into_iter()
        .map(|found| found.partition)
        .collect();
    assert_eq!(names, ["p".into(), "later".into()]);

    let ticket = controller.begin_clear_keys("p", &["y"]);
    controller.finish_clear(&ticket);
    let found = checked(&mut controller);
    assert_eq!((found.samples, found.keys), (3, 3));
    assert_eq!(found.produced, [("b".into(), 2), ("a".into(), 3)]);
    assert_eq!(found.consumed, [("log".into(), 1), ("update".into(), 2)]);
}

#[test]
fn what_is_not_visible_counts_as_key_or_as_given_in_advance_only() {
    let mut controller = Controller::new();
    let pending = controller.reserve("p", &["x"]).unwrap();
    assert_eq!(controller.overview(), []);
    controller.preallocate("p", 5).unwrap();
    put(&mut controller, "p", &["y"], &["a"]);
    let found = checked(&mut controller);
    assert_eq!((found.samples, found.keys), (1, 2));
    assert_eq!(
        found.samples + found.preallocated,
        controller.all_indexes("p").unwrap().len()
    );
    controller.abandon(pending);
    assert_eq!(checked(&mut controller).keys, 1);
}
