//! Samples that exist before their data, by example: inserted, registered, pre-allocated, and put
//! by global index.
#![allow(clippy::unwrap_used)]

use tq_controller::{
    Controller, FieldColumns, FieldSchemaUpdate, FieldSelection, FieldUpdate, RowShapes, TagValue,
    Tags,
};
use tq_proto::{DType, ErrorKind, FieldName, GlobalIndex};

fn field(name: &str, shape: &[u64]) -> FieldUpdate {
    let schema = FieldSchemaUpdate::Dense {
        dtype: DType::Int64,
        row_shape: shape.into(),
    };
    FieldUpdate {
        name: name.into(),
        schema,
    }
}

fn put_rows(controller: &mut Controller, rows: &[GlobalIndex], fields: &[FieldUpdate]) {
    let reservation = controller.reserve_indexes("p", rows).unwrap();
    assert_eq!(reservation.global_indexes(), rows);
    controller.publish(reservation, fields, None).unwrap();
}

fn numbers(indexes: &[u64]) -> Vec<GlobalIndex> {
    indexes.iter().copied().map(GlobalIndex).collect()
}

fn names(fields: &[&str]) -> Vec<FieldName> {
    fields.iter().map(|name| (*name).into()).collect()
}

fn tag(name: &str, value: i64) -> Tags {
    [(name.into(), TagValue::Int(value))].into_iter().collect()
}

fn listed(controller: &Controller) -> Vec<String> {
    let listed = controller.list(Some("p")).flat_map(|listed| listed.keys);
    listed.map(|(key, _)| key.to_string()).collect()
}

#[test]
fn inserted_samples_have_no_key_and_are_filled_by_index() {
    let mut controller = Controller::new();
    let rows = controller.insert("p", 3).unwrap();
    assert_eq!(rows, numbers(&[0, 1, 2]));
    assert_eq!(controller.insert("p", 1).unwrap(), numbers(&[3]));
    assert_eq!(
        (controller.sample_count("p"), listed(&controller).len()),
        (4, 0)
    );
    put_rows(&mut controller, &numbers(&[2, 0]), &[field("f", &[4])]);
    // An answer for rows that were never put is zeros, and no error.
    let status = controller.production_status("p", &names(&["f"])).unwrap();
    assert_eq!(status.cells, [1, 0, 1, 0]);
    assert!(!controller.is_produced("p", &names(&["f"])));
    assert_eq!(controller.keys_of("p", &rows[..1]), Some(vec![None]));
    assert_eq!(controller.ready_count("p", "t", &names(&["f"]), 9), 2);
}

#[test]
fn an_insert_of_nothing_is_refused_and_creates_no_partition() {
    let mut controller = Controller::new();
    let error = controller.insert("p", 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let error = controller.insert("p", 1 << 40).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CapacityExceeded);
    let error = controller.preallocate("p", 1 << 40).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CapacityExceeded);
    let error = controller.register_keys::<&str>("p", &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(controller.partitions().is_empty());
}

#[test]
fn pre_allocated_samples_count_before_they_come_and_are_used_up_first() {
    let mut controller = Controller::new();
    controller.preallocate("p", 4).unwrap();
    assert_eq!(controller.all_indexes("p").unwrap(), numbers(&[0, 1, 2, 3]));
    assert_eq!(
        (controller.sample_count("p"), controller.partitions().len()),
        (0, 1)
    );
    assert_eq!(controller.ready_count("p", "t", &[], 9), 0);

    assert_eq!(controller.insert("p", 1).unwrap(), numbers(&[0]));
    let reservation = controller.reserve("p", &["a"]).unwrap();
    assert_eq!(reservation.global_indexes(), numbers(&[1]));
    controller
        .publish(reservation, &[field("f", &[])], None)
        .unwrap();
    assert_eq!(
        controller.register_keys("p", &["b"]).unwrap(),
        numbers(&[2])
    );
    put_rows(&mut controller, &numbers(&[0, 2]), &[field("f", &[])]);
    let status = controller.production_status("p", &names(&["f"])).unwrap();
    assert_eq!(status.cells, [1, 1, 1, 0]);
    // All that is visible is produced, but one sample is still to come.
    assert!(!controller.is_produced("p", &names(&["f"])));
    assert_eq!(
        controller.ready_fields("p", &numbers(&[3])).unwrap(),
        names(&[])
    );
    put_rows(&mut controller, &numbers(&[3]), &[field("f", &[])]);
    assert!(controller.is_produced("p", &names(&["f"])));
    assert_eq!(controller.insert("p", 1).unwrap(), numbers(&[4]));

    controller.preallocate("p", 7).unwrap();
    assert_eq!(controller.all_indexes("p").unwrap().len(), 5);
}

#[test]
fn a_put_that_fails_gives_pre_allocated_samples_back_and_drops_nothing_stored_for_others() {
    let mut controller = Controller::new();
    controller.preallocate("p", 1).unwrap();
    let reservation = controller.reserve("p", &["a", "b"]).unwrap();
    assert_eq!(reservation.global_indexes(), numbers(&[0, 1]));
    assert_eq!(
        controller
            .batch("p", &numbers(&[0]), &FieldSelection::All)
            .unwrap()
            .keys,
        [None]
    );
    assert_eq!(controller.abandon(reservation), numbers(&[1]));
    assert_eq!(controller.all_indexes("p").unwrap(), numbers(&[0]));
    let again = controller.reserve("p", &["b"]).unwrap();
    assert_eq!(again.global_indexes(), numbers(&[0]));
    controller.publish(again, &[], None).unwrap();
    assert_eq!(listed(&controller), ["b"]);
    assert_eq!(controller.resolve("p", &["a"]).missing, [0]);
}

#[test]
fn a_drop_forgets_pre_allocated_samples_but_not_the_put_of_a_new_key() {
    let mut controller = Controller::new();
    controller.preallocate("p", 3).unwrap();
    let keyed = controller.reserve("p", &["a"]).unwrap();
    let by_index = controller.reserve_indexes("p", &numbers(&[1])).unwrap();
    let ticket = controller.drop_partition("p").unwrap();
    assert_eq!(ticket.global_indexes(), numbers(&[1, 2]));
    assert!(controller.partitions().is_empty());
    let refused = controller.publish(by_index, &[], None).unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::NotFound);
    assert!(
        refused
            .error
            .message()
            .contains("samples `#1` were cleared"),
        "{refused}"
    );
    assert_eq!(refused.orphans, numbers(&[1]));
    controller.publish(keyed, &[], None).unwrap();
    assert_eq!(controller.all_indexes("p").unwrap(), numbers(&[0]));
}

#[test]
fn registered_keys_are_samples_at_once_also_those_of_a_put_under_way() {
    let mut controller = Controller::new();
    let reservation = controller.reserve("p", &["a"]).unwrap();
    let rows = controller.register_keys("p", &["b", "a", "b"]).unwrap();
    assert_eq!(rows, numbers(&[1, 0, 1]));
    assert_eq!(listed(&controller), ["b", "a"]);
    let before = controller.sequence("p");
    assert_eq!(
        controller.register_keys("p", &["a"]).unwrap(),
        numbers(&[0])
    );
    assert_eq!(controller.sequence("p"), before);
    // The sample stays when the put that had brought it fails.
    assert!(controller.abandon(reservation).is_empty());
    assert_eq!(listed(&controller), ["b", "a"]);
}

#[test]
fn a_stale_put_by_index_is_refused_and_hits_no_stranger() {
    let mut controller = Controller::new();
    let rows = controller.insert("p", 2).unwrap();
    controller.insert("other", 1).unwrap();
    let ticket = controller.begin_clear_indexes("p", &rows[..1]);
    controller.finish_clear(&ticket);
    controller.insert("p", 1).unwrap();
    let error = controller
        .reserve_indexes("p", &numbers(&[1, 0, 2]))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error
            .message()
            .contains("global indexes `0`, `2` are of no sample"),
        "{error}"
    );
    let error = controller
        .reserve_indexes("p", &numbers(&[1, 3, 1]))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let error = controller.reserve_indexes("unknown", &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error.message().contains("partitions are `p`, `other`"),
        "{error}"
    );
}

#[test]
fn tags_are_replaced_or_merged_by_index_and_stale_indexes_are_passed_over() {
    let mut controller = Controller::new();
    let rows = controller.insert("p", 2).unwrap();
    let both = [rows[0], GlobalIndex(9), rows[1]];
    let tags = || vec![tag("a", 1), tag("a", 2), tag("b", 3)];
    assert_eq!(controller.replace_tags("p", &both, tags()), 2);
    assert_eq!(
        controller.merge_tags("p", &rows, vec![tag("b", 4), tag("b", 5)]),
        2
    );
    let found = controller.tags_of("p", &both);
    let both_tags = [("a", 1), ("b", 4)].map(|(name, value)| (name.into(), TagValue::Int(value)));
    assert_eq!(
        found,
        [
            both_tags.into_iter().collect(),
            Tags::default(),
            tag("b", 5)
        ]
    );
    let before = controller.sequence("p");
    assert_eq!(
        controller.replace_tags("p", &rows, vec![tag("c", 6), tag("c", 7)]),
        2
    );
    assert!(controller.sequence("p") > before);
    assert_eq!(controller.tags_of("p", &rows), [tag("c", 6), tag("c", 7)]);
    assert_eq!(controller.replace_tags("unknown", &rows, tags()), 0);
}

#[test]
fn metadata_describes_the_rows_of_the_batch() {
    let mut controller = Controller::new();
    let rows = controller.insert("p", 4).unwrap();
    put_rows(&mut controller, &rows[..3], &[field("even", &[2])]);
    let row_shapes = RowShapes::new(1, 2, vec![5, 5]).unwrap();
    let jagged = FieldUpdate {
        name: "jagged".into(),
        schema: FieldSchemaUpdate::Jagged {
            dtype: DType::Float32,
            row_shapes,
        },
    };
    put_rows(&mut controller, &rows[1..3], &[jagged]);
    let asked = [rows[2], rows[0]];
    let selection = FieldSelection::Named(names(&["unknown", "jagged", "even", "jagged"]));
    let batch = controller.batch("p", &asked, &selection).unwrap();
    assert_eq!(batch.produced, [1, 0]);
    let described = |column: &FieldColumns| {
        let name = column.name.to_string();
        (name, column.dtype, column.shape.clone(), column.is_nested)
    };
    assert_eq!(
        batch.fields.iter().map(described).collect::<Vec<_>>(),
        [
            ("unknown".into(), None, None, false),
            ("jagged".into(), Some(DType::Float32), None, true),
            ("even".into(), Some(DType::Int64), Some([2].into()), false),
        ]
    );
    let shapes = |column: usize| batch.fields[column].row_shapes.clone();
    assert_eq!(shapes(1), Some(vec![Some([5].into()), None]));
    assert_eq!((shapes(0), shapes(2)), (None, None));
    let nothing_known = FieldSelection::Known(names(&["unknown"]));
    let batch = controller.batch("p", &asked, &nothing_known).unwrap();
    assert_eq!((batch.produced, batch.fields.len()), (vec![0, 0], 0));
}
