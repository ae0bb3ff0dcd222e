//! Samples whose payload lies in a storage backend.

use tq_controller::{Receipts, Tags};
use tq_engine::{ColumnPlace, StoredPut, StoredRun};
use tq_proto::{DType, ErrorKind, Parcel, RowShapes};
use tq_storage::{ColumnLayout, ColumnPlan};

use crate::common::{keys, on_all, tags};

/// Three rows: scalars, rows of their own length, packed buffers; in two parcels.
fn stored(key: &str) -> StoredPut {
    let plan = |field: &str, layout| ColumnPlan {
        field: field.into(),
        layout,
    };
    let parcel = |name: &str, bytes| Parcel {
        key: format!("{key}-{name}").into(),
        objects: vec![bytes],
        block: 64,
        checksums: vec![7; bytes.div_ceil(64) as usize],
    };
    let place = |parcel, start| Some(ColumnPlace { parcel, start });
    let row_shapes = RowShapes::new(1, 3, vec![1, 0, 3]).unwrap();
    StoredPut {
        columns: vec![
            plan(
                "scalar",
                ColumnLayout::Dense {
                    dtype: DType::Int64,
                    row_shape: vec![],
                },
            ),
            plan(
                "jagged",
                ColumnLayout::Jagged {
                    dtype: DType::UInt8,
                    row_shapes,
                },
            ),
            plan(
                "object",
                ColumnLayout::Object {
                    row_sizes: vec![64, 128, 64],
                },
            ),
        ],
        parcels: vec![parcel("small", 68), parcel("large", 256)],
        places: vec![place(0, 0), place(0, 64), place(1, 0)],
        receipts: Vec::new(),
    }
}

fn runs(runs: &[StoredRun]) -> Vec<(u32, u64, u64)> {
    runs.iter()
        .map(|run| (run.parcel, run.offset, run.bytes))
        .collect()
}

#[test]
fn what_was_published_is_found_row_by_row_with_its_parcels() {
    on_all(|engine| {
        let given = Some((0..3).map(|row| tags("row", row)).collect::<Vec<Tags>>());
        let published = engine
            .publish_stored("p", &keys(0..3), stored("a"), given)
            .unwrap();
        let names: Vec<&str> = published.fields.iter().map(|name| &**name).collect();
        assert_eq!(names, ["jagged", "object", "scalar"]);
        assert_eq!(published.tags[2], tags("row", 2));

        let all = engine.read_stored("p", &keys(0..3), None).unwrap();
        assert_eq!(all.missing, [0; 0]);
        assert_eq!(all.parcels.len(), 2);
        let whole: Vec<_> = all
            .columns
            .iter()
            .map(|column| runs(&column.runs))
            .collect();
        assert_eq!(
            whole,
            [vec![(0, 64, 4)], vec![(1, 0, 256)], vec![(0, 0, 24)]]
        );

        let select = ["scalar".into(), "jagged".into(), "unknown".into()];
        let asked = ["k2", "nobody", "k0"];
        let some = engine.read_stored("p", &asked, Some(&select)).unwrap();
        assert_eq!(some.missing, [1]);
        assert_eq!(some.columns.len(), 2);
        assert_eq!(runs(&some.columns[0].runs), [(0, 16, 8), (0, 0, 8)]);
        assert_eq!(runs(&some.columns[1].runs), [(0, 65, 3), (0, 64, 1)]);
        let ColumnLayout::Jagged { row_shapes, .. } = &some.columns[1].parts[0].layout else {
            panic!("the rows differ in length");
        };
        assert_eq!(row_shapes.dims(), [3, 1]);
        assert_eq!(*some.parcels[0], stored("a").parcels[0]);
    });
}

#[test]
fn samples_by_index_of_any_partition() {
    on_all(|engine| {
        let one = engine.insert("p", Vec::new(), 3).unwrap().global_indexes;
        let other = engine.insert("q", Vec::new(), 3).unwrap().global_indexes;
        engine
            .publish_stored_indexes("p", &one, stored("a"), None)
            .unwrap();
        engine
            .publish_stored_indexes("q", &other, stored("b"), None)
            .unwrap();
        let asked = [other[1], one[2], one[0]];
        let batch = engine
            .read_stored_indexes(&["q", "p", "p"], &asked, &["object".into()])
            .unwrap();
        assert_eq!(
            runs(&batch.columns[0].runs),
            [(0, 64, 128), (1, 192, 64), (1, 0, 64)]
        );
        assert_eq!(&*batch.parcels[0].key, "b-large");
        let error = engine
            .read_stored_indexes(&["p"], &one, &["nothing".into()])
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn parcels_are_dropped_with_their_rows_and_taken_once() {
    on_all(|engine| {
        engine
            .publish_stored("p", &keys(0..3), stored("a"), None)
            .unwrap();
        engine
            .publish_stored("p", &keys(0..3), stored("b"), None)
            .unwrap();
        let taken = engine.take_dropped(1).unwrap();
        assert_eq!(taken.len(), 1);
        engine.return_dropped(taken).unwrap();
        let mut names: Vec<_> = engine
            .take_dropped(10)
            .unwrap()
            .iter()
            .map(|parcel| parcel.key.to_string())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["a-large", "a-small"]);
        engine.clear("p", &keys(0..2)).unwrap();
        assert!(engine.take_dropped(10).unwrap().is_empty());
        engine.clear_partition("p").unwrap();
        assert_eq!(engine.take_dropped(10).unwrap().len(), 2);
    });
}

#[test]
fn fields_that_a_backend_finds_by_its_receipts_lie_in_no_parcel() {
    on_all(|engine| {
        let indexes = engine.insert("p", Vec::new(), 3).unwrap().global_indexes;
        let receipt =
            |byte: u8| -> Receipts { [("scalar".into(), [byte].into())].into_iter().collect() };
        let mut put = stored("a");
        put.places = vec![None; 3];
        put.parcels.clear();
        put.receipts = (0..3).map(receipt).collect();
        let wrong = StoredPut {
            receipts: vec![receipt(0)],
            ..put.clone()
        };
        let error = engine
            .publish_stored_indexes("p", &indexes, wrong, None)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        engine
            .publish_stored_indexes("p", &indexes, put, None)
            .unwrap();
        assert!(engine.is_produced("p", &["object".into()]).unwrap());
        let (batch, _) = engine.batch_of_keys("p", &["none"], false).unwrap();
        assert!(batch.is_none());
        let error = engine.read_stored_indexes(&["p"], &indexes, &["scalar".into()]);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_publish_that_is_refused_shows_nothing() {
    on_all(|engine| {
        let mut outside = stored("a");
        outside.places[2] = Some(ColumnPlace {
            parcel: 1,
            start: 64,
        });
        for (names, put) in [
            (keys(0..3), outside),
            (vec!["k0".into(), "k0".into(), "k1".into()], stored("a")),
        ] {
            let error = engine.publish_stored("p", &names, put, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(engine.partitions().unwrap().is_empty());
        }
        assert!(engine.take_dropped(10).unwrap().is_empty());
    });
}
