//! The steps a random history is made of.

use proptest::prelude::*;

pub(crate) const PARTITIONS: usize = 3;
pub(crate) const KEYS: usize = 20;
pub(crate) const FIELDS: usize = 5;
pub(crate) const TASKS: usize = 3;

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

/// Numbers that are made into global indexes, mostly of samples that exist.
pub(crate) type Picks = Vec<u64>;

/// A step; the first number is that of the partition, where there is one.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Reserve(usize, Vec<usize>),
    ReserveIndexes(usize, Picks),
    Insert(usize, usize),
    Register(usize, Vec<usize>),
    Preallocate(usize, usize),
    Publish {
        which: usize,
        fields: Vec<(usize, Kind)>,
        tags: Vec<usize>,
        fault: Fault,
    },
    Abandon(usize),
    ClearKeys(usize, Vec<usize>),
    ClearIndexes(usize, Picks),
    DropPartition(usize),
    FinishClear(usize),
    Retag(usize, Picks, bool),
    Fetch(usize, usize, Vec<usize>, usize),
    Claim {
        partition: usize,
        task: usize,
        fields: Vec<usize>,
        sampled: Picks,
        consumed: Option<Picks>,
        again: bool,
    },
    Reset(usize, Option<usize>, Option<Picks>),
    AskStatus(usize, usize),
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => (any::<bool>(), 0..3usize).prop_map(|(wide, rank)| Kind::Dense(wide, rank)),
        2 => (any::<bool>(), 1..3u64).prop_map(|(wide, spread)| Kind::Jagged(wide, spread)),
        1 => Just(Kind::NonTensor),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        12 => Just(Fault::None),
        1 => Just(Fault::RowCount),
        1 => Just(Fault::TagCount),
        1 => Just(Fault::RepeatedField),
    ]
}

fn puts() -> impl Strategy<Value = Op> {
    let p = 0..PARTITIONS;
    let keys = || prop::collection::vec(0..KEYS, 0..8);
    let distinct = prop::collection::btree_set(0..KEYS, 1..8).prop_map(Vec::from_iter);
    let picks = prop::collection::btree_set(any::<u64>(), 0..6).prop_map(Vec::from_iter);
    prop_oneof![
        6 => (p.clone(), distinct.prop_shuffle()).prop_map(|(p, keys)| Op::Reserve(p, keys)),
        1 => (p.clone(), keys()).prop_map(|(p, keys)| Op::Reserve(p, keys)),
        3 => (p.clone(), picks).prop_map(|(p, picks)| Op::ReserveIndexes(p, picks)),
        2 => (p.clone(), 0..6usize).prop_map(|(p, count)| Op::Insert(p, count)),
        2 => (p.clone(), keys()).prop_map(|(p, keys)| Op::Register(p, keys)),
        2 => (p, 0..8usize).prop_map(|(p, count)| Op::Preallocate(p, count)),
        8 => (
            any::<usize>(),
            prop::collection::btree_map(0..FIELDS, kind(), 0..4).prop_map(Vec::from_iter),
            prop::collection::vec(0..4usize, 0..4),
            fault(),
        )
            .prop_map(|(which, fields, tags, fault)| Op::Publish { which, fields, tags, fault }),
        2 => any::<usize>().prop_map(Op::Abandon),
    ]
}

fn clears() -> impl Strategy<Value = Op> {
    let p = 0..PARTITIONS;
    let keys = prop::collection::vec(0..KEYS, 0..8);
    let picks = prop::collection::vec(any::<u64>(), 0..6);
    prop_oneof![
        2 => (p.clone(), keys).prop_map(|(p, keys)| Op::ClearKeys(p, keys)),
        2 => (p.clone(), picks).prop_map(|(p, picks)| Op::ClearIndexes(p, picks)),
        1 => p.prop_map(Op::DropPartition),
        1 => any::<usize>().prop_map(Op::FinishClear),
    ]
}

fn consumption() -> impl Strategy<Value = Op> {
    let (p, task) = (0..PARTITIONS, 0..TASKS);
    let fields = || prop::collection::vec(0..FIELDS, 0..3);
    let picks = || prop::collection::vec(any::<u64>(), 0..5);
    prop_oneof![
        5 => (p.clone(), task.clone(), fields(), 0..6usize)
            .prop_map(|(p, task, fields, size)| Op::Fetch(p, task, fields, size)),
        3 => (p.clone(), task.clone(), fields(), picks(), prop::option::of(picks()), any::<bool>())
            .prop_map(|(partition, task, fields, sampled, consumed, again)| {
                Op::Claim { partition, task, fields, sampled, consumed, again }
            }),
        2 => (p.clone(), prop::option::of(task.clone()), prop::option::of(picks()))
            .prop_map(|(p, task, picks)| Op::Reset(p, task, picks)),
        1 => (p.clone(), task).prop_map(|(p, task)| Op::AskStatus(p, task)),
        2 => (p, picks(), any::<bool>())
            .prop_map(|(p, picks, replace)| Op::Retag(p, picks, replace)),
    ]
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![5 => puts(), 1 => clears(), 3 => consumption()]
}
