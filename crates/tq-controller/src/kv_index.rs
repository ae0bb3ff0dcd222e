//! Key to slot, for visible and pending samples alike.
//!
//! The table holds slots only: a key's text is where its sample is. So it is small, an entry is in one
//! line of the cache with its neighbours, and it grows without reading a single text. With many samples
//! held, what a lookup costs are misses of the caches; hence [`KvIndex::hash`].
//!
//! Linear probing with entries moved back on removal (Knuth, The Art of Computer Programming, volume 3,
//! section 6.4, algorithm R). The hash is a fast one that a hostile choice of keys can slow down: keys
//! come from the training job itself, behind the shared secret.

use std::hash::BuildHasher;
use std::hint::black_box;

use rustc_hash::FxBuildHasher;

use crate::slots::{NONE, Slot, Slots};

/// Hash of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyHash(u32);

impl KeyHash {
    fn of(key: &str) -> Self {
        let hash = FxBuildHasher.hash_one(key);
        // Folded, because the lowest of 64 bits depend on few of the text's.
        Self((hash ^ (hash >> 32)) as u32)
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: KeyHash,
    /// [`NONE`] where there is no entry.
    slot: Slot,
}

const EMPTY: Entry = Entry {
    hash: KeyHash(0),
    slot: NONE,
};

/// The kv index of one partition.
#[derive(Debug, Default)]
pub(crate) struct KvIndex {
    /// None, or a power of two, at most half of which are taken.
    entries: Vec<Entry>,
    len: usize,
}

impl KvIndex {
    /// The hash of a key, whose place the processor fetches meanwhile: where all hashes of a batch are
    /// asked for before its keys are looked up, it waits for memory once and not for each of them.
    pub(crate) fn hash(&self, key: &str) -> KeyHash {
        let hash = KeyHash::of(key);
        black_box(self.entries.get(self.home(hash)).copied());
        hash
    }

    /// The slot of a key, whose sample is one of `slots`.
    pub(crate) fn get(&self, hash: KeyHash, key: &str, slots: &Slots) -> Option<Slot> {
        let has_key = |slot: Slot| slots[slot].key.as_deref() == Some(key);
        let place = self.find(hash, has_key)?;
        Some(self.entries[place].slot)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a key that has no slot.
    pub(crate) fn insert(&mut self, hash: KeyHash, slot: Slot) {
        self.prepare(1);
        self.place(Entry { hash, slot });
        self.len += 1;
    }

    /// Takes out the key of a slot.
    pub(crate) fn remove(&mut self, hash: KeyHash, slot: Slot) {
        let Some(mut hole) = self.find(hash, |own| own == slot) else {
            return;
        };
        self.len -= 1;
        if self.len == 0 {
            *self = Self::default();
            return;
        }
        let mut place = self.behind(hole);
        while self.entries[place].slot != NONE {
            let entry = self.entries[place];
            // One that would be found at the hole, too, moves there.
            if self.distance(self.home(entry.hash), place) >= self.distance(hole, place) {
                self.entries[hole] = entry;
                hole = place;
            }
            place = self.behind(place);
        }
        self.entries[hole] = EMPTY;
    }

    /// Makes room for `more` keys about to come.
    pub(crate) fn prepare(&mut self, more: usize) {
        let needed = (self.len + more) * 2;
        if needed <= self.entries.len() {
            return;
        }
        let larger = vec![EMPTY; needed.next_power_of_two()];
        for entry in std::mem::replace(&mut self.entries, larger) {
            if entry.slot != NONE {
                self.place(entry);
            }
        }
    }

    /// Where the entry of this hash is of whose slot `is_it` says yes.
    fn find(&self, hash: KeyHash, is_it: impl Fn(Slot) -> bool) -> Option<usize> {
        let mut place = self.home(hash);
        loop {
            let entry = self.entries.get(place).filter(|entry| entry.slot != NONE)?;
            if entry.hash == hash && is_it(entry.slot) {
                return Some(place);
            }
            place = self.behind(place);
        }
    }

    /// Puts an entry into the first free place from its home on; there is one.
    fn place(&mut self, entry: Entry) {
        let mut place = self.home(entry.hash);
        while self.entries[place].slot != NONE {
            place = self.behind(place);
        }
        self.entries[place] = entry;
    }

    /// Where the entry of a hash lies, if nothing else does.
    fn home(&self, hash: KeyHash) -> usize {
        hash.0 as usize & self.mask()
    }

    fn behind(&self, place: usize) -> usize {
        (place + 1) & self.mask()
    }

    /// How far `place` lies behind `home`, around the end.
    fn distance(&self, home: usize, place: usize) -> usize {
        place.wrapping_sub(home) & self.mask()
    }

    fn mask(&self) -> usize {
        self.entries.len().wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use tq_proto::{GlobalIndex, Key};

    use super::*;

    fn add(index: &mut KvIndex, slots: &mut Slots, key: &str) -> Slot {
        let number = GlobalIndex(slots.occupied() as u64);
        let slot = slots.add(number, Some(Key::from(key)), 0);
        index.insert(KeyHash::of(key), slot);
        slot
    }

    #[test]
    fn keys_of_one_hash_are_told_apart() {
        let mut by_hash = HashMap::new();
        let alike = (0..).map(|number| format!("key_{number}")).find_map(|key| {
            let hash = KeyHash::of(&key).0;
            by_hash.insert(hash, key.clone()).map(|other| (other, key))
        });
        let (one, other) = alike.unwrap();
        let (mut index, mut slots) = (KvIndex::default(), Slots::default());
        let first = add(&mut index, &mut slots, &one);
        let find = |index: &KvIndex, slots: &Slots, key| index.get(KeyHash::of(key), key, slots);
        assert_eq!(find(&index, &slots, &other), None);
        let second = add(&mut index, &mut slots, &other);
        assert_eq!(find(&index, &slots, &one), Some(first));
        assert_eq!(find(&index, &slots, &other), Some(second));
        index.remove(KeyHash::of(&one), first);
        assert_eq!(find(&index, &slots, &one), None);
        assert_eq!(find(&index, &slots, &other), Some(second));
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(steps in prop::collection::vec(0u32..200, 0..400)) {
            let (mut index, mut slots) = (KvIndex::default(), Slots::default());
            let mut model = HashMap::new();
            for number in steps {
                let key = format!("key_{number}");
                match model.remove(&key) {
                    Some(slot) => index.remove(KeyHash::of(&key), slot),
                    None => {
                        model.insert(key.clone(), add(&mut index, &mut slots, &key));
                    }
                }
            }
            prop_assert_eq!(index.len(), model.len());
            for number in 0..200 {
                let key = format!("key_{number}");
                let found = index.get(index.hash(&key), &key, &slots);
                prop_assert_eq!(found, model.get(&key).copied());
            }
        }
    }
}
