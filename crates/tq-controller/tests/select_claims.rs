//! Selections beside the other ways in which samples come and are consumed.
#![allow(clippy::unwrap_used)]

use tq_controller::{
    Controller, FieldSchemaUpdate, FieldUpdate, Predicate, Selected, Selection, TagValue, Tags,
};
use tq_proto::GlobalIndex;

fn put(controller: &mut Controller, keys: &[&str]) -> Vec<GlobalIndex> {
    let field = FieldUpdate {
        name: "f".into(),
        schema: FieldSchemaUpdate::NonTensor,
    };
    let reservation = controller.reserve("p", keys).unwrap();
    let indexes = reservation.global_indexes().to_vec();
    controller.publish(reservation, &[field], None).unwrap();
    indexes
}

fn claim(limit: usize) -> Selection {
    Selection {
        claim_for: Some("actor".into()),
        limit: Some(limit),
        ..Selection::default()
    }
}

fn keys(selected: &Selected) -> Vec<&str> {
    selected.keys.iter().map(|key| &**key).collect()
}

#[test]
fn samples_without_a_key_are_not_looked_at() {
    let mut controller = Controller::new();
    controller.preallocate("p", 3).unwrap();
    let inserted = controller.insert("p", 2).unwrap();
    let tags = Tags::from_iter([("g".into(), TagValue::Int(1))]);
    controller.replace_tags("p", &inserted, vec![tags.clone(), tags.clone()]);
    controller.register_keys("p", &["a"]).unwrap();
    let reservation = controller.reserve("p", &["a"]).unwrap();
    controller
        .publish(reservation, &[], Some(vec![tags]))
        .unwrap();

    let group = Selection {
        predicate: Predicate::Has("g".into()),
        group_by: Some("g".into()),
        group_size: Some(1),
        ..Selection::default()
    };
    let found = controller.select("p", &group).unwrap();
    assert_eq!(keys(&found), ["a"]);
    assert_eq!((found.counts.samples, found.counts.selected), (1, 1));
}

#[test]
fn what_a_selection_claims_is_consumed_for_every_other_request() {
    let mut controller = Controller::new();
    let indexes = put(&mut controller, &["a", "b", "c"]);
    let found = controller.select("p", &claim(2)).unwrap();
    assert_eq!(keys(&found), ["a", "b"]);
    let fields = ["f".into()];
    assert_eq!(
        controller.ready_indexes("p", "actor", &fields, 10),
        indexes[2..]
    );
    assert_eq!(controller.tasks("p"), [("actor".into(), 2)]);
    assert_eq!(controller.ready_count("p", "critic", &fields, 10), 3);
}

#[test]
fn what_others_consumed_is_claimed_until_a_reset() {
    let mut controller = Controller::new();
    let indexes = put(&mut controller, &["a", "b", "c"]);
    let (fields, taken) = (["f".into()], &indexes[..2]);
    controller
        .claim("p", "actor", &fields, taken, taken, false)
        .unwrap();
    let found = controller.select("p", &claim(10)).unwrap();
    assert_eq!(keys(&found), ["c"]);
    assert_eq!(found.counts.already_claimed, 2);
    controller.reset_consumption("p", Some("actor"), Some(&indexes[1..]));
    let found = controller.select("p", &claim(10)).unwrap();
    assert_eq!(keys(&found), ["b", "c"]);
}

#[test]
fn a_claim_is_no_change_and_one_that_selects_nothing_leaves_no_trace() {
    let mut controller = Controller::new();
    put(&mut controller, &["a"]);
    let before = controller.sequence("p");
    let nothing = Selection {
        predicate: Predicate::Has("nope".into()),
        ..claim(10)
    };
    controller.select("p", &nothing).unwrap();
    assert_eq!(controller.tasks("p"), []);
    controller.select("p", &claim(10)).unwrap();
    assert_eq!(controller.sequence("p"), before);
}

#[test]
fn replaced_tags_are_found_like_merged_ones() {
    let mut controller = Controller::new();
    let indexes = put(&mut controller, &["a", "b"]);
    for value in [1, 2] {
        let tags = |name: &str| Tags::from_iter([(name.into(), TagValue::Int(value))]);
        controller.replace_tags("p", &indexes, vec![tags("x"), tags("y")]);
        for (name, key) in [("x", "a"), ("y", "b")] {
            let selection = Selection {
                predicate: Predicate::OneOf {
                    tag: name.into(),
                    values: vec![TagValue::Int(value)],
                    negated: false,
                },
                ..Selection::default()
            };
            let found = controller.select("p", &selection).unwrap();
            assert_eq!(keys(&found), [key]);
        }
    }
}
