//! One example for each known defect of the existing package that concerns the controller.
#![allow(clippy::unwrap_used)]

use tq_controller::{
    Controller, FieldSchemaUpdate, FieldUpdate, Published, RowShapes, TagValue, Tags,
};
use tq_proto::{DType, ErrorKind, GlobalIndex};

fn dense(name: &str, dtype: DType) -> FieldUpdate {
    let schema = FieldSchemaUpdate::Dense {
        dtype,
        row_shape: [2].into(),
    };
    FieldUpdate {
        name: name.into(),
        schema,
    }
}

fn tag(name: &str, value: i64) -> Tags {
    [(name.into(), TagValue::Int(value))].into_iter().collect()
}

fn put(controller: &mut Controller, keys: &[&str], field: &str) -> (Vec<GlobalIndex>, Published) {
    let reservation = controller.reserve("p", keys).unwrap();
    let indexes = reservation.global_indexes().to_vec();
    let fields = [dense(field, DType::Int64)];
    (
        indexes,
        controller.publish(reservation, &fields, None).unwrap(),
    )
}

fn keys(controller: &Controller) -> Vec<String> {
    controller
        .list(Some("p"))
        .flat_map(|listed| listed.keys)
        .map(|(key, _)| key.to_string())
        .collect()
}

#[test]
fn a_late_clear_by_a_stale_holder_misses_the_sample_put_since() {
    let mut controller = Controller::new();
    let (stale, _) = put(&mut controller, &["a"], "f");
    let ticket = controller.begin_clear_indexes("p", &stale);
    controller.finish_clear(&ticket);
    let (fresh, _) = put(&mut controller, &["b"], "f");
    assert_ne!(stale, fresh);

    let late = controller.begin_clear_indexes("p", &stale);
    assert!(late.global_indexes().is_empty());
    assert_eq!(keys(&controller), ["b"]);
    assert_eq!(controller.resolve("p", &["b"]).global_indexes, fresh);
}

#[test]
fn a_cleared_key_put_again_is_another_sample_without_its_former_fields_and_tags() {
    let mut controller = Controller::new();
    let reservation = controller.reserve("p", &["a"]).unwrap();
    let fields = [dense("f", DType::Int64)];
    let first = reservation.global_indexes().to_vec();
    let published = controller
        .publish(reservation, &fields, Some(vec![tag("t", 1)]))
        .unwrap();
    assert_eq!(published.tags[0].get("t"), Some(&TagValue::Int(1)));
    let ticket = controller.begin_clear_keys("p", &["a"]);
    assert_eq!(ticket.global_indexes(), first);

    let (second, published) = put(&mut controller, &["a"], "g");
    assert_ne!(first, second);
    assert_eq!(published.fields, ["g".into()]);
    assert!(published.tags[0].is_empty());
}

#[test]
fn a_put_that_a_clear_overtook_is_refused_and_hits_no_stranger() {
    let mut controller = Controller::new();
    let (old, _) = put(&mut controller, &["a", "b"], "f");
    let late = controller.reserve("p", &["a", "b", "c"]).unwrap();
    let pending = late.global_indexes()[2];
    let ticket = controller.begin_clear_keys("p", &["a"]);
    assert_eq!(ticket.global_indexes(), &old[..1]);
    let (stranger, _) = put(&mut controller, &["stranger"], "f");

    let refused = controller
        .publish(late, &[dense("g", DType::Int64)], None)
        .unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::NotFound);
    assert!(
        refused.error.to_string().contains("`a` were cleared"),
        "{}",
        refused.error
    );
    assert_eq!(refused.orphans, [old[0], pending]);
    assert_eq!(keys(&controller), ["b", "stranger"]);
    for index in [old[1], stranger[0]] {
        assert_eq!(
            controller.ready_fields("p", &[index]).unwrap(),
            ["f".into()]
        );
    }
}

#[test]
fn concurrent_updates_of_different_tags_all_survive() {
    let mut controller = Controller::new();
    let under_way: Vec<_> = (0..20)
        .map(|_| controller.reserve("p", &["a"]).unwrap())
        .collect();
    for (number, reservation) in under_way.into_iter().enumerate() {
        let tags = vec![tag(&format!("t{number}"), number as i64)];
        let published = controller.publish(reservation, &[], Some(tags)).unwrap();
        assert_eq!(published.tags[0].len(), number + 1);
    }
    let tags = controller
        .list(Some("p"))
        .flat_map(|listed| listed.keys)
        .next()
        .unwrap()
        .1
        .clone();
    assert_eq!(tags.len(), 20);
    assert_eq!(tags.get("t7"), Some(&TagValue::Int(7)));
}

#[test]
fn a_put_of_data_leaves_tags_alone() {
    let mut controller = Controller::new();
    let reservation = controller.reserve("p", &["a"]).unwrap();
    controller
        .publish(reservation, &[], Some(vec![tag("t", 1)]))
        .unwrap();
    let (_, published) = put(&mut controller, &["a"], "f");
    assert_eq!(published.tags, [tag("t", 1)]);
}

#[test]
fn a_refused_put_leaves_neither_keys_nor_fields_nor_a_partition() {
    let row_shapes = RowShapes::new(1, 3, vec![1, 2, 3]).unwrap();
    let jagged = FieldSchemaUpdate::Jagged {
        dtype: DType::Int64,
        row_shapes,
    };
    let good = dense("good", DType::Int64);
    let faults = [
        (
            vec![good.clone()],
            Some(vec![tag("t", 1)]),
            "1 tags were put with 2 rows",
        ),
        (
            vec![good.clone(), good.clone()],
            None,
            "field `good` was put twice",
        ),
        (
            vec![
                good,
                FieldUpdate {
                    name: "bad".into(),
                    schema: jagged,
                },
            ],
            None,
            "field `bad` describes 3 rows, but 2 were put",
        ),
    ];
    for (fields, tags, message) in faults {
        let mut controller = Controller::new();
        let reservation = controller.reserve("p", &["a", "b"]).unwrap();
        let indexes = reservation.global_indexes().to_vec();
        let refused = controller.publish(reservation, &fields, tags).unwrap_err();
        assert_eq!(refused.error.kind(), ErrorKind::InvalidArgument);
        assert!(
            refused.error.to_string().contains(message),
            "{}",
            refused.error
        );
        assert_eq!(refused.orphans, indexes);
        assert!(controller.partitions().is_empty());
        assert_eq!(controller.resolve("p", &["a", "b"]).missing, [0, 1]);
        assert_eq!(controller.sequence("p"), 0);
    }
}

#[test]
fn repeated_keys_are_refused_before_anything_is_reserved() {
    let mut controller = Controller::new();
    let (known, _) = put(&mut controller, &["a"], "f");
    let error = controller
        .reserve("p", &["a", "b", "a", "b", "c"])
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(
        error.to_string().contains("`a`, `b` came before"),
        "{error}"
    );
    assert_eq!(keys(&controller), ["a"]);
    assert_eq!(controller.resolve("p", &["a"]).global_indexes, known);
    // A held `b` would be refused or shared here; it is fresh and goes with its only holder.
    let reservation = controller.reserve("p", &["b"]).unwrap();
    let index = reservation.global_indexes().to_vec();
    assert_eq!(controller.abandon(reservation), index);
}

#[test]
fn an_empty_list_of_keys_is_refused_and_creates_no_partition() {
    let mut controller = Controller::new();
    let error = controller.reserve::<&str>("p", &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(controller.partitions().is_empty());
}

#[test]
fn a_dtype_conflict_corrupts_nothing_and_each_row_keeps_its_own() {
    let mut controller = Controller::new();
    let (first, _) = put(&mut controller, &["a"], "f");
    let reservation = controller.reserve("p", &["b"]).unwrap();
    let second = reservation.global_indexes().to_vec();
    controller
        .publish(reservation, &[dense("f", DType::Float32)], None)
        .unwrap();

    let (_, schema) = &controller.schema("p")[0];
    assert_eq!((schema.dtype, schema.rows), (None, 2));
    let rows = controller
        .row_schemas("p", "f", &[second[0], first[0]])
        .unwrap();
    let dtypes: Vec<_> = rows.into_iter().flatten().map(|row| row.dtype).collect();
    assert_eq!(dtypes, [Some(DType::Float32), Some(DType::Int64)]);
}

#[test]
fn a_clear_whose_storage_was_not_dropped_can_still_be_named() {
    let mut controller = Controller::new();
    let (indexes, _) = put(&mut controller, &["a", "b"], "f");
    let ticket = controller.begin_clear_keys("p", &["a", "unknown", "a"]);
    assert_eq!(ticket.global_indexes(), &indexes[..1]);
    drop(ticket);

    let lost: Vec<_> = controller.unfinished_clears().cloned().collect();
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0].global_indexes(), &indexes[..1]);
    controller.finish_clear(&lost[0]);
    assert_eq!(controller.unfinished_clears().count(), 0);
}

#[test]
fn what_is_not_produced_is_named_by_field_and_key() {
    let mut controller = Controller::new();
    let (mut indexes, _) = put(&mut controller, &["a"], "f");
    indexes.extend(put(&mut controller, &["b", "c"], "g").0);
    let error = controller
        .require_fields("p", &indexes, &["g"])
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert!(
        error
            .to_string()
            .contains("field `g` is not produced for `a` (1 of the 3")
    );
    let error = controller
        .require_fields("p", &indexes, &["never"])
        .unwrap_err();
    assert!(error.to_string().contains("`a`, `b`, `c`"), "{error}");
    let error = controller
        .require_fields("p", &[GlobalIndex(99)], &["f"])
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(controller.fields_of("p", "a"), Some(vec!["f".into()]));
}

#[test]
fn a_dropped_partition_comes_back_empty_and_with_a_higher_sequence() {
    let mut controller = Controller::new();
    put(&mut controller, &["a"], "f");
    let before = controller.sequence("p");
    let ticket = controller.drop_partition("p").unwrap();
    assert_eq!(ticket.global_indexes().len(), 1);
    assert!(controller.partitions().is_empty());
    assert_eq!(controller.drop_partition("p"), None);

    put(&mut controller, &["b"], "g");
    assert!(controller.sequence("p") > before);
    let fields: Vec<_> = controller
        .schema("p")
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(fields, ["g".into()]);
}

#[test]
fn a_new_key_survives_a_drop_of_its_partition_while_it_is_put() {
    let mut controller = Controller::new();
    put(&mut controller, &["a"], "f");
    let reservation = controller.reserve("p", &["b"]).unwrap();
    let _ = controller.drop_partition("p");
    assert!(controller.partitions().is_empty());
    let published = controller
        .publish(reservation, &[dense("g", DType::Int64)], None)
        .unwrap();
    assert_eq!(published.fields, ["g".into()]);
    assert_eq!(keys(&controller), ["b"]);
}
