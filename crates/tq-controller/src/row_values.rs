//! One value per row, stored once while the rows agree.
//!
//! Most fields have one dtype and one shape for all rows: then only a row count is kept. The first
//! differing row spreads the field out to a number per slot; the values themselves stay in a table
//! with a row count each, so "do all rows agree" never scans.

use std::borrow::Borrow;
use std::hash::Hash;

use rustc_hash::FxHashMap;

use crate::slots::Slot;

/// Number of a value in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ValueId(u32);

#[derive(Debug)]
struct Entry<T> {
    value: T,
    rows: usize,
}

/// Values by slot. The caller knows which slots hold a row.
#[derive(Debug)]
pub(crate) struct RowValues<T> {
    ids: FxHashMap<T, ValueId>,
    entries: Vec<Entry<T>>,
    unused: Vec<ValueId>,
    /// Rows over all entries.
    rows: usize,
    /// Entries that at least one row has.
    distinct: usize,
    /// While all rows agree since the last time there was none: their value.
    shared: Option<ValueId>,
    /// No slot from here on has a row of the shared value.
    shared_end: usize,
    /// Otherwise the value of each slot; arbitrary where there is no row.
    by_slot: Vec<ValueId>,
}

impl<T> Default for RowValues<T> {
    fn default() -> Self {
        Self {
            ids: FxHashMap::default(),
            entries: Vec::new(),
            unused: Vec::new(),
            rows: 0,
            distinct: 0,
            shared: None,
            shared_end: 0,
            by_slot: Vec::new(),
        }
    }
}

impl<T: Hash + Eq + Clone> RowValues<T> {
    /// The number of `value`; a new value is kept as `own` makes it. It must be assigned to a row before any other value
    /// is asked for or any row removed, as the table keeps only what a row has.
    pub(crate) fn id_of<Q>(&mut self, value: &Q, own: impl FnOnce() -> T) -> ValueId
    where
        Q: ?Sized + Hash + Eq,
        T: Borrow<Q>,
    {
        if let Some(id) = self.ids.get(value) {
            return *id;
        }
        let owned = own();
        let entry = Entry {
            value: owned.clone(),
            rows: 0,
        };
        let id = match self.unused.pop() {
            Some(id) => {
                self.entries[id.0 as usize] = entry;
                id
            }
            None => {
                self.entries.push(entry);
                // Each entry but this one has a row, and rows are numbered in 32 bits.
                #[allow(clippy::cast_possible_truncation)]
                ValueId((self.entries.len() - 1) as u32)
            }
        };
        self.ids.insert(owned, id);
        id
    }

    /// Gives the row at `slot` the value `id`; `replaces` says whether it had one.
    pub(crate) fn assign(&mut self, slot: Slot, replaces: bool, id: ValueId) {
        let place = slot as usize;
        if self.rows == 0 {
            self.shared = Some(id);
        }
        if let Some(shared) = self.shared {
            if shared == id {
                if !replaces {
                    self.count(id, 1);
                    self.shared_end = self.shared_end.max(place + 1);
                }
                return;
            }
            self.shared = None;
            self.by_slot = vec![shared; self.shared_end];
        }
        if place >= self.by_slot.len() {
            self.by_slot.resize(place + 1, id);
        }
        let old = std::mem::replace(&mut self.by_slot[place], id);
        self.count(id, 1);
        if replaces {
            self.uncount(old);
        }
    }

    /// [`Self::assign`] for rows that had none.
    pub(crate) fn assign_new(&mut self, slots: &[Slot], id: ValueId) {
        if self.rows == 0 {
            self.shared = Some(id);
        }
        let Some(highest) = slots.iter().max().filter(|_| self.shared == Some(id)) else {
            slots.iter().for_each(|slot| self.assign(*slot, false, id));
            return;
        };
        self.shared_end = self.shared_end.max(*highest as usize + 1);
        self.count(id, slots.len());
    }

    /// Takes the row at `slot` away; it must have one.
    pub(crate) fn remove(&mut self, slot: Slot) {
        let id = self.shared.unwrap_or_else(|| self.by_slot[slot as usize]);
        self.uncount(id);
        if self.rows == 0 {
            *self = Self::default();
        }
    }

    /// The value of the row at `slot`, which must have one.
    pub(crate) fn get(&self, slot: Slot) -> &T {
        let id = self.shared.unwrap_or_else(|| self.by_slot[slot as usize]);
        &self.entries[id.0 as usize].value
    }

    /// The value of all rows; none when they differ or there are no rows.
    pub(crate) fn common(&self) -> Option<&T> {
        if self.distinct != 1 {
            return None;
        }
        self.entries
            .iter()
            .find(|entry| entry.rows > 0)
            .map(|entry| &entry.value)
    }

    /// How many different values the rows have.
    pub(crate) fn distinct(&self) -> usize {
        self.distinct
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    fn count(&mut self, id: ValueId, more: usize) {
        let entry = &mut self.entries[id.0 as usize];
        self.distinct += usize::from(entry.rows == 0);
        entry.rows += more;
        self.rows += more;
    }

    fn uncount(&mut self, id: ValueId) {
        let entry = &mut self.entries[id.0 as usize];
        entry.rows -= 1;
        self.rows -= 1;
        if entry.rows == 0 {
            self.distinct -= 1;
            self.ids.remove(&entry.value);
            self.unused.push(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    fn assign(values: &mut RowValues<u8>, slot: Slot, replaces: bool, value: u8) {
        let id = values.id_of(&value, || value);
        values.assign(slot, replaces, id);
    }

    #[test]
    fn agreeing_rows_cost_no_number_per_slot() {
        let mut values = RowValues::default();
        for slot in 0..1000 {
            assign(&mut values, slot, false, 7);
        }
        assert!(values.by_slot.is_empty());
        assert_eq!((values.rows(), values.common()), (1000, Some(&7)));
    }

    #[test]
    fn a_value_without_rows_leaves_the_table() {
        let mut values = RowValues::default();
        assign(&mut values, 0, false, 1);
        for value in 2..200 {
            assign(&mut values, 0, true, value);
        }
        assert_eq!(values.ids.len(), 1);
        assert!(values.entries.len() <= 2);
        assert_eq!(values.common(), Some(&199));
    }

    proptest! {
        #[test]
        fn rows_assigned_together_are_as_those_assigned_one_by_one(
            steps in prop::collection::vec((0u32..40, 1u32..5, 0u8..3), 0..20)
        ) {
            let (mut together, mut apart) = (RowValues::default(), RowValues::default());
            let mut model: HashMap<Slot, u8> = HashMap::new();
            for (first, count, value) in steps {
                let new = (first..first + count).filter(|slot| !model.contains_key(slot));
                let new: Vec<Slot> = new.collect();
                if new.is_empty() {
                    continue;
                }
                let id = together.id_of(&value, || value);
                together.assign_new(&new, id);
                for slot in new {
                    assign(&mut apart, slot, false, value);
                    model.insert(slot, value);
                }
                prop_assert_eq!(together.rows(), model.len());
                prop_assert_eq!(together.distinct(), apart.distinct());
                prop_assert_eq!(together.common(), apart.common());
                for (slot, value) in &model {
                    prop_assert_eq!(together.get(*slot), value);
                }
            }
        }

        #[test]
        fn agrees_with_a_map(steps in prop::collection::vec((0u32..12, 0u8..4), 0..120)) {
            let mut values = RowValues::default();
            let mut model: HashMap<Slot, u8> = HashMap::new();
            for (slot, value) in steps {
                if value == 0 {
                    if model.remove(&slot).is_some() {
                        values.remove(slot);
                    }
                } else {
                    assign(&mut values, slot, model.contains_key(&slot), value);
                    model.insert(slot, value);
                }
                let distinct: HashSet<_> = model.values().copied().collect();
                prop_assert_eq!(values.distinct(), distinct.len());
                prop_assert_eq!(values.rows(), model.len());
                prop_assert_eq!(
                    values.common().copied(),
                    (distinct.len() == 1).then(|| distinct.iter().copied().sum())
                );
                for (slot, value) in &model {
                    prop_assert_eq!(values.get(*slot), value);
                }
            }
        }
    }
}
