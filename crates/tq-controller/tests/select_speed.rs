//! How long a selection takes. Prints and asserts nothing of time; run it with
//! `cargo test --release -p tq-controller --test select_speed -- --ignored --nocapture`.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use tq_controller::{
    Comparison, Controller, FieldSchemaUpdate, FieldUpdate, Predicate, Selection, TagValue, Tags,
};
use tq_proto::DType;

const SAMPLES: i64 = 100_000;

/// Samples with one field and three tags: `step` of 10 values, `score` of all values, `uid` of
/// groups of 8.
fn filled() -> Controller {
    let mut controller = Controller::new();
    let schema = FieldSchemaUpdate::Dense {
        dtype: DType::Float32,
        row_shape: [].into(),
    };
    let field = FieldUpdate {
        name: "f".into(),
        schema,
    };
    for start in (0..SAMPLES).step_by(1000) {
        let numbers = start..start + 1000;
        let keys: Vec<_> = numbers.clone().map(|n| format!("key-{n}")).collect();
        let tags = numbers.map(|n| {
            Tags::from_iter([
                ("step".into(), TagValue::Int(n % 10)),
                ("score".into(), TagValue::Float((n * 7919 % SAMPLES) as f64)),
                (
                    "uid".into(),
                    TagValue::Str(format!("prompt-{}", n / 8).into()),
                ),
            ])
        });
        let reservation = controller.reserve("p", &keys).unwrap();
        let fields = std::slice::from_ref(&field);
        controller
            .publish(reservation, fields, Some(tags.collect()))
            .unwrap();
    }
    controller
}

fn compare(tag: &str, op: Comparison, value: TagValue) -> Predicate {
    Predicate::Compare {
        tag: tag.into(),
        op,
        value,
    }
}

#[test]
#[ignore = "a measurement, for release builds"]
fn time_of_a_selection() {
    let mut controller = filled();
    let all = Selection {
        fields: vec!["f".into()],
        ..Selection::default()
    };
    let half = Predicate::And(vec![
        compare("step", Comparison::GreaterOrEqual, TagValue::Int(2)),
        compare("step", Comparison::Less, TagValue::Int(7)),
        compare("score", Comparison::Greater, TagValue::Int(100)),
    ]);
    let ordered = vec![("score".into(), true)];
    let cases = [
        ("all", all.clone()),
        (
            "none (a tag nobody has)",
            Selection {
                predicate: Predicate::Has("nope".into()),
                ..all.clone()
            },
        ),
        (
            "half",
            Selection {
                predicate: half.clone(),
                ..all.clone()
            },
        ),
        (
            "half, first 256",
            Selection {
                predicate: half.clone(),
                limit: Some(256),
                ..all.clone()
            },
        ),
        (
            "half, best 256",
            Selection {
                predicate: half,
                limit: Some(256),
                order_by: ordered.clone(),
                ..all.clone()
            },
        ),
        (
            "all, sorted",
            Selection {
                order_by: ordered.clone(),
                ..all.clone()
            },
        ),
        (
            "groups of 8, best 256",
            Selection {
                limit: Some(256),
                order_by: ordered,
                group_by: Some("uid".into()),
                group_size: Some(8),
                ..all.clone()
            },
        ),
    ];
    for (name, selection) in cases {
        let mut best = f64::INFINITY;
        let mut selected = 0;
        for _ in 0..10 {
            let start = Instant::now();
            let found = controller.select("p", &selection).unwrap();
            best = best.min(start.elapsed().as_secs_f64());
            selected = found.keys.len();
        }
        println!("{name:28} {:6.2} ms, {selected} selected", best * 1e3);
    }
}
