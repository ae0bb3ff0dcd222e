//! A read described as plain data and put together again over another mapping of its segments.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use proptest::prelude::*;
use tq_arena::{GuestArena, Lease, SegmentRange, ViewError};
use tq_proto::{DType, ErrorKind, GlobalIndex};
use tq_storage::{
    ColumnDescription, ColumnLayout, ColumnPlan, ColumnRead, ReadLayout, RowShapes, RowsPart,
    StorageUnit,
};

/// Leases on the spans of a description, as a guest takes them.
fn lease(unit: &StorageUnit, guest: &GuestArena, spans: &[SegmentRange]) -> Vec<Lease> {
    let on = |span: &SegmentRange| {
        let shared = unit.arena().segment_file(span.segment).unwrap();
        guest.attach(span.segment, shared.file, shared.len).unwrap();
        guest
            .lease_remote(span.segment, span.offset, span.len, Box::new(|| {}))
            .unwrap()
    };
    spans.iter().map(on).collect()
}

fn rebuilt(unit: &StorageUnit, guest: &GuestArena, read: &ColumnRead) -> ColumnRead {
    let description = read.description();
    let leases = lease(unit, guest, &description.spans);
    ColumnRead::from_description(description, leases, read.rows()).unwrap()
}

/// Everything that can be asked of a read, but for its leases.
fn assert_same(original: &ColumnRead, other: &ColumnRead) {
    assert_eq!(original.field(), other.field());
    assert_eq!(original.rows(), other.rows());
    assert_eq!(original.bytes(), other.bytes());
    assert_eq!(original.layout(), other.layout());
    for row in 0..=original.rows() {
        assert_eq!(original.row_layout(row), other.row_layout(row));
        assert_eq!(original.row_bytes(row), other.row_bytes(row));
        let bytes = |read: &ColumnRead| {
            let (lease, offset, len) = read.row(row)?;
            Some(lease.as_slice()[offset as usize..(offset + len) as usize].to_vec())
        };
        assert_eq!(bytes(original), bytes(other));
    }
    let runs = |read: &ColumnRead| read.runs().collect::<Vec<_>>();
    assert_eq!(runs(original), runs(other));
    let slices = |read: &ColumnRead| read.slices().collect::<Vec<_>>().concat();
    assert_eq!(slices(original), slices(other));
    assert!(gathered(original) == gathered(other));
    let range = |(leases, offset, len): (Vec<Lease>, u64, u64)| {
        joined(&leases)[offset as usize..(offset + len) as usize].to_vec()
    };
    assert_eq!(
        original.contiguous().map(range),
        other.contiguous().map(range)
    );
    for (one, two) in original.placed_runs().zip(other.placed_runs()) {
        assert_eq!(one.run, two.run);
        assert_eq!(range(one.leases()), range(two.leases()));
        let whole: Vec<_> = two.slices().collect();
        assert_eq!(one.slices().collect::<Vec<_>>().concat(), whole.concat());
    }
}

/// Rows of one put of the one field.
#[derive(Clone, Debug)]
enum Put {
    Dense(DType, Vec<u64>),
    Jagged(DType, Vec<u64>),
    Object(Vec<u64>),
}

fn puts() -> impl Strategy<Value = Vec<(Put, usize)>> {
    let dtype = || prop_oneof![4 => Just(DType::Int64), 1 => Just(DType::UInt8)];
    let shape = prop_oneof![
        4 => Just(vec![8]),
        1 => Just(vec![]),
        1 => Just(vec![0]),
        1 => Just(vec![2, 3]),
        1 => Just(vec![20_000]),
    ];
    let lengths = prop::collection::vec(prop_oneof![0u64..9, Just(8), Just(30_000)], 1..5);
    let sizes = prop::collection::vec(prop_oneof![1u64..4, Just(3000)], 1..4);
    let put = prop_oneof![
        4 => (dtype(), shape).prop_map(|(dtype, shape)| Put::Dense(dtype, shape)),
        2 => (dtype(), lengths).prop_map(|(dtype, lengths)| Put::Jagged(dtype, lengths)),
        1 => sizes.prop_map(Put::Object),
    ];
    prop::collection::vec((put, 1..12usize), 1..5)
}

/// A unit with one field, "f", whose samples from 0 on are the rows of these puts.
fn filled(puts: &[(Put, usize)]) -> (StorageUnit, u64) {
    let unit = unit(None, u64::MAX);
    let mut next = 0;
    for (put, rows) in puts {
        let cycle = |values: &[u64]| values.iter().copied().cycle().take(*rows).collect();
        let layout = match put {
            Put::Dense(dtype, row_shape) => ColumnLayout::Dense {
                dtype: *dtype,
                row_shape: row_shape.clone(),
            },
            Put::Jagged(dtype, lengths) => ColumnLayout::Jagged {
                dtype: *dtype,
                row_shapes: RowShapes::new(1, *rows, cycle(lengths)).unwrap(),
            },
            Put::Object(units) => ColumnLayout::Object {
                row_sizes: cycle(units)
                    .into_iter()
                    .map(|units: u64| units * 64)
                    .collect(),
            },
        };
        let plan = ColumnPlan {
            field: field("f"),
            layout,
        };
        let end = next + *rows as u64;
        let mut put = unit.begin_put(&indexes(next..end), vec![plan]).unwrap();
        for column in put.columns_mut() {
            column.copy_from_slice(&pattern(next, column.len()));
        }
        put.commit().unwrap();
        next = end;
    }
    (unit, next)
}

/// Samples in order, with gaps, in any order, repeated.
fn request() -> impl Strategy<Value = Vec<u64>> {
    prop_oneof![
        (any::<u64>(), 0..40u64).prop_map(|(from, n)| (0..n).map(|i| from / 2 + i).collect()),
        (1..4u64, 0..30u64).prop_map(|(step, n)| (0..n).map(|i| i * step).collect()),
        prop::collection::vec(any::<u64>(), 0..30),
    ]
}

fn read(unit: &StorageUnit, samples: u64, request: &[u64]) -> ColumnRead {
    let at: Vec<_> = request.iter().map(|n| GlobalIndex(n % samples)).collect();
    read_one(unit, &at, "f")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_rebuilt_read_is_the_one_described(
        puts in puts(),
        requests in prop::collection::vec(request(), 1..4),
    ) {
        let (unit, samples) = filled(&puts);
        let guest = GuestArena::new();
        let reads: Vec<_> = requests.iter().map(|at| read(&unit, samples, at)).collect();
        // Together: their spans overlap.
        let others: Vec<_> = reads.iter().map(|read| rebuilt(&unit, &guest, read)).collect();
        for (read, other) in reads.iter().zip(&others) {
            assert_same(read, other);
            let again = other.description();
            prop_assert_eq!(read.description().parts, again.parts);
            prop_assert_eq!(read.description().runs.len(), again.runs.len());
        }
    }

    #[test]
    fn lies_are_errors_or_harmless(
        puts in puts(),
        request in request(),
        lies in prop::collection::vec((any::<usize>(), number()), 1..4),
    ) {
        let (unit, samples) = filled(&puts);
        let guest = GuestArena::new();
        let original = read(&unit, samples, &request);
        let mut description = original.description();
        let leases = lease(&unit, &guest, &description.spans);
        for (which, lie) in lies {
            tell(&mut description, which, lie);
        }
        match ColumnRead::from_description(description, leases, original.rows()) {
            Ok(read) => {
                let _ = (read.layout(), read.contiguous(), gathered(&read));
                (0..read.rows()).for_each(|row| {
                    let _ = (read.row_layout(row), read.row_bytes(row), read.row(row));
                });
                read.placed_runs().for_each(|run| drop((run.leases(), run.slices().count())));
            }
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::InvalidArgument),
        }
    }
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..200u64,
        Just(u64::MAX),
        Just(u64::from(u32::MAX)),
        any::<u64>()
    ]
}

/// Changes one number of a description.
fn tell(description: &mut ColumnDescription, which: usize, lie: u64) {
    let mut numbers: Vec<&mut u64> = Vec::new();
    for range in description.spans.iter_mut().chain(&mut description.runs) {
        numbers.extend([&mut range.offset, &mut range.len]);
    }
    for part in &mut description.parts {
        match &mut part.layout {
            ColumnLayout::Dense { row_shape, .. } => numbers.extend(row_shape),
            ColumnLayout::Object { row_sizes } => numbers.extend(row_sizes),
            ColumnLayout::Jagged { row_shapes, .. } => {
                let mut dims = row_shapes.dims().to_vec();
                let at = which % dims.len().max(1);
                dims.get_mut(at).into_iter().for_each(|dim| *dim = lie);
                *row_shapes = RowShapes::new(row_shapes.rank(), row_shapes.rows(), dims).unwrap();
            }
        }
    }
    let at = which % numbers.len().max(1);
    if let Some(number) = numbers.get_mut(at) {
        **number = lie;
    }
    let part = which % description.parts.len().max(1);
    if let Some(part) = description
        .parts
        .get_mut(part)
        .filter(|_| which.is_multiple_of(5))
    {
        part.rows = lie as u32;
    }
}

#[test]
fn a_batch_of_many_groups_is_one_span_and_one_run() {
    let unit = unit(None, u64::MAX);
    let at = indexes(0..1024);
    put(&unit, &at, "a", 4096, 7);
    let read = read_one(&unit, &at, "a");
    let description = read.description();
    assert_eq!((description.parts.len(), description.runs.len()), (1, 1));
    assert_eq!(description.spans, description.runs);
    let guest = GuestArena::new();
    let other = rebuilt(&unit, &guest, &read);
    let (leases, offset, len) = other.contiguous().unwrap();
    assert_eq!((leases.len(), offset, len), (1, 0, 1024 * 4096));
    match guest.arena().view(leases, offset, len) {
        Ok(view) => assert_eq!(view.len(), len),
        Err(ViewError::Unsupported) => {}
        Err(error) => panic!("{error}"),
    }
    unit.clear(&at);
    assert!(is_pattern(&other, &at, 4096, 7));
}

#[test]
fn a_run_over_rows_of_two_ranks_is_one_view() {
    let puts = [
        (Put::Dense(DType::UInt8, vec![64]), 2),
        (Put::Dense(DType::UInt8, vec![8, 8]), 2),
    ];
    let (unit, samples) = filled(&puts);
    let read = read(&unit, samples, &[0, 1, 2, 3]);
    let other = rebuilt(&unit, &GuestArena::new(), &read);
    assert!(matches!(other.layout(), ReadLayout::Mixed { .. }));
    let (leases, offset, len) = other.contiguous().unwrap();
    assert_eq!((leases.len(), offset, len), (1, 0, 256));
    assert_same(&read, &other);
}

#[test]
fn descriptions_that_contradict_themselves_are_refused() {
    let unit = unit(None, u64::MAX);
    put(&unit, &indexes(0..8), "a", 100, 7);
    let guest = GuestArena::new();
    let at = [1, 2, 5, 5].map(GlobalIndex);
    let read = read_one(&unit, &at, "a");
    let refuse = |rows, change: fn(&mut ColumnDescription), wanted: &str| {
        let mut description = read.description();
        let leases = lease(&unit, &guest, &description.spans);
        change(&mut description);
        let error = ColumnRead::from_description(description, leases, rows).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains(wanted), "{error}");
    };
    refuse(3, |_| (), "3 rows were asked for, it describes 4");
    refuse(
        4,
        |it| it.parts[0].rows = u32::MAX,
        "it describes 4294967295",
    );
    refuse(4, |it| it.parts[0].layout = dense(u64::MAX), "part 0");
    refuse(
        4,
        |it| it.parts[0].layout = dense(101),
        "row 1 does not end",
    );
    refuse(4, |it| it.parts[0].layout = dense(0), "belong to no row");
    refuse(4, |it| it.parts.push(part(dense(8))), "it describes 5");
    refuse(4, |it| it.spans.push(it.spans[0]), "2 spans, 1 leases");
    refuse(4, |it| it.spans.clear(), "0 spans, 1 leases");
    refuse(4, |it| it.spans[0].len += 64, "span 0");
    refuse(4, |it| it.spans[0].offset += 64, "span 0");
    refuse(4, |it| it.runs[1].segment += 1, "run 1");
    refuse(4, |it| it.runs[1].offset = 801, "run 1");
    refuse(4, |it| it.runs[1].offset = u64::MAX, "run 1");
    refuse(4, |it| it.runs[1].len = 0, "run 1");
    refuse(4, |it| it.runs[2].len = 150, "belong to no row");
    refuse(4, |it| it.runs.truncate(2), "run 2");
    refuse(4, |it| it.runs.push(it.runs[0]), "belong to no row");
}

fn dense(row_bytes: u64) -> ColumnLayout {
    bytes_column("a", row_bytes).layout
}

fn part(layout: ColumnLayout) -> RowsPart {
    RowsPart { rows: 1, layout }
}

#[test]
fn a_pending_put_tells_where_its_columns_lie() {
    let unit = unit(None, u64::MAX);
    let columns = [("a", 100), ("none", 0), ("b", 70_000)];
    let plans = columns
        .map(|(name, bytes)| bytes_column(name, bytes))
        .to_vec();
    let put = unit.begin_put(&indexes(0..2), plans).unwrap();
    let places = put.places();
    assert_eq!(places[1], None);
    let guest = GuestArena::new();
    for (seed, place) in (1u64..).zip(places.iter().flatten()) {
        let shared = unit.arena().segment_file(place.segment).unwrap();
        guest
            .attach(place.segment, shared.file, shared.len)
            .unwrap();
        let mut loan = guest
            .write_remote(place.segment, place.offset, place.len)
            .unwrap();
        let bytes = pattern(seed, place.len as usize);
        loan.as_mut_slice().copy_from_slice(&bytes);
    }
    put.commit().unwrap();
    let at = indexes(0..2);
    assert!(gathered(&read_one(&unit, &at, "a")) == pattern(1, 200));
    assert!(gathered(&read_one(&unit, &at, "b")) == pattern(2, 140_000));
    let empty = unit.begin_put(&at, vec![bytes_column("none", 0)]).unwrap();
    assert_eq!(empty.places(), [None]);
}
