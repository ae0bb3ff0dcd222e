//! Receipts: small values that a storage backend left beside fields of samples, to be handed back
//! with their metadata. Their bytes mean nothing here.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use tq_proto::{FieldName, GlobalIndex};

use crate::Controller;
use crate::batch::FieldSelection;
use crate::slots::Slot;

/// The receipts of one sample: for a field, the bytes of a packed buffer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipts(BTreeMap<FieldName, Arc<[u8]>>);

impl Receipts {
    /// Fields and their receipts, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&FieldName, &Arc<[u8]>)> {
        self.0.iter()
    }

    /// How many fields have a receipt.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no field has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of the fields of `selection`.
    fn selected(&self, selection: &FieldSelection) -> Self {
        match selection {
            FieldSelection::All => self.clone(),
            FieldSelection::Named(names) | FieldSelection::Known(names) => {
                let named = |name| self.0.get_key_value(name);
                let named = names.iter().filter_map(named);
                named
                    .map(|(name, bytes)| (name.clone(), Arc::clone(bytes)))
                    .collect()
            }
        }
    }
}

impl FromIterator<(FieldName, Arc<[u8]>)> for Receipts {
    /// Of a field that comes twice, the last receipt counts.
    fn from_iter<I: IntoIterator<Item = (FieldName, Arc<[u8]>)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// The receipts of a partition. Backends without receipts are the rule, so samples that have none
/// have no entry.
#[derive(Debug, Default)]
pub(crate) struct ReceiptTable(FxHashMap<Slot, Receipts>);

impl ReceiptTable {
    /// For each slot what it has of the fields of `selection`; none where no slot has any.
    pub(crate) fn of(&self, slots: &[Slot], selection: &FieldSelection) -> Option<Vec<Receipts>> {
        if self.0.is_empty() {
            return None;
        }
        let selected = |slot| {
            let receipts = self.0.get(slot)?;
            Some(receipts.selected(selection))
        };
        let rows: Vec<_> = slots
            .iter()
            .map(|slot| selected(slot).unwrap_or_default())
            .collect();
        rows.iter().any(|row| !row.is_empty()).then_some(rows)
    }

    /// Merges its entry of `rows` into those of each slot, field by field.
    pub(crate) fn merge(&mut self, slots: &[Slot], rows: &[Receipts]) {
        for (slot, receipts) in slots.iter().zip(rows) {
            if !receipts.is_empty() {
                let receipts = receipts.0.iter();
                let receipts = receipts.map(|(field, bytes)| (field.clone(), Arc::clone(bytes)));
                self.0.entry(*slot).or_default().0.extend(receipts);
            }
        }
    }

    /// Forgets those of `slots`.
    pub(crate) fn clear(&mut self, slots: &[Slot]) {
        if self.0.is_empty() {
            return;
        }
        for slot in slots {
            self.0.remove(slot);
        }
        if self.0.is_empty() {
            *self = Self::default();
        }
    }
}

impl Controller {
    /// Merges its entry of `receipts` into those of each sample of `indexes`, field by field.
    /// Unknown partitions and samples and empty entries are passed over, and so is what one list has
    /// more than the other. Returns how many samples were set. They keep their receipts, through
    /// further puts too, until they are cleared.
    pub fn set_receipts(
        &mut self,
        partition: &str,
        indexes: &[GlobalIndex],
        receipts: Vec<Receipts>,
    ) -> usize {
        let Some((state, _)) = self.visible_mut(partition) else {
            return 0;
        };
        let mut set = 0;
        for (index, receipts) in indexes.iter().zip(receipts) {
            if let Some(slot) = state.slots.find(*index)
                && !receipts.is_empty()
            {
                state
                    .receipts
                    .0
                    .entry(slot)
                    .or_default()
                    .0
                    .extend(receipts.0);
                set += 1;
            }
        }
        set
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn receipts(pairs: &[(&str, u8)]) -> Receipts {
        pairs
            .iter()
            .map(|(field, byte)| ((*field).into(), [*byte].into()))
            .collect()
    }

    fn found(controller: &Controller, indexes: &[GlobalIndex]) -> Option<Vec<Receipts>> {
        let batch = controller.batch("p", indexes, &FieldSelection::All);
        batch.unwrap().receipts
    }

    fn named(
        controller: &Controller,
        indexes: &[GlobalIndex],
        name: &str,
    ) -> Option<Vec<Receipts>> {
        let named = FieldSelection::Named(vec![name.into()]);
        let known = FieldSelection::Known(vec![name.into()]);
        let receipts = controller.batch("p", indexes, &named).unwrap().receipts;
        assert_eq!(
            controller.batch("p", indexes, &known).unwrap().receipts,
            receipts
        );
        receipts
    }

    #[test]
    fn they_merge_field_by_field_and_pass_over_unknown_samples() {
        let mut controller = Controller::new();
        let indexes = controller.insert("p", 2).unwrap();
        assert_eq!(found(&controller, &indexes), None);
        let first = vec![receipts(&[("x", 1), ("y", 2)]), Receipts::default()];
        assert_eq!(controller.set_receipts("p", &indexes, first), 1);
        let asked = [indexes[0], GlobalIndex(99), indexes[1]];
        let second = vec![receipts(&[("z", 4), ("y", 3)]); 3];
        assert_eq!(controller.set_receipts("p", &asked, second.clone()), 2);
        assert_eq!(controller.set_receipts("q", &asked, second), 0);
        let merged = receipts(&[("x", 1), ("y", 3), ("z", 4)]);
        let other = receipts(&[("y", 3), ("z", 4)]);
        assert_eq!(found(&controller, &indexes), Some(vec![merged, other]));
    }

    #[test]
    fn a_batch_has_those_of_its_fields_and_none_where_no_row_has_any() {
        let mut controller = Controller::new();
        let indexes = controller.insert("p", 3).unwrap();
        let set = vec![receipts(&[("x", 1), ("y", 2)])];
        controller.set_receipts("p", &indexes[1..2], set);
        let of_x = vec![Receipts::default(), receipts(&[("x", 1)])];
        assert_eq!(named(&controller, &indexes[..2], "x"), Some(of_x));
        assert_eq!(named(&controller, &indexes, "z"), None);
        assert_eq!(found(&controller, &[indexes[0], indexes[2]]), None);
    }

    #[test]
    fn they_go_with_their_sample_and_a_slot_used_again_has_none() {
        let mut controller = Controller::new();
        let first = controller.insert("p", 64).unwrap();
        let kept = controller.insert("p", 1).unwrap();
        let all = vec![receipts(&[("x", 1)]); 64];
        assert_eq!(controller.set_receipts("p", &first, all.clone()), 64);
        controller.set_receipts("p", &kept, all[..1].to_vec());
        let ticket = controller.begin_clear_indexes("p", &first);
        controller.finish_clear(&ticket);
        assert_eq!(controller.partitions["p"].receipts.0.len(), 1);
        let second = controller.insert("p", 128).unwrap();
        let slots = |controller: &Controller, index| controller.partitions["p"].slots.find(index);
        let again = second
            .iter()
            .any(|index| slots(&controller, *index) == Some(0));
        assert!(again, "no slot was used again");
        assert_eq!(found(&controller, &second), None);
        assert_eq!(found(&controller, &kept), Some(all[..1].to_vec()));
        let ticket = controller.begin_clear_indexes("p", &kept);
        controller.finish_clear(&ticket);
        assert_eq!(controller.partitions["p"].receipts.0.capacity(), 0);
    }

    #[test]
    fn they_go_with_their_partition_even_where_a_put_keeps_its_sample() {
        let mut controller = Controller::new();
        controller.preallocate("p", 2).unwrap();
        let shown = controller.insert("p", 1).unwrap();
        let reserved = [GlobalIndex(1)];
        let reservation = controller.reserve("p", &["a"]).unwrap();
        let set = |controller: &mut Controller, index: &[GlobalIndex]| {
            controller.set_receipts("p", index, vec![receipts(&[("x", 1)])])
        };
        assert_eq!(set(&mut controller, &shown), 1);
        assert_eq!(set(&mut controller, &reserved), 1);
        let ticket = controller.drop_partition("p").unwrap();
        controller.finish_clear(&ticket);
        let published = controller.publish(reservation, &[], None);
        assert!(published.is_ok());
        assert_eq!(found(&controller, &reserved), None);
    }
}
