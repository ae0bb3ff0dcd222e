//! Consumption by example: what a fetch, a claim and a reset do to the tasks of a partition.
#![allow(clippy::unwrap_used)]

use tq_controller::sampler::{Sampler, SamplerConfig};
use tq_controller::{Controller, FetchRequest, FieldSchemaUpdate, FieldUpdate};
use tq_proto::{DType, ErrorKind, FieldName, GlobalIndex};

fn fields(names: &[&str]) -> Vec<FieldName> {
    names.iter().map(|name| (*name).into()).collect()
}

fn put(controller: &mut Controller, partition: &str, keys: &[&str], field: &str) {
    let schema = FieldSchemaUpdate::Dense {
        dtype: DType::Int64,
        row_shape: [2].into(),
    };
    let update = FieldUpdate {
        name: field.into(),
        schema,
    };
    let reservation = controller.reserve(partition, keys).unwrap();
    controller.publish(reservation, &[update], None).unwrap();
}

fn request(task: &str, of: &[&str], batch_size: usize) -> FetchRequest {
    FetchRequest {
        partition: "p".into(),
        task: task.into(),
        fields: fields(of),
        batch_size,
        dp_rank: None,
        batch_index: None,
    }
}

fn fetch(controller: &mut Controller, task: &str, of: &[&str], size: usize) -> Option<Vec<u64>> {
    let mut sampler = Sampler::new(SamplerConfig::Sequential).unwrap();
    let batch = controller.fetch(&mut sampler, &request(task, of, size));
    let batch = batch.unwrap()?;
    Some(batch.iter().map(|index| index.0).collect())
}

fn numbers(indexes: &[u64]) -> Vec<GlobalIndex> {
    indexes.iter().copied().map(GlobalIndex).collect()
}

#[test]
fn each_task_consumes_on_its_own_and_a_short_partition_gives_nothing() {
    let mut controller = Controller::new();
    put(&mut controller, "p", &["a", "b", "c"], "f");
    assert_eq!(fetch(&mut controller, "actor", &["f"], 2), Some(vec![0, 1]));
    assert_eq!(fetch(&mut controller, "actor", &["f"], 2), None);
    assert_eq!(
        fetch(&mut controller, "critic", &["f"], 3),
        Some(vec![0, 1, 2])
    );
    assert_eq!(fetch(&mut controller, "actor", &["f"], 1), Some(vec![2]));
    assert!(controller.is_consumed("p", "actor"));
    assert_eq!(
        controller.tasks("p"),
        [("actor".into(), 3), ("critic".into(), 3)]
    );
}

#[test]
fn a_sample_is_ready_only_with_all_fields_asked_for() {
    let mut controller = Controller::new();
    put(&mut controller, "p", &["a", "b", "c"], "f");
    put(&mut controller, "p", &["c", "a"], "g");
    assert_eq!(
        fetch(&mut controller, "t", &["f", "g"], 2),
        Some(vec![0, 2])
    );
    assert_eq!(fetch(&mut controller, "t", &["f", "never"], 1), None);
    assert_eq!(fetch(&mut controller, "t", &["f"], 1), Some(vec![1]));
}

#[test]
fn a_fetch_of_no_fields_gives_samples_of_its_own_partition_only() {
    let mut controller = Controller::new();
    put(&mut controller, "other", &["x", "y"], "f");
    put(&mut controller, "p", &["a"], "f");
    put(&mut controller, "other", &["z"], "f");
    controller.insert("p", 1).unwrap();
    assert_eq!(fetch(&mut controller, "t", &[], 2), Some(vec![2, 4]));
    assert_eq!(fetch(&mut controller, "t", &[], 1), None);
}

#[test]
fn an_unknown_partition_has_nothing_and_a_wrong_request_is_refused_there_too() {
    let mut controller = Controller::new();
    assert_eq!(fetch(&mut controller, "t", &["f"], 1), None);
    assert!(controller.partitions().is_empty());
    let config = SamplerConfig::GrpoGroupN {
        n_samples_per_prompt: 2,
    };
    let mut sampler = Sampler::new(config).unwrap();
    let error = controller.fetch(&mut sampler, &request("t", &["f"], 3));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidArgument);
    let error = controller.claim("p", "t", &fields(&["f"]), &numbers(&[0]), &[], false);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn new_samples_in_used_up_slots_were_consumed_by_nobody() {
    let mut controller = Controller::new();
    let keys: Vec<_> = (0..200).map(|row| row.to_string()).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    put(&mut controller, "p", &keys, "f");
    assert!(fetch(&mut controller, "t", &["f"], 200).is_some());
    let ticket = controller.begin_clear_keys("p", &keys[..199]);
    controller.finish_clear(&ticket);
    put(&mut controller, "p", &keys[..199], "f");
    assert_eq!(controller.ready_count("p", "t", &fields(&["f"]), 1000), 199);
    assert_eq!(controller.tasks("p"), [("t".into(), 1)]);
    let batch = fetch(&mut controller, "t", &["f"], 199).unwrap();
    assert_eq!(batch, Vec::from_iter(200..399));
}

#[test]
fn a_claim_marks_all_or_nothing_and_names_what_is_not_ready() {
    let mut controller = Controller::new();
    put(&mut controller, "p", &["a", "b", "c", "d"], "f");
    let of = fields(&["f"]);
    assert_eq!(fetch(&mut controller, "t", &["f"], 1), Some(vec![0]));
    let ticket = controller.begin_clear_indexes("p", &numbers(&[2]));
    controller.finish_clear(&ticket);

    let batch = numbers(&[3, 0, 2, 1]);
    let error = controller
        .claim("p", "t", &of, &batch, &batch, false)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert!(
        error
            .message()
            .contains("global indexes `0`, `2` are not ready"),
        "{error}"
    );
    assert_eq!(
        error.context().map(|(name, _)| name).collect::<Vec<_>>(),
        ["task", "partition"]
    );
    let twice = numbers(&[1, 3, 1]);
    let error = controller
        .claim("p", "t", &of, &twice, &twice, false)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().contains("`1` came before"), "{error}");
    assert_eq!(controller.ready_indexes("p", "t", &of, 9), numbers(&[1, 3]));

    // What is consumed need not be what is sampled; a sample that is gone needs no mark.
    let consumed = numbers(&[3, 2]);
    controller
        .claim("p", "t", &of, &numbers(&[1]), &consumed, false)
        .unwrap();
    assert_eq!(controller.ready_indexes("p", "t", &of, 9), numbers(&[1]));
}

#[test]
fn an_answer_is_given_again_while_its_samples_exist() {
    let mut controller = Controller::new();
    put(&mut controller, "p", &["a", "b", "c"], "f");
    let mut sampler = Sampler::new(SamplerConfig::RankAware).unwrap();
    let ask = |rank| FetchRequest {
        dp_rank: Some(rank),
        batch_index: Some(0),
        ..request("t", &["f"], 1)
    };
    let mut fetch = |controller: &mut Controller, rank| {
        controller.fetch(&mut sampler, &ask(rank)).unwrap().unwrap()
    };
    assert_eq!(fetch(&mut controller, 0), numbers(&[0]));
    assert_eq!(fetch(&mut controller, 1), numbers(&[1]));
    assert_eq!(fetch(&mut controller, 0), numbers(&[0]));
    let ticket = controller.begin_clear_keys("p", &["a"]);
    controller.finish_clear(&ticket);
    assert_eq!(fetch(&mut controller, 0), numbers(&[2]));
    assert!(controller.is_consumed("p", "t"));

    let of = fields(&["f"]);
    let claim = |controller: &mut Controller, again| {
        let batch = numbers(&[1]);
        controller.claim("p", "t", &of, &batch, &batch, again)
    };
    assert_eq!(
        claim(&mut controller, false).unwrap_err().kind(),
        ErrorKind::NotReady
    );
    claim(&mut controller, true).unwrap();
}

#[test]
fn a_reset_gives_samples_back_to_one_task_or_all() {
    let mut controller = Controller::new();
    put(&mut controller, "p", &["a", "b", "c"], "f");
    for task in ["actor", "critic"] {
        assert!(fetch(&mut controller, task, &["f"], 3).is_some());
    }
    let before = controller.sequence("p");
    let some = numbers(&[1, 99, 1]);
    assert_eq!(
        controller.reset_consumption("p", Some("actor"), Some(&some)),
        1
    );
    assert_eq!(fetch(&mut controller, "actor", &["f"], 1), Some(vec![1]));
    assert_eq!(fetch(&mut controller, "critic", &["f"], 1), None);
    assert_eq!(controller.reset_consumption("p", None, None), 6);
    assert_eq!(
        fetch(&mut controller, "critic", &["f"], 3),
        Some(vec![0, 1, 2])
    );
    assert_eq!(controller.reset_consumption("p", Some("unknown"), None), 0);
    assert_eq!(controller.reset_consumption("unknown", None, None), 0);
    // Consumption shows in no listing.
    assert_eq!(controller.sequence("p"), before);
}

#[test]
fn a_task_is_known_from_the_first_question_and_forgotten_with_the_partition() {
    let mut controller = Controller::new();
    assert_eq!(controller.consumption_status("p", "t"), None);
    put(&mut controller, "p", &["a", "b"], "f");
    assert!(!controller.is_consumed("p", "t"));
    let status = controller.consumption_status("p", "t").unwrap();
    assert_eq!(
        (status.global_indexes, status.cells),
        (numbers(&[0, 1]), vec![0, 0])
    );
    assert_eq!(controller.tasks("p"), [("t".into(), 0)]);
    assert!(fetch(&mut controller, "t", &["f"], 1).is_some());
    let _ = controller.drop_partition("p");
    put(&mut controller, "p", &["a"], "f");
    assert!(controller.tasks("p").is_empty());
    assert_eq!(fetch(&mut controller, "t", &["f"], 1), Some(vec![2]));
}
