//! What a selection promises, one rule at a time.
#![allow(clippy::unwrap_used)]

use tq_controller::{
    Controller, FieldSchemaUpdate, FieldUpdate, Predicate, Selected, Selection, SelectionCounts,
    TagValue, Tags,
};
use tq_proto::ErrorKind;

use TagValue::{Bool, Float, Int, Null};

fn text(value: &str) -> TagValue {
    TagValue::Str(value.into())
}

/// One sample per value, keyed `k0`, `k1`..., with the value in the tag `t`, where there is one.
fn with_values(values: &[Option<TagValue>]) -> Controller {
    let mut controller = Controller::new();
    let keys: Vec<_> = (0..values.len()).map(|n| format!("k{n}")).collect();
    let tags = values.iter().map(|value| {
        let pairs = value.iter();
        pairs.map(|value| ("t".into(), value.clone())).collect()
    });
    let reservation = controller.reserve("p", &keys).unwrap();
    controller
        .publish(reservation, &[], Some(tags.collect()))
        .unwrap();
    controller
}

fn groups(sizes: &[usize]) -> Controller {
    let values: Vec<_> = sizes
        .iter()
        .enumerate()
        .flat_map(|(group, size)| vec![Some(Int(group as i64)); *size])
        .collect();
    with_values(&values)
}

fn produce(controller: &mut Controller, field: &str, keys: &[&str]) {
    let schema = FieldSchemaUpdate::NonTensor;
    let field = FieldUpdate {
        name: field.into(),
        schema,
    };
    let reservation = controller.reserve("p", keys).unwrap();
    controller.publish(reservation, &[field], None).unwrap();
}

fn keys(selected: &Selected) -> Vec<&str> {
    selected.keys.iter().map(|key| &**key).collect()
}

fn ordered(descending: bool) -> Selection {
    Selection {
        order_by: vec![("t".into(), descending)],
        ..Selection::default()
    }
}

fn grouped(limit: Option<usize>) -> Selection {
    Selection {
        group_by: Some("t".into()),
        limit,
        ..Selection::default()
    }
}

#[test]
fn nothing_is_selected_in_an_unknown_partition_and_it_is_not_created() {
    let mut controller = Controller::new();
    let selection = Selection {
        claim_for: Some("actor".into()),
        ..Selection::default()
    };
    assert_eq!(
        controller.select("p", &selection).unwrap(),
        Selected::default()
    );
    assert!(controller.partitions().is_empty());
}

#[test]
fn samples_of_a_put_under_way_are_not_looked_at() {
    let mut controller = with_values(&[Some(Int(1))]);
    let _pending = controller.reserve("p", &["k9"]).unwrap();
    let found = controller.select("p", &Selection::default()).unwrap();
    assert_eq!(keys(&found), ["k0"]);
    assert_eq!(found.counts.samples, 1);
}

#[test]
fn numbers_come_before_text_and_what_has_no_order_last() {
    let values = [
        None,
        Some(text("a")),
        Some(Null),
        Some(Float(2.5)),
        Some(Float(f64::NAN)),
        Some(Bool(true)),
        Some(TagValue::Opaque(b"x"[..].into())),
        Some(text("")),
        Some(Int(2)),
        Some(Int(1)),
    ];
    let mut controller = with_values(&values);
    let up = controller.select("p", &ordered(false)).unwrap();
    assert_eq!(
        keys(&up),
        ["k5", "k9", "k8", "k3", "k7", "k1", "k0", "k2", "k4", "k6"]
    );
    let down = controller.select("p", &ordered(true)).unwrap();
    assert_eq!(
        keys(&down),
        ["k1", "k7", "k3", "k8", "k5", "k9", "k0", "k2", "k4", "k6"],
        "ties stay by creation"
    );
}

#[test]
fn the_second_tag_decides_where_the_first_is_equal() {
    let mut controller = with_values(&[Some(Int(1)), Some(Int(0)), Some(Float(1.0))]);
    let tags = [1, 2, 3].map(|value| Tags::from_iter([("u".into(), Int(-value))]));
    let reservation = controller.reserve("p", &["k0", "k1", "k2"]).unwrap();
    controller
        .publish(reservation, &[], Some(tags.into()))
        .unwrap();
    let selection = Selection {
        order_by: vec![("t".into(), true), ("u".into(), false)],
        ..Selection::default()
    };
    let found = controller.select("p", &selection).unwrap();
    assert_eq!(keys(&found), ["k2", "k0", "k1"]);
}

#[test]
fn a_limit_takes_the_first_in_order() {
    let values: Vec<_> = [3, 1, 2, 0].map(|value| Some(Int(value))).into();
    let mut controller = with_values(&values);
    for (limit, expected) in [
        (0, &[][..]),
        (2, &["k3", "k1"]),
        (4, &["k3", "k1", "k2", "k0"]),
        (usize::MAX, &["k3", "k1", "k2", "k0"]),
    ] {
        let selection = Selection {
            limit: Some(limit),
            ..ordered(false)
        };
        let found = controller.select("p", &selection).unwrap();
        assert_eq!(keys(&found), expected);
        assert_eq!(found.counts.over_limit, 4 - expected.len());
    }
}

#[test]
fn a_group_that_does_not_fit_any_more_makes_room_for_a_later_one() {
    let mut controller = groups(&[2, 3, 2, 1]);
    let found = controller.select("p", &grouped(Some(4))).unwrap();
    assert_eq!(keys(&found), ["k0", "k1", "k5", "k6"]);
    assert_eq!(found.counts.over_limit, 4);
    let found = controller.select("p", &grouped(Some(6))).unwrap();
    assert_eq!(keys(&found), ["k0", "k1", "k2", "k3", "k4", "k7"]);
    let found = controller.select("p", &grouped(Some(1))).unwrap();
    assert_eq!(keys(&found), ["k7"]);
}

#[test]
fn the_only_group_that_fits_is_found_wherever_it_stands() {
    for place in 1..20 {
        let mut sizes = vec![5; 20];
        sizes[0] = 2;
        sizes[place] = 1;
        let mut controller = groups(&sizes);
        let before: usize = sizes[..place].iter().sum();
        let found = controller.select("p", &grouped(Some(3))).unwrap();
        assert_eq!(keys(&found), ["k0", "k1", &format!("k{before}")]);
    }
}

#[test]
fn a_group_waits_for_the_last_of_its_samples() {
    let mut controller = groups(&[2, 2]);
    produce(&mut controller, "f", &["k0", "k2", "k3"]);
    let selection = Selection {
        fields: vec!["f".into()],
        ..grouped(None)
    };
    let found = controller.select("p", &selection).unwrap();
    assert_eq!(keys(&found), ["k2", "k3"]);
    let expected = SelectionCounts {
        samples: 4,
        selected: 2,
        not_ready: 1,
        incomplete_group: 1,
        ..SelectionCounts::default()
    };
    assert_eq!(found.counts, expected);
    produce(&mut controller, "f", &["k1"]);
    let found = controller.select("p", &selection).unwrap();
    assert_eq!(keys(&found), ["k0", "k1", "k2", "k3"]);
}

#[test]
fn a_group_size_passes_over_smaller_and_larger_groups() {
    let mut controller = groups(&[1, 2, 3]);
    let selection = Selection {
        group_size: Some(2),
        ..grouped(None)
    };
    let found = controller.select("p", &selection).unwrap();
    assert_eq!(keys(&found), ["k1", "k2"]);
    assert_eq!(found.counts.incomplete_group, 4);
}

#[test]
fn groups_go_by_equal_values_and_none_is_one() {
    let values = [
        Some(Int(1)),
        Some(Null),
        Some(Bool(true)),
        Some(text("1")),
        None,
        Some(Float(1.0)),
        Some(Null),
        Some(Float(f64::NAN)),
    ];
    let mut controller = with_values(&values);
    let found = controller.select("p", &grouped(None)).unwrap();
    assert_eq!(keys(&found), ["k0", "k2", "k5", "k1", "k6", "k3"]);
    assert_eq!(
        found.counts.incomplete_group, 2,
        "the sample without the tag and the one with a NaN"
    );
}

#[test]
fn groups_are_ordered_by_their_first_sample() {
    let values = [("u", 1), ("u", 2), ("v", 3), ("v", 1)];
    let mut controller = with_values(&vec![None; values.len()]);
    let tags = values.map(|(group, score)| {
        Tags::from_iter([("g".into(), text(group)), ("s".into(), Int(score))])
    });
    let reservation = controller.reserve("p", &["k0", "k1", "k2", "k3"]).unwrap();
    controller
        .publish(reservation, &[], Some(tags.into()))
        .unwrap();
    for (descending, expected) in [
        (false, ["k0", "k1", "k3", "k2"]),
        (true, ["k2", "k3", "k1", "k0"]),
    ] {
        let selection = Selection {
            order_by: vec![("s".into(), descending)],
            group_by: Some("g".into()),
            ..Selection::default()
        };
        let found = controller.select("p", &selection).unwrap();
        assert_eq!(keys(&found), expected);
    }
}

#[test]
fn a_claim_is_exclusive_per_task_and_ends_with_the_sample() {
    let mut controller = groups(&[2, 1]);
    let claim = |task: &str, limit| Selection {
        claim_for: Some(task.into()),
        limit,
        ..Selection::default()
    };
    let mut select = |selection: &Selection| {
        let found = controller.select("p", selection).unwrap();
        keys(&found).join(" ")
    };
    assert_eq!(select(&claim("actor", Some(2))), "k0 k1");
    assert_eq!(select(&claim("actor", None)), "k2");
    assert_eq!(select(&claim("actor", None)), "");
    assert_eq!(select(&claim("critic", None)), "k0 k1 k2");
    assert_eq!(select(&Selection::default()), "k0 k1 k2");

    let found = controller.select("p", &claim("actor", None)).unwrap();
    assert_eq!(found.counts.already_claimed, 3);
    let ticket = controller.begin_clear_keys("p", &["k1"]);
    controller.finish_clear(&ticket);
    produce(&mut controller, "f", &["k1"]);
    let found = controller.select("p", &claim("actor", None)).unwrap();
    assert_eq!(keys(&found), ["k1"], "a new sample under an old key");
}

#[test]
fn a_claimed_sample_keeps_the_rest_of_its_group_from_the_same_task() {
    let mut controller = groups(&[2]);
    let claim = Selection {
        claim_for: Some("actor".into()),
        limit: Some(1),
        ..Selection::default()
    };
    assert_eq!(keys(&controller.select("p", &claim).unwrap()), ["k0"]);
    let found = controller.select(
        "p",
        &Selection {
            group_by: Some("t".into()),
            limit: None,
            ..claim
        },
    );
    let counts = found.unwrap().counts;
    assert_eq!((counts.already_claimed, counts.incomplete_group), (1, 1));
}

#[test]
fn a_field_that_was_never_put_makes_no_sample_ready() {
    let mut controller = with_values(&[None, None]);
    let selection = Selection {
        fields: vec!["f".into()],
        ..Selection::default()
    };
    let found = controller.select("p", &selection).unwrap();
    assert_eq!((found.counts.not_ready, found.keys.len()), (2, 0));
}

#[test]
fn contradicting_arguments_are_refused_and_claim_nothing() {
    let mut controller = groups(&[2]);
    let claim_for = || Some("actor".into());
    let deep = (0..100).fold(Predicate::Always, |inner, _| {
        Predicate::Not(Box::new(inner))
    });
    let refused = [
        Selection {
            group_size: Some(2),
            claim_for: claim_for(),
            ..Selection::default()
        },
        Selection {
            group_size: Some(0),
            claim_for: claim_for(),
            ..grouped(None)
        },
        Selection {
            predicate: deep,
            claim_for: claim_for(),
            ..Selection::default()
        },
    ];
    for selection in refused {
        let error = controller.select("p", &selection).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
    let all = Selection {
        claim_for: claim_for(),
        ..Selection::default()
    };
    assert_eq!(controller.select("p", &all).unwrap().keys.len(), 2);
}
