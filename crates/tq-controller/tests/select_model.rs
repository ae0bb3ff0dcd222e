//! Random selections and claims against a naive model that sorts everything and compares each
//! sample with each.
#![allow(clippy::unwrap_used)]

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tq_controller::{
    Comparison, Controller, FieldSchemaUpdate, FieldUpdate, Matcher, Predicate, Selected,
    Selection, SelectionCounts, TagValue, Tags,
};
use tq_proto::{DType, FieldName};

const TAGS: [&str; 4] = ["a", "b", "c", "never"];
const FIELDS: [&str; 3] = ["f", "g", "never"];
const TASKS: [&str; 2] = ["actor", "critic"];
const KEYS: usize = 24;

type Pairs = BTreeMap<&'static str, TagValue>;

#[derive(Debug, Clone)]
enum Step {
    Put(Vec<usize>, Option<usize>, Pairs),
    Clear(Vec<usize>),
    Select(Box<Selection>),
}

#[derive(Debug, Clone, Default)]
struct Sample {
    key: String,
    tags: Pairs,
    fields: BTreeSet<&'static str>,
    consumed: BTreeSet<String>,
}

/// Samples by creation.
#[derive(Default)]
struct Model(Vec<Sample>);

fn to_tags(pairs: &Pairs) -> Tags {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).into(), value.clone()))
        .collect()
}

/// Kind and value of what has an order.
fn rank(value: Option<&TagValue>) -> Option<(u8, i64, String)> {
    match value? {
        TagValue::Bool(value) => Some((0, 2 * i64::from(*value), String::new())),
        TagValue::Int(value) => Some((0, 2 * value, String::new())),
        TagValue::Float(value) => {
            (!value.is_nan()).then_some((0, (2.0 * value) as i64, String::new()))
        }
        TagValue::Str(value) => Some((1, 0, value.to_string())),
        TagValue::Null | TagValue::Opaque(_) => None,
    }
}

fn is_same(a: &TagValue, b: &TagValue) -> bool {
    match (rank(Some(a)), rank(Some(b))) {
        (Some(a), Some(b)) => a == b,
        (None, None) => a == b,
        _ => false,
    }
}

fn by(order_by: &[(std::sync::Arc<str>, bool)], a: &Sample, b: &Sample) -> Ordering {
    for (tag, descending) in order_by {
        let (left, right) = (rank(a.tags.get(&**tag)), rank(b.tags.get(&**tag)));
        let order = match (left, right) {
            (Some(left), Some(right)) if *descending => right.cmp(&left),
            (Some(left), Some(right)) => left.cmp(&right),
            (left, right) => left.is_none().cmp(&right.is_none()),
        };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

impl Model {
    fn put(&mut self, keys: &[String], field: Option<&'static str>, tags: &Pairs) {
        for key in keys {
            let place = self.0.iter().position(|sample| sample.key == *key);
            let place = place.unwrap_or_else(|| {
                self.0.push(Sample {
                    key: key.clone(),
                    ..Sample::default()
                });
                self.0.len() - 1
            });
            self.0[place].fields.extend(field);
            self.0[place].tags.extend(tags.clone());
        }
    }

    fn select(&mut self, selection: &Selection) -> (Vec<String>, SelectionCounts) {
        let looked_at: Vec<usize> = match &selection.keys {
            None => (0..self.0.len()).collect(),
            Some(keys) => {
                let mut seen = BTreeSet::new();
                let unique = keys.iter().filter(|key| seen.insert(key.to_string()));
                unique
                    .filter_map(|key| self.0.iter().position(|sample| sample.key == **key))
                    .collect()
            }
        };
        let mut counts = SelectionCounts {
            samples: looked_at.len(),
            ..SelectionCounts::default()
        };
        let mut fit = Vec::new();
        for number in looked_at.iter().copied() {
            let sample = &self.0[number];
            let has = |field: &FieldName| sample.fields.contains(&**field);
            let claimed = selection.claim_for.as_deref();
            if !Matcher::new(&selection.predicate)
                .unwrap()
                .matches(&to_tags(&sample.tags))
            {
                counts.not_matching += 1;
            } else if !selection.fields.iter().all(has) {
                counts.not_ready += 1;
            } else if claimed.is_some_and(|task| sample.consumed.contains(task)) {
                counts.already_claimed += 1;
            } else {
                fit.push(number);
            }
        }
        // A stable sort keeps the order in which they were looked at among equals.
        let mut sorted = fit.clone();
        sorted.sort_by(|a, b| by(&selection.order_by, &self.0[*a], &self.0[*b]));
        let mut units: Vec<Vec<usize>> = Vec::new();
        for number in sorted {
            let Some(tag) = &selection.group_by else {
                units.push(vec![number]);
                continue;
            };
            let value = self.0[number].tags.get(&**tag);
            let group = looked_at.iter().copied().filter(|other| {
                let other = self.0[*other].tags.get(&**tag);
                other.zip(value).is_some_and(|(a, b)| is_same(a, b))
            });
            let group: Vec<_> = group.collect();
            let is_complete = !group.is_empty()
                && group.iter().all(|member| fit.contains(member))
                && selection.group_size.is_none_or(|size| size == group.len());
            if !is_complete {
                counts.incomplete_group += 1;
            } else if let Some(unit) = units.iter_mut().find(|unit| group.contains(&unit[0])) {
                unit.push(number);
            } else {
                units.push(vec![number]);
            }
        }
        let mut left = selection.limit.unwrap_or(usize::MAX);
        let mut keys = Vec::new();
        for unit in units {
            if unit.len() > left {
                counts.over_limit += unit.len();
                continue;
            }
            left -= unit.len();
            for number in unit {
                let sample = &mut self.0[number];
                sample
                    .consumed
                    .extend(selection.claim_for.as_ref().map(ToString::to_string));
                keys.push(sample.key.clone());
            }
        }
        counts.selected = keys.len();
        (keys, counts)
    }
}

fn names(keys: &[usize]) -> Vec<String> {
    let unique: BTreeSet<_> = keys.iter().collect();
    unique.iter().map(|key| format!("k{key}")).collect()
}

fn put(controller: &mut Controller, keys: &[String], field: Option<&'static str>, tags: &Pairs) {
    let reservation = controller.reserve("p", keys).unwrap();
    let schema = FieldSchemaUpdate::Dense {
        dtype: DType::Int8,
        row_shape: [].into(),
    };
    let fields = field.map(|name| FieldUpdate {
        name: name.into(),
        schema,
    });
    let tags = vec![to_tags(tags); keys.len()];
    let fields = fields.as_slice();
    controller.publish(reservation, fields, Some(tags)).unwrap();
}

fn check(controller: &Controller, model: &Model, found: &Selected, keys: &[String]) {
    let selected: Vec<_> = found.keys.iter().map(ToString::to_string).collect();
    assert_eq!(selected, keys);
    let resolved = controller.resolve("p", keys);
    assert_eq!(found.global_indexes, resolved.global_indexes);
    assert_eq!(found.fields, resolved.fields);
    for (key, tags) in keys.iter().zip(&found.tags) {
        let sample = model.0.iter().find(|sample| sample.key == *key).unwrap();
        assert_eq!(tags.len(), sample.tags.len());
        for (name, value) in &sample.tags {
            // A NaN differs from itself; nothing else prints like it.
            assert_eq!(
                format!("{:?}", tags.get(name)),
                format!("{:?}", Some(value))
            );
        }
    }
}

fn value() -> impl Strategy<Value = TagValue> {
    prop_oneof![
        1 => Just(TagValue::Null),
        1 => any::<bool>().prop_map(TagValue::Bool),
        4 => (-1..=3_i64).prop_map(TagValue::Int),
        2 => (-2..=5_i8).prop_map(|half| TagValue::Float(f64::from(half) / 2.0)),
        1 => Just(TagValue::Float(f64::NAN)),
        2 => "[ab]?".prop_map(|text| TagValue::Str(text.into())),
        1 => prop::sample::select(vec![b"x", b"y"]).prop_map(|bytes| TagValue::Opaque(bytes[..].into())),
    ]
}

fn tag() -> impl Strategy<Value = std::sync::Arc<str>> {
    prop::sample::select(&TAGS[..]).prop_map(Into::into)
}

fn predicate() -> impl Strategy<Value = Predicate> {
    let op = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        3 => Just(Predicate::Always),
        3 => (tag(), op, value()).prop_map(|(tag, op, value)| Predicate::Compare {
            tag,
            op: Comparison::from_symbol(op).unwrap(),
            value,
        }),
        1 => (tag(), prop::collection::vec(value(), 0..12), any::<bool>())
            .prop_map(|(tag, values, negated)| Predicate::OneOf { tag, values, negated }),
        1 => tag().prop_map(Predicate::Has),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        let several = prop::collection::vec(inner.clone(), 0..3);
        prop_oneof![
            several.clone().prop_map(Predicate::And),
            several.prop_map(Predicate::Or),
            inner.prop_map(|inner| Predicate::Not(Box::new(inner))),
        ]
    })
}

prop_compose! {
    fn selection()(
        keys in prop::option::of(prop::collection::vec(0..KEYS + 1, 0..12)),
        predicate in predicate(),
        fields in prop::collection::vec(prop::sample::select(vec!["f", "f", "f", "g", "never"]), 0..2),
        order_by in prop::collection::vec((tag(), any::<bool>()), 0..3),
        limit in prop::option::of(0..10_usize),
        group_by in prop::option::of(tag()),
        group_size in prop::option::of(1..4_usize),
        claim_for in prop::option::of(prop::sample::select(&TASKS[..])),
    ) -> Selection {
        let key = |number: usize| format!("k{number}").into();
        Selection {
            keys: keys.map(|keys| keys.into_iter().map(key).collect()),
            predicate,
            fields: fields.into_iter().map(Into::into).collect(),
            order_by,
            limit,
            group_size: group_by.as_ref().and(group_size),
            group_by,
            claim_for: claim_for.map(Into::into),
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let keys = || prop::collection::vec(0..KEYS, 1..10);
    let field = prop::option::weighted(0.8, 0..FIELDS.len() - 1);
    let name = prop::sample::select(&TAGS[..3]);
    let pairs = prop::collection::btree_map(name, value(), 0..3);
    prop_oneof![
        4 => (keys(), field, pairs).prop_map(|(keys, field, pairs)| Step::Put(keys, field, pairs)),
        1 => keys().prop_map(Step::Clear),
        4 => selection().prop_map(|selection| Step::Select(Box::new(selection))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn selections_agree_with_the_model(steps in prop::collection::vec(step(), 1..30)) {
        let (mut controller, mut model) = (Controller::new(), Model::default());
        for step in steps {
            match step {
                Step::Put(keys, field, tags) => {
                    let (keys, field) = (names(&keys), field.map(|field| FIELDS[field]));
                    put(&mut controller, &keys, field, &tags);
                    model.put(&keys, field, &tags);
                }
                Step::Clear(keys) => {
                    let keys = names(&keys);
                    let ticket = controller.begin_clear_keys("p", &keys);
                    controller.finish_clear(&ticket);
                    model.0.retain(|sample| !keys.contains(&sample.key));
                }
                Step::Select(selection) => {
                    let found = controller.select("p", &selection).unwrap();
                    let (keys, counts) = model.select(&selection);
                    check(&controller, &model, &found, &keys);
                    prop_assert_eq!(found.counts, counts);
                }
            }
        }
    }
}
