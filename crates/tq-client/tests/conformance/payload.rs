//! Put and get: every layout, small (sent along) and large (in shared memory).

use tq_client::Engine;
use tq_proto::{DType, ErrorKind, FieldName, RowShapes};
use tq_storage::{ColumnLayout, ColumnPlan, ReadLayout};

use crate::common::{bytes_of, dense, get, keys, on_all, put, tags};

/// Rows of few bytes, and rows that make a batch too large for a message.
const SIZES: [u64; 2] = [16, 96 << 10];

fn layouts(unit: u64) -> Vec<(&'static str, ColumnLayout)> {
    let shapes = RowShapes::new(2, 3, vec![1, unit, 0, unit, 3, unit]).unwrap();
    vec![
        (
            "dense",
            ColumnLayout::Dense {
                dtype: DType::Float32,
                row_shape: vec![2, unit / 8],
            },
        ),
        (
            "scalar",
            ColumnLayout::Dense {
                dtype: DType::Int64,
                row_shape: vec![],
            },
        ),
        (
            "empty",
            ColumnLayout::Dense {
                dtype: DType::Int64,
                row_shape: vec![0],
            },
        ),
        (
            "jagged",
            ColumnLayout::Jagged {
                dtype: DType::UInt8,
                row_shapes: shapes,
            },
        ),
        (
            "object",
            ColumnLayout::Object {
                row_sizes: vec![64, 4 * unit.next_multiple_of(64), 128],
            },
        ),
    ]
}

/// Puts all layouts, each byte telling its column and place, and returns what was put.
fn put_all(engine: &Engine, unit: u64) -> Vec<Vec<u8>> {
    let plans = layouts(unit)
        .into_iter()
        .map(|(field, layout)| ColumnPlan {
            field: field.into(),
            layout,
        })
        .collect();
    let mut put = engine.begin_put("p", &keys(0..3), plans).unwrap();
    let mut wanted = Vec::new();
    for (number, column) in put.columns_mut().into_iter().enumerate() {
        for (place, byte) in column.iter_mut().enumerate() {
            *byte = (place % 251) as u8 ^ (number as u8) << 5;
        }
        wanted.push(column.to_vec());
    }
    let published = put.publish(None).unwrap();
    assert_eq!(published.fields.len(), 5);
    wanted
}

#[test]
fn every_layout_comes_back_as_it_was_put() {
    for unit in SIZES {
        on_all(|engine| {
            let wanted = put_all(engine, unit);
            let names: Vec<FieldName> = layouts(unit)
                .iter()
                .map(|(name, _)| (*name).into())
                .collect();
            let batch = engine.read("p", &keys(0..3), Some(&names)).unwrap();
            assert_eq!(batch.positions, [0, 1, 2]);
            for ((column, wanted), (_, put)) in batch.columns.iter().zip(&wanted).zip(layouts(unit))
            {
                assert_eq!(bytes_of(engine, column), *wanted, "{}", column.field());
                let found = match column.layout() {
                    ReadLayout::Dense { dtype, row_shape } => {
                        ColumnLayout::Dense { dtype, row_shape }
                    }
                    ReadLayout::Jagged { dtype, row_shapes } => {
                        ColumnLayout::Jagged { dtype, row_shapes }
                    }
                    ReadLayout::Object { row_sizes } => ColumnLayout::Object { row_sizes },
                    other => panic!("{other:?}"),
                };
                assert_eq!(found, put);
            }
        });
    }
}

#[test]
fn subsets_and_repeats_come_in_the_order_asked_for() {
    for unit in SIZES {
        on_all(|engine| {
            put(engine, "p", &keys(0..8), "x", unit, 10).unwrap();
            let asked = [6, 1, 1, 2, 3, 0].map(|number| format!("k{number}"));
            let bytes = get(engine, "p", &asked, "x").unwrap();
            let firsts: Vec<u8> = bytes.chunks(unit as usize).map(|row| row[0]).collect();
            assert_eq!(firsts, [16, 11, 11, 12, 13, 10]);
            assert!(
                bytes
                    .chunks(unit as usize)
                    .all(|row| row.iter().all(|b| *b == row[0]))
            );
        });
    }
}

#[test]
fn rows_that_differ_are_told_apart_row_by_row() {
    for unit in SIZES {
        on_all(|engine| {
            put(engine, "p", &keys(0..2), "x", unit, 1).unwrap();
            let object = ColumnPlan {
                field: "x".into(),
                layout: ColumnLayout::Object {
                    row_sizes: vec![64],
                },
            };
            let mut second = engine.begin_put("p", &["o"], vec![object]).unwrap();
            second.columns_mut()[0].fill(9);
            second.publish(None).unwrap();
            let batch = engine.read("p", &["k1", "o", "k0"], None).unwrap();
            let column = &batch.columns[0];
            assert_eq!(column.layout(), ReadLayout::Heterogeneous);
            let firsts: Vec<u8> = (0..3)
                .map(|row| column.row_bytes(row).unwrap()[0])
                .collect();
            assert_eq!(firsts, [2, 9, 1]);
            let parts = engine.deliver_parts(column).unwrap();
            let rows: Vec<usize> = parts.iter().flat_map(|part| part.rows.clone()).collect();
            assert_eq!(rows, [0, 1, 2]);
            let bytes: u64 = parts.iter().map(|part| part.bytes.len()).sum();
            assert_eq!(bytes, 2 * unit + 64);
        });
    }
}

#[test]
fn overwritten_rows_are_new_and_what_was_read_stays() {
    for unit in SIZES {
        on_all(|engine| {
            put(engine, "p", &keys(0..4), "x", unit, 1).unwrap();
            let before = engine.read("p", &keys(0..4), None).unwrap();
            put(engine, "p", &keys(1..2), "x", unit, 100).unwrap();
            engine.clear("p", &["k3"]).unwrap();
            // Memory that was given back is used again first.
            put(engine, "q", &keys(0..8), "x", unit, 200).unwrap();
            let bytes = get(engine, "p", &keys(0..3), "x").unwrap();
            let firsts: Vec<u8> = bytes.chunks(unit as usize).map(|row| row[0]).collect();
            assert_eq!(firsts, [1, 100, 3]);
            let kept = bytes_of(engine, &before.columns[0]);
            let firsts: Vec<u8> = kept.chunks(unit as usize).map(|row| row[0]).collect();
            assert_eq!(firsts, [1, 2, 3, 4]);
        });
    }
}

#[test]
fn puts_by_index_go_to_the_samples_named_in_several_partitions() {
    for unit in SIZES {
        on_all(|engine| {
            let p = engine.insert("p", vec!["x".into()], 2).unwrap();
            let q = engine.insert("q", vec!["x".into()], 1).unwrap();
            let indexes = [
                p.global_indexes[1],
                q.global_indexes[0],
                p.global_indexes[0],
            ];
            let mut batch = engine
                .begin_put_indexes(&["p", "q", "p"], &indexes, vec![dense("x", unit)])
                .unwrap();
            crate::common::fill_rows(batch.columns_mut()[0], unit as usize, 5);
            let all = vec![tags("t", 1), tags("t", 2), tags("t", 3)];
            batch.publish(Some(all)).unwrap();
            let columns = engine.read_indexes(&indexes, &["x".into()]).unwrap();
            let bytes = bytes_of(engine, &columns[0]);
            let firsts: Vec<u8> = bytes.chunks(unit as usize).map(|row| row[0]).collect();
            assert_eq!(firsts, [5, 6, 7]);
            assert_eq!(engine.tags_of("q", &indexes[1..2]).unwrap(), [tags("t", 2)]);
            let stale = [tq_proto::GlobalIndex(999)];
            let error = engine.read_indexes(&stale, &["x".into()]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
        });
    }
}

#[test]
fn what_is_missing_or_not_ready_is_told() {
    on_all(|engine| {
        put(engine, "p", &keys(0..2), "x", 16, 1).unwrap();
        put(engine, "p", &keys(2..3), "y", 16, 1).unwrap();
        let batch = engine.read("p", &["z", "k1", "w", "k0"], None).unwrap();
        assert_eq!((batch.positions, batch.missing), (vec![1, 3], vec![0, 2]));
        for (partition, asked, kind) in [
            ("p", "none", ErrorKind::NotFound),
            ("q", "k0", ErrorKind::NotFound),
        ] {
            assert_eq!(
                engine.read(partition, &[asked], None).unwrap_err().kind(),
                kind
            );
        }
        let error = engine.read("p", &keys(0..3), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotReady);
        assert!(error.context().any(|fact| fact == ("partition", "p")));
    });
}

#[test]
fn puts_that_contradict_themselves_leave_nothing() {
    for unit in SIZES {
        on_all(|engine| {
            let twice = vec!["a".to_owned(), "a".to_owned()];
            let error = put(engine, "p", &twice, "x", unit, 1).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            let one_tag = Some(vec![tags("t", 1)]);
            let two = engine
                .begin_put("p", &keys(0..2), vec![dense("x", unit)])
                .unwrap();
            let error = two.publish(one_tag).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            let plan = ColumnPlan {
                field: "x".into(),
                layout: ColumnLayout::Dense {
                    dtype: DType::Int64,
                    row_shape: vec![u64::MAX, 2],
                },
            };
            let error = engine
                .begin_put("p", &keys(0..2), vec![plan])
                .err()
                .unwrap();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(engine.list(None).unwrap().is_empty());
            let usage = engine.usage().unwrap().storage;
            assert_eq!((usage.pending_samples, usage.arena.loaned), (0, 0));
        });
    }
}

#[test]
fn tags_alone_can_be_put_and_are_merged() {
    on_all(|engine| {
        let first = engine.begin_put("p", &["a"], Vec::new()).unwrap();
        first.publish(Some(vec![tags("x", 1)])).unwrap();
        let second = engine.begin_put("p", &["a"], Vec::new()).unwrap();
        let published = second.publish(Some(vec![tags("y", 2)])).unwrap();
        assert_eq!(published.tags[0].len(), 2);
        assert!(published.sequence > 0);
    });
}
