//! Predicates against comparisons written down by hand and against exact arithmetic.
#![allow(clippy::unwrap_used)]

use std::cmp::Ordering;

use proptest::prelude::*;
use tq_controller::{Comparison, Matcher, Predicate, TagValue, Tags};
use tq_proto::ErrorKind;

use TagValue::{Bool, Float, Int, Null};

const OPERATORS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];

fn text(value: &str) -> TagValue {
    TagValue::Str(value.into())
}

fn opaque(bytes: &[u8]) -> TagValue {
    TagValue::Opaque(bytes.into())
}

fn compare(op: &str, value: &TagValue) -> Predicate {
    Predicate::Compare {
        tag: "t".into(),
        op: Comparison::from_symbol(op).unwrap(),
        value: value.clone(),
    }
}

fn one_of(values: &[TagValue], negated: bool) -> Predicate {
    Predicate::OneOf {
        tag: "t".into(),
        values: values.to_vec(),
        negated,
    }
}

fn not(predicate: Predicate) -> Predicate {
    Predicate::Not(Box::new(predicate))
}

fn tags(pairs: &[(&str, TagValue)]) -> Tags {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).into(), value.clone()))
        .collect()
}

fn holds(predicate: &Predicate, value: &TagValue) -> bool {
    let tags = tags(&[("other", Int(0)), ("t", value.clone())]);
    Matcher::new(predicate).unwrap().matches(&tags)
}

/// The operators that are true between two values.
fn true_between(left: &TagValue, right: &TagValue) -> Vec<&'static str> {
    let mut found = OPERATORS.to_vec();
    found.retain(|op| holds(&compare(op, right), left));
    found
}

const EQUAL: [&str; 3] = ["==", "<=", ">="];
const LESS: [&str; 3] = ["!=", "<", "<="];
const GREATER: [&str; 3] = ["!=", ">", ">="];

#[test]
fn values_of_unlike_types_differ_and_have_no_order() {
    let values = [Null, Int(0), text("0"), opaque(b"0"), Float(f64::NAN)];
    for (a, left) in values.iter().enumerate() {
        for (b, right) in values.iter().enumerate() {
            if a != b {
                assert_eq!(true_between(left, right), ["!="], "{left:?} {right:?}");
            }
        }
    }
}

#[test]
fn what_has_no_order_can_still_be_equal() {
    assert_eq!(true_between(&Null, &Null), ["=="]);
    assert_eq!(true_between(&opaque(b"ab"), &opaque(b"ab")), ["=="]);
    assert_eq!(true_between(&opaque(b"ab"), &opaque(b"b")), ["!="]);
    assert_eq!(
        true_between(&Float(f64::NAN), &Float(f64::NAN)),
        ["!="],
        "as in Python"
    );
}

#[test]
fn booleans_are_numbers_and_numbers_of_each_type_compare() {
    assert_eq!(true_between(&Bool(true), &Int(1)), EQUAL);
    assert_eq!(true_between(&Bool(false), &Float(0.5)), LESS);
    assert_eq!(true_between(&Bool(true), &Bool(false)), GREATER);
    assert_eq!(true_between(&Float(f64::INFINITY), &Int(i64::MAX)), GREATER);
    assert_eq!(
        true_between(&Int((1 << 53) + 1), &Float(2f64.powi(53))),
        GREATER
    );
    assert_eq!(true_between(&Float(-0.0), &Int(0)), EQUAL);
}

#[test]
fn text_compares_by_code_point() {
    assert_eq!(true_between(&text("B"), &text("a")), LESS);
    assert_eq!(true_between(&text("\u{ffff}"), &text("\u{10000}")), LESS);
    assert_eq!(true_between(&text("a"), &text("")), GREATER);
}

#[test]
fn a_comparison_with_a_missing_tag_is_false_and_its_negation_true() {
    let without = tags(&[("tt", Int(1))]);
    let mut predicates: Vec<_> = OPERATORS.iter().map(|op| compare(op, &Null)).collect();
    predicates.extend([one_of(&[Null], false), one_of(&[Null], true)]);
    predicates.push(Predicate::Has("t".into()));
    for predicate in predicates {
        assert!(!Matcher::new(&predicate).unwrap().matches(&without));
        assert!(!Matcher::new(&predicate).unwrap().matches(&Tags::default()));
        let negation = not(predicate);
        assert!(Matcher::new(&negation).unwrap().matches(&without));
    }
}

#[test]
fn having_a_tag_does_not_depend_on_its_value() {
    for value in [Null, Bool(false), Float(f64::NAN), opaque(b"")] {
        assert!(holds(&Predicate::Has("t".into()), &value));
    }
}

#[test]
fn one_of_many_values_means_what_one_of_few_does() {
    let many: Vec<_> = (0..100).map(Int).collect();
    for values in [&many[..5], &many[..]] {
        let last = values.len() as f64 - 1.0;
        for (value, among) in [
            (Bool(true), true),
            (Float(last), true),
            (Float(last + 1.0), false),
            (Float(0.5), false),
            (text("1"), false),
            (Null, false),
        ] {
            assert_eq!(holds(&one_of(values, false), &value), among, "{value:?}");
            assert_eq!(holds(&one_of(values, true), &value), !among, "{value:?}");
        }
    }
    assert!(!holds(&one_of(&[], false), &Null));
    assert!(holds(&one_of(&[], true), &Null));
    assert!(!holds(&one_of(&[Float(f64::NAN)], false), &Float(f64::NAN)));
}

#[test]
fn conditions_combine() {
    let (yes, no) = (Predicate::Always, not(Predicate::Always));
    let and = |predicates: &[&Predicate]| {
        Predicate::And(predicates.iter().map(|one| (*one).clone()).collect())
    };
    let or = |predicates: &[&Predicate]| {
        Predicate::Or(predicates.iter().map(|one| (*one).clone()).collect())
    };
    for (predicate, expected) in [
        (and(&[]), true),
        (and(&[&yes, &yes]), true),
        (and(&[&yes, &no]), false),
        (or(&[]), false),
        (or(&[&no, &yes]), true),
        (or(&[&no, &no]), false),
    ] {
        assert_eq!(holds(&predicate, &Null), expected, "{predicate:?}");
    }
}

#[test]
fn a_matcher_does_not_mistake_a_tag_for_the_one_at_its_place_before() {
    let predicate = compare("==", &Int(1));
    let mut matcher = Matcher::new(&predicate).unwrap();
    let shapes: [(&[(&str, TagValue)], bool); 6] = [
        (&[("a", Int(0)), ("t", Int(1))], true),
        (&[("t", Int(1)), ("a", Int(0))], true),
        (&[("a", Int(1)), ("b", Int(1))], false),
        (&[], false),
        (&[("a", Int(0)), ("b", Int(0)), ("t", Int(1))], true),
        (&[("t", Int(2))], false),
    ];
    for (pairs, expected) in shapes.iter().cycle().take(30) {
        assert_eq!(matcher.matches(&tags(pairs)), *expected, "{pairs:?}");
    }
}

#[test]
fn nesting_beyond_the_limit_is_an_error() {
    let nested = |levels| (1..levels).fold(Predicate::Always, |inner, _| not(inner));
    assert!(Matcher::new(&nested(Predicate::MAX_DEPTH)).is_ok());
    let deeper = nested(Predicate::MAX_DEPTH + 1);
    let error = Matcher::new(&deeper).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().contains("64 levels"), "{error}");
}

/// A finite number in quarters, which is exact for every value the strategies give.
fn quarters(value: &TagValue) -> i128 {
    match value {
        Bool(value) => 4 * i128::from(*value),
        Int(value) => 4 * i128::from(*value),
        Float(value) => (value * 4.0) as i128,
        _ => panic!("{value:?} is no number"),
    }
}

fn number() -> impl Strategy<Value = TagValue> {
    let border = prop::sample::select(vec![
        0_i64,
        1 << 52,
        1 << 53,
        -(1 << 53),
        i64::MAX,
        i64::MIN,
    ]);
    let near = (border, -3..=3_i64).prop_map(|(border, away)| border.saturating_add(away));
    prop_oneof![
        any::<bool>().prop_map(Bool),
        near.clone().prop_map(Int),
        (-8..=8_i64).prop_map(Int),
        near.prop_map(|value| Float(value as f64)),
        (-32..=32_i64).prop_map(|value| Float(value as f64 / 4.0)),
        prop::sample::select(vec![1e20, -1e20]).prop_map(Float),
    ]
}

proptest! {
    #[test]
    fn numbers_compare_as_their_exact_values(left in number(), right in number()) {
        let expected = match quarters(&left).cmp(&quarters(&right)) {
            Ordering::Less => LESS,
            Ordering::Equal => EQUAL,
            Ordering::Greater => GREATER,
        };
        prop_assert_eq!(true_between(&left, &right), expected);
        let among = holds(&one_of(std::slice::from_ref(&right), false), &left);
        prop_assert_eq!(among, expected == EQUAL);
    }
}
