//! The steps of a history.

use proptest::prelude::*;
use proptest::sample::subsequence;
use tq_proto::DType;

pub(crate) const FIELDS: [&str; 4] = ["a", "b", "c", "d"];
/// Samples lie on both sides of a border between pages of the index.
pub(crate) const FIRST: u64 = 4096 - 12;
pub(crate) const LAST: u64 = 4096 + 12;

/// What a column of a put is; the numbers are turned into sizes.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Dense(DType, Vec<u64>),
    Jagged(DType, Vec<u64>),
    Object(Vec<u64>),
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Begin {
        indexes: Vec<u64>,
        columns: Vec<(&'static str, Shape)>,
        seed: u64,
    },
    Commit(usize),
    GiveUp(usize),
    Read {
        indexes: Vec<u64>,
        fields: Vec<&'static str>,
        stored_only: bool,
        keep: bool,
    },
    Clear(Vec<u64>),
}

fn samples(most: usize) -> impl Strategy<Value = Vec<u64>> {
    let all: Vec<_> = (FIRST..LAST).collect();
    prop_oneof![
        // A stretch in order, as batches are, or any samples in any order.
        (FIRST..LAST, 0..most as u64).prop_map(|(at, n)| (at..(at + n).min(LAST)).collect()),
        subsequence(all, 0..most).prop_shuffle(),
    ]
}

fn shape() -> impl Strategy<Value = Shape> {
    let dtype = prop_oneof![Just(DType::Int64), Just(DType::UInt8)];
    let row = prop_oneof![
        Just(vec![]),
        Just(vec![0]),
        Just(vec![3]),
        Just(vec![2, 2]),
        Just(vec![2500]),
        Just(vec![37_504]),
    ];
    let lengths = proptest::collection::vec(
        prop_oneof![4 => 0u64..9, 1 => Just(5000), 1 => Just(32_768)],
        1..6,
    );
    let sizes = proptest::collection::vec(prop_oneof![1u64..4, Just(2000)], 1..6);
    prop_oneof![
        (dtype.clone(), row).prop_map(|(dtype, row)| Shape::Dense(dtype, row)),
        (dtype, lengths).prop_map(|(dtype, lengths)| Shape::Jagged(dtype, lengths)),
        sizes.prop_map(Shape::Object),
    ]
}

impl Arbitrary for Step {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        let columns = subsequence(FIELDS.to_vec(), 0..=4)
            .prop_shuffle()
            .prop_flat_map(|names| {
                names
                    .into_iter()
                    .map(|name| (Just(name), shape()))
                    .collect::<Vec<_>>()
            });
        let fields = proptest::collection::vec(proptest::sample::select(&FIELDS[..]), 0..5);
        let repeated = (samples(20), samples(3))
            .prop_map(|(a, b)| [a, b].concat())
            .boxed();
        prop_oneof![
            3 => (samples(14), columns, any::<u64>())
                .prop_map(|(indexes, columns, seed)| Self::Begin { indexes, columns, seed }),
            3 => any::<usize>().prop_map(Self::Commit),
            1 => any::<usize>().prop_map(Self::GiveUp),
            4 => (repeated.clone(), fields, any::<bool>(), any::<bool>()).prop_map(
                |(indexes, fields, stored_only, keep)| Self::Read {
                    indexes, fields, stored_only, keep
                }
            ),
            2 => repeated.prop_map(Self::Clear),
        ]
        .boxed()
    }
}
