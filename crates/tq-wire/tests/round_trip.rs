//! What becomes a message and returns is what it was; what was tampered with on the way is an error
//! or something else, and never a panic.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message;
use tq_arena::SegmentRange;
use tq_controller::{
    BatchColumns, Changes, Comparison, FieldColumns, FieldSelection, KeyChange, PartitionOverview,
    Predicate, Published, Receipts, Selected, Selection, SelectionCounts, StatusColumns, TagValue,
    Tags,
};
use tq_engine::{Listing, Order, Spread, UnitInfo};
use tq_proto::{DType, ErrorKind, FieldName, GlobalIndex, RowShapes, UnitId};
use tq_storage::{ColumnDescription, ColumnLayout, ColumnPlan, RowsPart};
use tq_wire::overview::{GuestOverview, Overview};
use tq_wire::proto;

fn name() -> impl Strategy<Value = Arc<str>> {
    prop_oneof!["[a-zä]{0,6}", Just("same".to_owned())].prop_map(Into::into)
}

fn names() -> impl Strategy<Value = Vec<FieldName>> {
    vec(name(), 0..4)
}

fn value() -> impl Strategy<Value = TagValue> {
    prop_oneof![
        Just(TagValue::Null),
        any::<bool>().prop_map(TagValue::Bool),
        any::<i64>().prop_map(TagValue::Int),
        any::<f64>().prop_map(TagValue::Float),
        name().prop_map(TagValue::Str),
        vec(any::<u8>(), 0..9).prop_map(|bytes| TagValue::Opaque(bytes.into())),
    ]
}

fn tags() -> impl Strategy<Value = Tags> {
    vec((name(), value()), 0..5).prop_map(|pairs| pairs.into_iter().collect())
}

fn receipts() -> impl Strategy<Value = Receipts> {
    let bytes = vec(any::<u8>(), 0..9).prop_map(Arc::from);
    vec((name(), bytes), 0..4).prop_map(|pairs| pairs.into_iter().collect())
}

fn dtype() -> impl Strategy<Value = DType> {
    (0..DType::ALL.len()).prop_map(|at| DType::ALL[at])
}

fn indexes(rows: usize) -> impl Strategy<Value = Vec<GlobalIndex>> {
    vec(any::<u64>().prop_map(GlobalIndex), rows)
}

fn shape() -> impl Strategy<Value = Vec<u64>> {
    vec(any::<u64>(), 0..4)
}

fn layout() -> impl Strategy<Value = ColumnLayout> {
    let jagged = (0..3usize, 0..5usize).prop_flat_map(|(rank, rows)| {
        (dtype(), vec(any::<u64>(), rank * rows)).prop_map(move |(dtype, dims)| {
            ColumnLayout::Jagged {
                dtype,
                row_shapes: RowShapes::new(rank, rows, dims).unwrap(),
            }
        })
    });
    prop_oneof![
        (dtype(), shape()).prop_map(|(dtype, row_shape)| ColumnLayout::Dense { dtype, row_shape }),
        jagged,
        vec(any::<u64>(), 0..5).prop_map(|row_sizes| ColumnLayout::Object { row_sizes }),
    ]
}

fn plan() -> impl Strategy<Value = ColumnPlan> {
    (name(), layout()).prop_map(|(field, layout)| ColumnPlan { field, layout })
}

fn range() -> impl Strategy<Value = SegmentRange> {
    any::<(u32, u64, u64)>().prop_map(|(segment, offset, len)| SegmentRange {
        segment,
        offset,
        len,
    })
}

fn description() -> impl Strategy<Value = ColumnDescription> {
    let part = (any::<u32>(), layout()).prop_map(|(rows, layout)| RowsPart { rows, layout });
    (
        name(),
        vec(part, 0..3),
        vec(range(), 0..4),
        vec(range(), 0..4),
    )
        .prop_map(|(field, parts, spans, runs)| ColumnDescription {
            field,
            parts,
            spans,
            runs,
        })
}

fn bits(count: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(0..2u8, count)
}

fn field_columns(rows: usize) -> impl Strategy<Value = FieldColumns> {
    (
        name(),
        option::of(dtype()),
        option::of(shape().prop_map(Into::into)),
        any::<(bool, bool)>(),
        option::of(vec(option::of(shape().prop_map(Into::into)), rows)),
    )
        .prop_map(
            |(name, dtype, shape, (is_nested, is_non_tensor), row_shapes)| FieldColumns {
                name,
                dtype,
                shape,
                is_nested,
                is_non_tensor,
                row_shapes,
            },
        )
}

fn batch() -> impl Strategy<Value = BatchColumns> {
    (0..6usize).prop_flat_map(|rows| {
        (
            name(),
            indexes(rows),
            vec(field_columns(rows), 0..3),
            bits(rows),
            vec(tags(), rows),
            vec(option::of(name()), rows),
            option::of(vec(receipts(), rows)),
        )
            .prop_map(
                |(partition, global_indexes, fields, produced, tags, keys, receipts)| {
                    BatchColumns {
                        partition,
                        global_indexes,
                        fields,
                        produced,
                        tags,
                        keys,
                        receipts,
                    }
                },
            )
    })
}

fn status() -> impl Strategy<Value = StatusColumns> {
    (0..5usize, 0..4usize).prop_flat_map(|(rows, fields)| {
        (indexes(rows), bits(rows * fields)).prop_map(move |(global_indexes, cells)| {
            StatusColumns {
                global_indexes,
                fields,
                cells,
            }
        })
    })
}

fn changes() -> impl Strategy<Value = Changes> {
    let change = (any::<u64>(), name(), names(), tags(), any::<bool>()).prop_map(
        |(sequence, key, fields, tags, cleared)| KeyChange {
            sequence,
            key,
            fields: fields.into(),
            tags,
            cleared,
        },
    );
    (vec(change, 0..5), any::<u64>(), any::<bool>()).prop_map(|(changes, next, complete)| Changes {
        changes,
        next,
        complete,
    })
}

fn predicate() -> impl Strategy<Value = Predicate> {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let op = prop::sample::select(vec![
        Equal,
        NotEqual,
        Less,
        LessOrEqual,
        Greater,
        GreaterOrEqual,
    ]);
    let leaf = prop_oneof![
        Just(Predicate::Always),
        name().prop_map(Predicate::Has),
        (name(), op, value()).prop_map(|(tag, op, value)| Predicate::Compare { tag, op, value }),
        (name(), vec(value(), 0..4), any::<bool>()).prop_map(|(tag, values, negated)| {
            Predicate::OneOf {
                tag,
                values,
                negated,
            }
        }),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Predicate::And),
            vec(inner.clone(), 0..4).prop_map(Predicate::Or),
            inner.prop_map(|part| Predicate::Not(Box::new(part))),
        ]
    })
}

fn selection() -> impl Strategy<Value = Selection> {
    let count = || option::of(any::<u32>().prop_map(|count| count as usize));
    (
        option::of(names()),
        predicate(),
        names(),
        vec((name(), any::<bool>()), 0..3),
        (count(), count()),
        (option::of(name()), option::of(name())),
    )
        .prop_map(
            |(keys, predicate, fields, order_by, counts, named)| Selection {
                keys,
                predicate,
                fields,
                order_by,
                limit: counts.0,
                group_by: named.0,
                group_size: counts.1,
                claim_for: named.1,
            },
        )
}

fn selected() -> impl Strategy<Value = Selected> {
    (0..5usize).prop_flat_map(|rows| {
        (
            indexes(rows),
            vec(name(), rows),
            vec(tags(), rows),
            names(),
            any::<[u32; 7]>(),
        )
            .prop_map(|(global_indexes, keys, tags, fields, n)| Selected {
                global_indexes,
                keys,
                tags,
                fields,
                counts: SelectionCounts {
                    samples: n[0] as usize,
                    selected: n[1] as usize,
                    not_matching: n[2] as usize,
                    not_ready: n[3] as usize,
                    already_claimed: n[4] as usize,
                    incomplete_group: n[5] as usize,
                    over_limit: n[6] as usize,
                },
            })
    })
}

/// Through the bytes that a socket carries.
fn carried<M: Message + Default>(message: &M) -> M {
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

/// Floats compare as bits: a NaN is to come back, too.
fn told(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

proptest! {
    #[test]
    fn tags_return(rows in vec(tags(), 0..6)) {
        let read = carried(&proto::Tags::of(&rows)).read(rows.len()).unwrap();
        prop_assert_eq!(told(&read), told(&rows));
    }

    #[test]
    fn floats_return_bit_by_bit(bits: u64) {
        let value = TagValue::Float(f64::from_bits(bits));
        match carried(&proto::Values::of([&value])).read().unwrap().as_slice() {
            [TagValue::Float(float)] => prop_assert_eq!(float.to_bits(), bits),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn optional_texts_return(texts in vec(option::of(name()), 0..8)) {
        let read = carried(&proto::OptionalTexts::of(&texts)).read::<Arc<str>>().unwrap();
        prop_assert_eq!(read, texts);
    }

    #[test]
    fn plans_return(plans in vec(plan(), 0..4)) {
        let messages = proto::ColumnPlan::of(&plans).iter().map(carried).collect();
        prop_assert_eq!(proto::ColumnPlan::read(messages).unwrap(), plans);
    }

    #[test]
    fn descriptions_return(description in description()) {
        let read = carried(&proto::Column::of(&description)).read().unwrap();
        prop_assert_eq!(read, description);
    }

    #[test]
    fn places_return(places in vec(option::of(range()), 0..5)) {
        let places: Vec<_> = places.into_iter().map(|p| p.filter(|p| p.len > 0)).collect();
        let read = carried(&proto::LoanReply::of(&places, None)).read(places.len()).unwrap();
        prop_assert_eq!(read, places);
    }

    #[test]
    fn batches_return(batch in batch()) {
        let read = carried(&proto::Batch::of(&batch)).read().unwrap();
        prop_assert_eq!(told(&read), told(&batch));
    }

    #[test]
    fn statuses_return(status in option::of(status())) {
        prop_assert_eq!(carried(&proto::StatusReply::of(status.as_ref())).read().unwrap(), status);
    }

    #[test]
    fn changes_return(changes in changes()) {
        let read = carried(&proto::ChangesReply::of(&changes)).read().unwrap();
        prop_assert_eq!(told(&read), told(&changes));
    }

    #[test]
    fn listings_return(partition in name(), samples in vec((name(), tags()), 0..5)) {
        let listing = Listing { partition, samples };
        let read = carried(&proto::Listing::of(&listing)).read().unwrap();
        prop_assert_eq!(told(&read), told(&listing));
    }

    #[test]
    fn selections_return(partition in name(), selection in selection()) {
        let read = carried(&proto::SelectRequest::of(&partition, &selection)).read().unwrap();
        prop_assert_eq!(told(&read), told(&(partition.to_string(), selection)));
    }

    #[test]
    fn what_was_selected_returns(selected in selected()) {
        let read = carried(&proto::SelectedReply::of(&selected)).read().unwrap();
        prop_assert_eq!(told(&read), told(&selected));
    }

    #[test]
    fn what_was_published_returns(all in vec(tags(), 0..5), fields in names(), sequence: u64) {
        let rows = all.len();
        let published = Published { tags: all, fields, sequence };
        let read = carried(&proto::PublishedReply::of(&published)).read(rows).unwrap();
        prop_assert_eq!(told(&read), told(&published));
    }

    #[test]
    fn field_selections_return(fields in names(), kind in 0..3) {
        let selection = match kind {
            0 => FieldSelection::All,
            1 => FieldSelection::Named(fields),
            _ => FieldSelection::Known(fields),
        };
        prop_assert_eq!(carried(&proto::FieldSelection::of(&selection)).read().unwrap(), selection);
    }

    #[test]
    fn tampered_messages_never_panic(
        batch in batch(),
        changes in changes(),
        selection in selection(),
        description in description(),
        at: prop::sample::Index,
        byte: u8,
        rows in 0..8usize,
    ) {
        fn tampered<M: Message + Default>(
            message: &M,
            at: &prop::sample::Index,
            byte: u8,
        ) -> Option<M> {
            let mut bytes = message.encode_to_vec();
            if !bytes.is_empty() {
                let place = at.index(bytes.len());
                bytes[place] = byte;
            }
            M::decode(bytes.as_slice()).ok()
        }
        let _ = tampered(&proto::Batch::of(&batch), &at, byte).map(proto::Batch::read);
        let _ = tampered(&proto::Tags::of(&batch.tags), &at, byte).map(|tags| tags.read(rows));
        let _ = tampered(&proto::ChangesReply::of(&changes), &at, byte).map(proto::ChangesReply::read);
        let request = proto::SelectRequest::of("p", &selection);
        let _ = tampered(&request, &at, byte).map(proto::SelectRequest::read);
        let _ = tampered(&proto::Column::of(&description), &at, byte).map(proto::Column::read);
    }
}

#[test]
fn a_condition_nested_beyond_the_limit_is_refused_and_one_at_it_is_not() {
    let nested = |levels| {
        let not = |inner, _| Predicate::Not(Box::new(inner));
        (1..levels).fold(Predicate::Always, not)
    };
    let at = nested(Predicate::MAX_DEPTH);
    assert_eq!(carried(&proto::Predicate::of(&at)).read().unwrap(), at);
    let beyond = nested(Predicate::MAX_DEPTH + 1);
    assert!(proto::Predicate::of(&beyond).read().is_err());
}

#[test]
fn each_lie_of_a_receipt_column_is_an_error() {
    let receipts: Receipts = [("a".into(), [1].into())].into_iter().collect();
    let honest = proto::Receipts::of([&receipts]);
    let lies: [fn(&mut proto::Receipts); 7] = [
        |receipts| receipts.counts[0] = u32::MAX,
        |receipts| receipts.counts.push(0),
        |receipts| receipts.field_of[0] = 7,
        |receipts| receipts.field_of.push(0),
        |receipts| receipts.fields = None,
        |receipts| receipts.receipts = None,
        |receipts| receipts.receipts.as_mut().unwrap().ends[0] = 2,
    ];
    for lie in lies {
        let mut tampered = honest.clone();
        lie(&mut tampered);
        assert!(tampered.read(1).is_err(), "{tampered:?}");
    }
    assert!(honest.read(2).is_err());
    assert_eq!(honest.read(1).unwrap(), [receipts]);
}

#[test]
fn each_lie_of_a_tag_column_is_an_error() {
    let tags: Tags = [("a".into(), TagValue::Int(1))].into_iter().collect();
    let honest = proto::Tags::of([&tags]);
    let lies: [fn(&mut proto::Tags); 7] = [
        |tags| tags.counts[0] = u32::MAX,
        |tags| tags.counts.push(1),
        |tags| tags.name_of[0] = 7,
        |tags| tags.names = None,
        |tags| tags.values = None,
        |tags| tags.values.as_mut().unwrap().kinds = vec![99],
        |tags| tags.values.as_mut().unwrap().integers.push(2),
    ];
    for lie in lies {
        let mut tampered = honest.clone();
        lie(&mut tampered);
        assert!(tampered.read(1).is_err(), "{tampered:?}");
    }
    assert!(honest.read(2).is_err());
    assert_eq!(honest.read(1).unwrap(), [tags]);
}

#[test]
fn columns_lie_in_their_loan_or_the_reply_is_refused() {
    let range = |offset, len| SegmentRange {
        segment: 3,
        offset,
        len,
    };
    let loan = Some(range(4096, 1000));
    let places = [Some(range(4096, 100)), None, Some(range(4224, 872))];
    let reply = proto::LoanReply::of(&places, loan);
    let (columns, bytes) = carried(&reply).in_loan(3).unwrap();
    assert_eq!((columns, bytes), (vec![0..100, 100..100, 128..1000], 1000));
    let lies = [
        [Some(range(4000, 100)), None, None],
        [Some(range(4096, 1001)), None, None],
        [Some(range(4196, 100)), Some(range(4096, 100)), None],
        [Some(range(u64::MAX, 2)), None, None],
    ];
    for lie in lies {
        let error = carried(&proto::LoanReply::of(&lie, loan))
            .in_loan(3)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
    assert!(carried(&reply).in_loan(2).is_err());
}

#[test]
fn rows_in_several_units_are_described_or_the_reply_is_refused() {
    let unit = UnitInfo {
        id: UnitId(7),
        name: "seven".into(),
        host: "h".into(),
        addresses: vec!["tcp:h:1".into()],
        capacity_bytes: 10,
        used_bytes: 3,
        samples: 2,
        is_lost: false,
    };
    let spread = Spread {
        missing: Vec::new(),
        ready: Vec::new(),
        indexes: vec![GlobalIndex(4), GlobalIndex(9)],
        fields: vec!["x".into()],
        units: vec![vec![UnitId(7), UnitId::HOME]],
        known: vec![unit],
    };
    let message = carried(&proto::Spread::of(&spread));
    assert_eq!(message.clone().read().unwrap(), spread);
    let mut unknown = message.clone();
    unknown.known.clear();
    let mut short = message.clone();
    short.units[0].units.pop();
    let mut fields = message;
    fields.units.clear();
    for lie in [unknown, short, fields] {
        assert_eq!(lie.read().unwrap_err().kind(), ErrorKind::Internal);
    }
    for order in [
        Order::Clear(vec![GlobalIndex(1)]),
        Order::Remove {
            field: "x".into(),
            indexes: vec![GlobalIndex(u64::MAX)],
        },
    ] {
        assert_eq!(carried(&proto::Order::of(1, &order)).read(), order);
    }
}

fn overview() -> Overview {
    let partition = |name: &str, fields: &[(&str, usize)], tasks: &[(&str, usize)]| {
        let counts =
            |of: &[(&str, usize)]| of.iter().map(|(name, n)| ((*name).into(), *n)).collect();
        PartitionOverview {
            partition: name.into(),
            samples: 7,
            preallocated: 1,
            keys: 6,
            sequence: 90,
            produced: counts(fields),
            consumed: counts(tasks),
        }
    };
    Overview {
        partitions: vec![
            partition("p", &[("a", 3), ("b", 7)], &[]),
            partition("", &[], &[("t", 2)]),
            partition("q", &[("a", 0)], &[("t", 1), ("u", 7)]),
        ],
        units: Vec::new(),
        guests: vec![
            GuestOverview {
                session: 4,
                name: "rollout".to_owned(),
                process: 17,
                attached: Duration::from_secs(3),
                puts: 1,
                put_bytes: 2,
                reads: 3,
                read_bytes: 5,
                subscriptions: 6,
            },
            GuestOverview::default(),
        ],
        serving: Duration::from_secs(60),
    }
}

#[test]
fn an_overview_comes_back() {
    let sent = overview();
    let read = carried(&proto::OverviewReply::of(&sent)).read().unwrap();
    assert_eq!(read.partitions, sent.partitions);
    assert_eq!(read.guests, sent.guests);
    assert_eq!(read.serving, sent.serving);
    let nothing = proto::OverviewReply::default().read().unwrap();
    assert!(nothing.partitions.is_empty() && nothing.guests.is_empty());
}

#[test]
fn each_lie_of_an_overview_is_an_error() {
    type Lie = fn(&mut proto::PartitionOverviews, &mut proto::GuestOverviews);
    let lies: [Lie; 12] = [
        |partitions, _| partitions.samples.truncate(2),
        |partitions, _| partitions.keys.push(1),
        |partitions, _| partitions.sequences.clear(),
        |partitions, _| partitions.field_counts[0] = 1,
        |partitions, _| partitions.field_counts[0] = u64::MAX,
        |partitions, _| partitions.task_counts[2] = 3,
        |partitions, _| partitions.produced.truncate(1),
        |partitions, _| partitions.tasks = None,
        |partitions, _| partitions.partitions = None,
        |_, guests| guests.names = None,
        |_, guests| guests.processes.clear(),
        |_, guests| guests.sessions.push(1),
    ];
    let honest = proto::OverviewReply::of(&overview());
    for (number, lie) in lies.into_iter().enumerate() {
        let mut tampered = honest.clone();
        let guests = tampered.guests.as_mut().unwrap();
        lie(tampered.partitions.as_mut().unwrap(), guests);
        assert!(tampered.read().is_err(), "{number}");
    }
    let mut without_usage = honest;
    without_usage.units.push(proto::UnitOverview::default());
    assert!(without_usage.read().is_err());
}

#[test]
fn each_lie_of_a_stored_batch_is_an_error() {
    use tq_wire::proto::{ParcelsMessage, ReadStoredReply, StoredColumn};
    let honest = ReadStoredReply {
        parcels: vec![proto::Parcel {
            key: "k".into(),
            objects: vec![64],
            block: 64,
            checksums: vec![1],
        }],
        columns: vec![StoredColumn {
            field: "x".into(),
            run_parcels: vec![0],
            run_offsets: vec![8],
            run_bytes: vec![56],
            ..StoredColumn::default()
        }],
        ..ReadStoredReply::default()
    };
    assert!(honest.clone().read(1).is_ok());
    let lies: [fn(&mut ReadStoredReply); 8] = [
        |reply| reply.missing = vec![7],
        |reply| reply.parcels[0].block = 0,
        |reply| reply.parcels[0].objects = vec![u64::MAX, u64::MAX],
        |reply| reply.parcels[0].checksums.clear(),
        |reply| reply.columns[0].run_parcels[0] = 1,
        |reply| reply.columns[0].run_bytes[0] = 57,
        |reply| reply.columns[0].run_offsets[0] = u64::MAX,
        |reply| reply.columns[0].part_rows.push(1),
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let mut lied = honest.clone();
        lie(&mut lied);
        assert!(lied.read(1).is_err(), "lie {number}");
    }
    let parcels = ParcelsMessage {
        parcels: honest.parcels,
    };
    let read = parcels.read().unwrap();
    assert_eq!(ParcelsMessage::of(&read).read().unwrap(), read);
}
