//! Select, claim by selection, evict.

use tq_client::Engine;
use tq_controller::{Comparison, Predicate, Selection, TagValue};

use crate::common::{dense, keys, on_all, tags};

fn below(limit: i64) -> Predicate {
    Predicate::Compare {
        tag: "n".into(),
        op: Comparison::Less,
        value: TagValue::Int(limit),
    }
}

fn put(engine: &Engine) {
    let put = engine
        .begin_put("p", &keys(0..6), vec![dense("x", 8)])
        .unwrap();
    put.publish(Some((0..6).map(|n| tags("n", n)).collect()))
        .unwrap();
}

#[test]
fn selections_choose_order_and_claim() {
    on_all(|engine| {
        put(engine);
        let selection = Selection {
            predicate: Predicate::And(vec![below(5), Predicate::Not(Box::new(below(1)))]),
            order_by: vec![("n".into(), true)],
            limit: Some(3),
            claim_for: Some("t".into()),
            ..Selection::default()
        };
        let selected = engine.select("p", &selection).unwrap();
        let chosen: Vec<_> = selected.keys.iter().map(|key| &**key).collect();
        assert_eq!(chosen, ["k4", "k3", "k2"]);
        let counts = selected.counts;
        assert_eq!(
            (counts.samples, counts.not_matching, counts.over_limit),
            (6, 2, 1)
        );
        let again = engine.select("p", &selection).unwrap();
        assert_eq!((again.keys.len(), again.counts.already_claimed), (1, 3));
        let named = Selection {
            keys: Some(vec!["k5".into(), "k0".into()]),
            ..Selection::default()
        };
        assert_eq!(
            engine.select("p", &named).unwrap().keys,
            ["k5".into(), "k0".into()]
        );
    });
}

#[test]
fn evicted_samples_are_gone() {
    on_all(|engine| {
        put(engine);
        let selection = Selection {
            predicate: below(2),
            ..Selection::default()
        };
        assert_eq!(engine.evict("p", &selection).unwrap().keys.len(), 2);
        assert_eq!(engine.list(Some("p")).unwrap()[0].samples.len(), 4);
        assert!(engine.select("p", &selection).unwrap().keys.is_empty());
    });
}
