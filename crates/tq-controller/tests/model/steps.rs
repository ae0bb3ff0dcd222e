//! The steps a random history is made of.

use proptest::prelude::*;

pub(crate) const PARTITIONS: usize = 3;
pub(crate) const KEYS: usize = 20;
pub(crate) const FIELDS: usize = 5;

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Dense(bool, usize),
    Jagged(bool, u64),
    NonTensor,
}

#[derive(Debug, Clone)]
pub(crate) enum Fault {
    None,
    RowCount,
    TagCount,
    RepeatedField,
}

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Reserve(usize, Vec<usize>),
    Publish {
        which: usize,
        fields: Vec<(usize, Kind)>,
        tags: Vec<usize>,
        fault: Fault,
    },
    Abandon(usize),
    ClearKeys(usize, Vec<usize>),
    ClearIndexes(usize, Vec<u64>),
    DropPartition(usize),
    FinishClear(usize),
}

pub(crate) fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => (any::<bool>(), 0..3usize).prop_map(|(wide, rank)| Kind::Dense(wide, rank)),
        2 => (any::<bool>(), 1..3u64).prop_map(|(wide, spread)| Kind::Jagged(wide, spread)),
        1 => Just(Kind::NonTensor),
    ]
}

pub(crate) fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        12 => Just(Fault::None),
        1 => Just(Fault::RowCount),
        1 => Just(Fault::TagCount),
        1 => Just(Fault::RepeatedField),
    ]
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    let keys = || prop::collection::vec(0..KEYS, 0..8);
    let distinct = prop::collection::btree_set(0..KEYS, 1..8).prop_map(Vec::from_iter);
    prop_oneof![
        6 => (0..PARTITIONS, distinct.prop_shuffle()).prop_map(|(p, keys)| Op::Reserve(p, keys)),
        1 => (0..PARTITIONS, keys()).prop_map(|(p, keys)| Op::Reserve(p, keys)),
        6 => (
            any::<usize>(),
            prop::collection::btree_map(0..FIELDS, kind(), 0..4).prop_map(Vec::from_iter),
            prop::collection::vec(0..4usize, 0..4),
            fault(),
        )
            .prop_map(|(which, fields, tags, fault)| Op::Publish { which, fields, tags, fault }),
        2 => any::<usize>().prop_map(Op::Abandon),
        2 => (0..PARTITIONS, keys()).prop_map(|(p, keys)| Op::ClearKeys(p, keys)),
        2 => (0..PARTITIONS, prop::collection::vec(0..80u64, 0..8))
            .prop_map(|(p, indexes)| Op::ClearIndexes(p, indexes)),
        1 => (0..PARTITIONS).prop_map(Op::DropPartition),
        1 => any::<usize>().prop_map(Op::FinishClear),
    ]
}
