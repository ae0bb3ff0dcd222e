//! Key to slot, for visible and pending samples alike.
//!
//! The hash is a fast one that a hostile choice of keys can slow down: keys come from the training
//! job itself, behind the shared secret.

use rustc_hash::FxHashMap;
use tq_proto::Key;

use crate::slots::Slot;

/// The kv index of one partition.
#[derive(Debug, Default)]
pub(crate) struct KvIndex {
    slots: FxHashMap<Key, Slot>,
}

impl KvIndex {
    pub(crate) fn get(&self, key: &str) -> Option<Slot> {
        self.slots.get(key).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn insert(&mut self, key: Key, slot: Slot) {
        self.slots.insert(key, slot);
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.slots.remove(key);
        if self.slots.is_empty() {
            self.slots = FxHashMap::default();
        }
    }

    /// Makes room for `more` keys about to come.
    pub(crate) fn prepare(&mut self, more: usize) {
        self.slots.reserve(more);
    }
}
