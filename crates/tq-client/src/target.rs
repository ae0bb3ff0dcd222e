//! The samples that a call is about, as the message names them.

use tq_proto::GlobalIndex;
use tq_wire::proto::{Target, Texts};
use tq_wire::texts::numbers;

/// Samples of a partition by key.
pub(crate) fn keys_target<K: AsRef<str>>(partition: &str, keys: &[K]) -> Target {
    Target {
        partitions: Some(Texts::of([partition])),
        keys: Some(Texts::of(keys)),
        ..Target::default()
    }
}

/// Samples by global index; where one partition is named, it is that of all.
pub(crate) fn indexes_target<P: AsRef<str>>(partitions: &[P], indexes: &[GlobalIndex]) -> Target {
    Target {
        partitions: Some(Texts::of(partitions)),
        global_indexes: numbers(indexes),
        by_index: true,
        ..Target::default()
    }
}
