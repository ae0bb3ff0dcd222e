//! Which fields a sample has.
//!
//! Samples of a batch have the same fields, so a set is stored once and a sample only names it:
//! a clear then visits just the fields of the samples it clears, and a sample costs eight bytes.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use tq_proto::GlobalIndex;

use crate::paged::PagedTable;
use crate::slab::{Slab, SlotId};

struct FieldSet {
    /// Ascending.
    fields: Arc<[SlotId]>,
    samples: u64,
}

pub(crate) struct FieldSets {
    of_sample: PagedTable<SlotId>,
    sets: Slab<FieldSet>,
    numbers: FxHashMap<Arc<[SlotId]>, SlotId>,
}

/// Fields to be added to the distinct samples of one put. The sets it has led to are remembered
/// for this put only, as sets go with their last sample.
pub(crate) struct Extension {
    fields: Vec<SlotId>,
    known: FxHashMap<Option<SlotId>, SlotId>,
}

impl Extension {
    pub(crate) fn new(mut fields: Vec<SlotId>) -> Self {
        fields.sort_unstable();
        Self {
            fields,
            known: FxHashMap::default(),
        }
    }
}

impl FieldSets {
    pub(crate) fn new() -> Self {
        Self {
            of_sample: PagedTable::new(),
            sets: Slab::new(),
            numbers: FxHashMap::default(),
        }
    }

    /// Samples that have a field.
    pub(crate) fn samples(&self) -> u64 {
        self.of_sample.len()
    }

    pub(crate) fn contains(&self, index: GlobalIndex) -> bool {
        self.of_sample.get(index).is_some()
    }

    /// The sample's fields; empty for an unknown one.
    pub(crate) fn fields_of(&self, index: GlobalIndex) -> &[SlotId] {
        let set = self
            .of_sample
            .get(index)
            .and_then(|number| self.sets.get(number));
        set.map_or(&[], |set| &set.fields)
    }

    /// Adds the extension's fields to a sample.
    pub(crate) fn extend(&mut self, index: GlobalIndex, extension: &mut Extension) {
        let old = self.of_sample.get(index);
        let new = match extension.known.get(&old) {
            Some(new) => *new,
            None => {
                let new = self.union(old, &extension.fields);
                extension.known.insert(old, new);
                new
            }
        };
        if old == Some(new) {
            return;
        }
        if let Some(set) = self.sets.get_mut(new) {
            set.samples += 1;
        }
        self.of_sample.insert(index, new);
        if let Some(old) = old {
            self.leave(old);
        }
    }

    /// Takes one field from a sample; whether it has any other.
    pub(crate) fn reduce(&mut self, index: GlobalIndex, field: SlotId) -> bool {
        let mut left = self.fields_of(index).to_vec();
        left.retain(|own| *own != field);
        let old = self.of_sample.remove(index);
        if !left.is_empty() {
            let new = self.union(None, &left);
            if let Some(set) = self.sets.get_mut(new) {
                set.samples += 1;
            }
            self.of_sample.insert(index, new);
        }
        if let Some(old) = old {
            self.leave(old);
        }
        !left.is_empty()
    }

    /// All samples.
    pub(crate) fn all(&self) -> Vec<GlobalIndex> {
        self.of_sample.indexes().collect()
    }

    /// Forgets a sample and returns the fields it had; `None` for an unknown one.
    pub(crate) fn remove(&mut self, index: GlobalIndex) -> Option<Arc<[SlotId]>> {
        let number = self.of_sample.remove(index)?;
        let fields = self.sets.get(number).map(|set| set.fields.clone());
        self.leave(number);
        fields
    }

    fn union(&mut self, old: Option<SlotId>, added: &[SlotId]) -> SlotId {
        let mut fields = old
            .and_then(|old| self.sets.get(old))
            .map_or(Vec::new(), |set| set.fields.to_vec());
        fields.extend_from_slice(added);
        fields.sort_unstable();
        fields.dedup();
        if let Some(number) = self.numbers.get(fields.as_slice()) {
            return *number;
        }
        let fields: Arc<[SlotId]> = fields.into();
        let number = self.sets.insert(FieldSet {
            fields: fields.clone(),
            samples: 0,
        });
        self.numbers.insert(fields, number);
        number
    }

    fn leave(&mut self, number: SlotId) {
        let Some(set) = self.sets.get_mut(number) else {
            return;
        };
        set.samples -= 1;
        if set.samples == 0
            && let Some(set) = self.sets.remove(number)
        {
            self.numbers.remove(&set.fields);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u32) -> SlotId {
        SlotId::new(number).unwrap()
    }

    fn extend(sets: &mut FieldSets, indexes: std::ops::Range<u64>, fields: &[u32]) {
        let mut extension = Extension::new(fields.iter().copied().map(field).collect());
        indexes.for_each(|index| sets.extend(GlobalIndex(index), &mut extension));
    }

    #[test]
    fn samples_alike_share_a_set_and_sets_go_with_their_last_sample() {
        let mut sets = FieldSets::new();
        extend(&mut sets, 0..10, &[3, 1]);
        extend(&mut sets, 5..12, &[2]);
        assert_eq!(sets.sets.len(), 3);
        assert_eq!(sets.fields_of(GlobalIndex(0)), [field(1), field(3)]);
        assert_eq!(
            sets.fields_of(GlobalIndex(5)),
            [field(1), field(2), field(3)]
        );
        assert_eq!(sets.fields_of(GlobalIndex(11)), [field(2)]);
        // Fields a sample has already do not change its set.
        extend(&mut sets, 0..10, &[1]);
        assert_eq!(sets.sets.len(), 3);
        // Field 1 alone is taken away, then the only field of a sample.
        assert!(sets.reduce(GlobalIndex(0), field(1)));
        assert_eq!(sets.fields_of(GlobalIndex(0)), [field(3)]);
        assert_eq!(sets.sets.len(), 4);
        assert!(!sets.reduce(GlobalIndex(11), field(2)));
        assert!(!sets.contains(GlobalIndex(11)));
        assert_eq!(sets.all().len(), 11);
        for index in 0..11 {
            assert!(sets.remove(GlobalIndex(index)).is_some());
            assert!(sets.remove(GlobalIndex(index)).is_none());
        }
        assert_eq!(
            (sets.sets.len(), sets.numbers.len(), sets.samples()),
            (0, 0, 0)
        );
    }

    #[test]
    fn a_set_number_may_be_reused_within_one_extension() {
        let mut sets = FieldSets::new();
        extend(&mut sets, 0..1, &[1]);
        extend(&mut sets, 1..2, &[2]);
        extend(&mut sets, 0..3, &[9]);
        assert_eq!(sets.fields_of(GlobalIndex(0)), [field(1), field(9)]);
        assert_eq!(sets.fields_of(GlobalIndex(1)), [field(2), field(9)]);
        assert_eq!(sets.fields_of(GlobalIndex(2)), [field(9)]);
        assert_eq!(sets.sets.len(), 3);
    }
}
