//! Samples that come and go, listings, metadata.

use tq_controller::{FieldSelection, Receipts, TagValue, Tags};
use tq_proto::ErrorKind;

use crate::common::{dense, keys, on_all, put, tags};

#[test]
fn every_kind_of_tag_comes_back() {
    let all: Tags = [
        ("null".into(), TagValue::Null),
        ("yes".into(), TagValue::Bool(true)),
        ("no".into(), TagValue::Bool(false)),
        ("int".into(), TagValue::Int(i64::MIN)),
        ("float".into(), TagValue::Float(-0.5)),
        ("text".into(), TagValue::Str("näme".into())),
        ("bytes".into(), TagValue::Opaque([0, 255].into())),
    ]
    .into_iter()
    .collect();
    on_all(|engine| {
        let put = engine
            .begin_put("p", &keys(0..3), vec![dense("x", 8)])
            .unwrap();
        put.publish(Some(vec![all.clone(), Tags::default(), tags("int", 1)]))
            .unwrap();
        let listed = engine.list(Some("p")).unwrap();
        let (names, found): (Vec<_>, Vec<_>) = listed[0].samples.iter().cloned().unzip();
        assert_eq!(
            names.iter().map(|name| &**name).collect::<Vec<_>>(),
            ["k0", "k1", "k2"]
        );
        assert_eq!(found, [all.clone(), Tags::default(), tags("int", 1)]);
    });
}

#[test]
fn clears_by_key_index_and_partition() {
    on_all(|engine| {
        put(engine, "p", &keys(0..5), "x", 8, 1).unwrap();
        put(engine, "q", &keys(0..2), "x", 8, 1).unwrap();
        assert_eq!(engine.partitions().unwrap(), ["p".into(), "q".into()]);
        assert_eq!(engine.clear("p", &["k0", "unknown"]).unwrap(), 1);
        let (batch, missing) = engine.batch_of_keys("p", &["k0", "k1"], false).unwrap();
        assert_eq!(missing, [0]);
        let index = batch.unwrap().global_indexes;
        assert_eq!(engine.clear_indexes("p", &index).unwrap(), 1);
        assert_eq!(engine.clear_partition("p").unwrap(), Some(3));
        assert_eq!(engine.clear_partition("p").unwrap(), None);
        assert_eq!(engine.list(None).unwrap().len(), 1);
        assert!(engine.list(Some("p")).unwrap().is_empty());
        assert_eq!(engine.usage().unwrap().storage.samples, 2);
    });
}

#[test]
fn changes_tell_what_came_and_went() {
    on_all(|engine| {
        put(engine, "p", &keys(0..2), "x", 8, 1).unwrap();
        let first = engine.changes("p", 0, 100).unwrap();
        assert_eq!(first.changes.len(), 2);
        assert_eq!(&*first.changes[0].fields, ["x".into()]);
        put(engine, "p", &keys(1..2), "y", 8, 1).unwrap();
        engine.clear("p", &["k0"]).unwrap();
        let then = engine.changes("p", first.next, 100).unwrap();
        let told: Vec<_> = then
            .changes
            .iter()
            .map(|change| (&*change.key, change.cleared, change.fields.len()))
            .collect();
        assert_eq!(told, [("k1", false, 2), ("k0", true, 0)]);
        assert!(then.complete);
        assert_eq!(engine.sequence("p").unwrap(), then.next);
    });
}

#[test]
fn metadata_of_inserted_registered_and_put_samples() {
    on_all(|engine| {
        let inserted = engine.insert("p", vec!["x".into()], 2).unwrap();
        assert_eq!(
            (inserted.global_indexes.len(), inserted.keys),
            (2, vec![None, None])
        );
        put(engine, "p", &keys(0..1), "x", 8, 1).unwrap();
        let (batch, missing) = engine.batch_of_keys("p", &["k0", "new"], true).unwrap();
        assert!(missing.is_empty());
        let batch = batch.unwrap();
        assert_eq!(batch.keys, [Some("k0".into()), Some("new".into())]);
        let all = engine.force_fetch("p", &FieldSelection::All).unwrap();
        assert_eq!(all.produced, [0, 0, 1, 0]);
        assert_eq!(all.fields[0].dtype, Some(tq_proto::DType::UInt8));
        assert_eq!(all.fields[0].shape.as_deref(), Some(&[8][..]));
        let of = engine.keys_of("p", &all.global_indexes).unwrap().unwrap();
        assert_eq!(of[1..3], [None, Some("k0".into())]);
        assert_eq!(engine.keys_of("q", &all.global_indexes).unwrap(), None);
        let error = engine.force_fetch("q", &FieldSelection::All).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn tags_are_set_merged_and_replaced() {
    on_all(|engine| {
        let indexes = engine.insert("p", Vec::new(), 2).unwrap().global_indexes;
        let set = vec![tags("a", 1), tags("a", 2)];
        assert_eq!(engine.set_tags("p", &indexes, set, false).unwrap(), 2);
        engine
            .set_tags("p", &indexes[..1], vec![tags("b", 3)], false)
            .unwrap();
        engine
            .set_tags("p", &indexes[1..], vec![tags("b", 4)], true)
            .unwrap();
        let found = engine.tags_of("p", &indexes).unwrap();
        assert_eq!((found[0].len(), found[1].clone()), (2, tags("b", 4)));
        let error = engine
            .set_tags("p", &indexes, Vec::new(), true)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    });
}

#[test]
fn receipts_are_merged_and_come_back_with_the_fields_asked_for() {
    fn receipts(pairs: &[(&str, &[u8])]) -> Receipts {
        let pairs = pairs.iter();
        pairs
            .map(|(field, bytes)| ((*field).into(), (*bytes).into()))
            .collect()
    }
    on_all(|engine| {
        let indexes = engine.insert("p", Vec::new(), 3).unwrap().global_indexes;
        put(engine, "p", &keys(0..1), "x", 8, 1).unwrap();
        let found = |fields: &FieldSelection| engine.force_fetch("p", fields).unwrap().receipts;
        assert_eq!(found(&FieldSelection::All), None);
        let set = vec![
            receipts(&[("x", &[0, 255]), ("y", &[])]),
            Receipts::default(),
            receipts(&[("y", b"old")]),
        ];
        assert_eq!(engine.set_receipts("p", &indexes, set).unwrap(), 2);
        let more = vec![receipts(&[("y", b"new")])];
        let again = engine.set_receipts("p", &indexes[2..], more.clone());
        assert_eq!(again.unwrap(), 1);
        assert_eq!(engine.set_receipts("q", &indexes[2..], more).unwrap(), 0);
        let none = Receipts::default;
        let all = [
            receipts(&[("x", &[0, 255]), ("y", &[])]),
            none(),
            receipts(&[("y", b"new")]),
            none(),
        ];
        assert_eq!(found(&FieldSelection::All), Some(all.to_vec()));
        let x = FieldSelection::Known(vec!["x".into()]);
        let of_x = [receipts(&[("x", &[0, 255])]), none(), none(), none()];
        assert_eq!(found(&x), Some(of_x.to_vec()));
        engine.clear_indexes("p", &indexes[..1]).unwrap();
        assert_eq!(found(&x), None);
        let error = engine.set_receipts("p", &indexes, Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    });
}

#[test]
fn preallocated_samples_count_before_they_are_put() {
    on_all(|engine| {
        engine.preallocate("p", 4).unwrap();
        put(engine, "p", &keys(0..1), "x", 8, 1).unwrap();
        let status = engine
            .production_status("p", &["x".into()])
            .unwrap()
            .unwrap();
        assert_eq!((status.fields, status.cells), (1, vec![1, 0, 0, 0]));
        assert_eq!(
            engine.production_status("p", &["none".into()]).unwrap(),
            None
        );
        assert!(!engine.is_produced("p", &["x".into()]).unwrap());
    });
}
