//! Which storage unit has the rows of a field, where that is not the controller's own.
//!
//! Rows of the controller's own unit stand nowhere, so an engine without further units pays nothing.

use rustc_hash::FxHashMap;
use tq_proto::{FieldName, GlobalIndex, PartitionId, UnitId};

use crate::Controller;
use crate::slots::Slot;

/// Rows of a page, of consecutive global indexes.
const PAGE: u64 = 64;

/// Rows of one field that lie in one unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedRows {
    /// The unit.
    pub unit: UnitId,
    /// The field.
    pub field: FieldName,
    /// The samples.
    pub global_indexes: Vec<GlobalIndex>,
}

/// Units by field and sample.
#[derive(Debug, Default)]
pub(crate) struct Placement {
    fields: FxHashMap<FieldName, Units>,
}

/// Units of one field's rows; [`UnitId::HOME`] where nothing is recorded.
#[derive(Debug, Default)]
struct Units {
    pages: FxHashMap<u64, Box<[UnitId; PAGE as usize]>>,
    rows: usize,
}

impl Units {
    fn get(&self, index: GlobalIndex) -> UnitId {
        let page = self.pages.get(&(index.0 / PAGE));
        page.map_or(UnitId::HOME, |page| page[(index.0 % PAGE) as usize])
    }

    /// Records where a row lies now; returns where it did.
    fn set(&mut self, index: GlobalIndex, unit: UnitId) -> UnitId {
        let (number, place) = (index.0 / PAGE, (index.0 % PAGE) as usize);
        if unit == UnitId::HOME && !self.pages.contains_key(&number) {
            return UnitId::HOME;
        }
        let page = self
            .pages
            .entry(number)
            .or_insert_with(|| Box::new([UnitId::HOME; PAGE as usize]));
        let old = std::mem::replace(&mut page[place], unit);
        self.rows += usize::from(unit != UnitId::HOME);
        self.rows -= usize::from(old != UnitId::HOME);
        if unit == UnitId::HOME && page.iter().all(|unit| *unit == UnitId::HOME) {
            self.pages.remove(&number);
        }
        old
    }

    fn at(&self, unit: UnitId) -> Vec<GlobalIndex> {
        let mut found: Vec<_> = self
            .pages
            .iter()
            .flat_map(|(number, page)| {
                let own = (0..PAGE).zip(page.iter()).filter(|(_, own)| **own == unit);
                own.map(move |(place, _)| GlobalIndex(number * PAGE + place))
            })
            .collect();
        found.sort_unstable();
        found
    }
}

impl Controller {
    /// Records that the rows of `fields` for `indexes` lie in `unit` from now on. Returns where
    /// else they lay, row by row taken together: what is stored there may be dropped.
    pub fn place(
        &mut self,
        unit: UnitId,
        fields: &[FieldName],
        indexes: &[GlobalIndex],
    ) -> Vec<PlacedRows> {
        let placed = &mut self.placement.fields;
        let mut displaced = Vec::new();
        for field in fields {
            if unit == UnitId::HOME && !placed.contains_key(field) {
                continue;
            }
            let units = placed.entry(field.clone()).or_default();
            let moved = indexes.iter().filter_map(|index| {
                let old = units.set(*index, unit);
                (old != unit).then_some((old, *index))
            });
            collect(&mut displaced, field, moved);
            if units.rows == 0 {
                placed.remove(field);
            }
        }
        displaced
    }

    /// The unit of each row of `field`; `None` where all are the controller's own.
    #[must_use]
    pub fn units_of(&self, field: &str, indexes: &[GlobalIndex]) -> Option<Vec<UnitId>> {
        let units = self.placement.fields.get(field)?;
        let found: Vec<_> = indexes.iter().map(|index| units.get(*index)).collect();
        let elsewhere = found.iter().any(|unit| *unit != UnitId::HOME);
        elsewhere.then_some(found)
    }

    /// Forgets where samples lie that were cleared. Returns, for each further unit, those of which it
    /// may have rows.
    pub fn displace(&mut self, indexes: &[GlobalIndex]) -> Vec<(UnitId, Vec<GlobalIndex>)> {
        let mut gone: Vec<(UnitId, Vec<GlobalIndex>)> = Vec::new();
        for units in self.placement.fields.values_mut() {
            for index in indexes {
                let unit = units.set(*index, UnitId::HOME);
                if unit == UnitId::HOME {
                    continue;
                }
                match gone.iter_mut().find(|(other, _)| *other == unit) {
                    Some((_, own)) => own.push(*index),
                    None => gone.push((unit, vec![*index])),
                }
            }
        }
        self.placement.fields.retain(|_, units| units.rows > 0);
        for (_, own) in &mut gone {
            own.sort_unstable();
            own.dedup();
        }
        gone
    }

    /// Rows of a partition that lie in one of `units`, by partition and field; of all partitions
    /// where `partition` is `None`.
    #[must_use]
    pub fn rows_at(
        &self,
        units: &[UnitId],
        partition: Option<&str>,
    ) -> Vec<(PartitionId, PlacedRows)> {
        let mut found = Vec::new();
        for state in self.visible_by_age() {
            if partition.is_some_and(|only| only != &*state.id) {
                continue;
            }
            for (field, placed) in &self.placement.fields {
                for unit in units {
                    let of_sample = |index: &GlobalIndex| state.slots.find(*index).is_some();
                    let own: Vec<_> = placed.at(*unit).into_iter().filter(of_sample).collect();
                    if !own.is_empty() {
                        let rows = PlacedRows {
                            unit: *unit,
                            field: field.clone(),
                            global_indexes: own,
                        };
                        found.push((state.id.clone(), rows));
                    }
                }
            }
        }
        found.sort_by(|(_, left), (_, right)| {
            (&left.field, left.unit).cmp(&(&right.field, right.unit))
        });
        found
    }

    /// Takes rows that are lost out of production: their fields can be put again, and who waits for
    /// them waits on. Returns the partitions that changed.
    pub fn unproduce(&mut self, rows: &[(PartitionId, PlacedRows)]) -> Vec<PartitionId> {
        let mut changed: Vec<PartitionId> = Vec::new();
        for (partition, rows) in rows {
            if let Some((state, counters)) = self.visible_mut(partition) {
                let slots: Vec<Slot> = rows
                    .global_indexes
                    .iter()
                    .filter_map(|index| state.slots.find(*index))
                    .collect();
                state.fields.clear_field(&rows.field, &slots);
                state.changed(&slots, counters);
                if !changed.contains(partition) {
                    changed.push(partition.clone());
                }
            }
            if let Some(units) = self.placement.fields.get_mut(&rows.field) {
                for index in &rows.global_indexes {
                    units.set(*index, UnitId::HOME);
                }
            }
        }
        self.placement.fields.retain(|_, units| units.rows > 0);
        changed
    }
}

/// Takes rows of one field together by where they lay.
fn collect(
    displaced: &mut Vec<PlacedRows>,
    field: &FieldName,
    moved: impl Iterator<Item = (UnitId, GlobalIndex)>,
) {
    let first = displaced.len();
    for (unit, index) in moved {
        match displaced[first..].iter_mut().find(|rows| rows.unit == unit) {
            Some(rows) => rows.global_indexes.push(index),
            None => displaced.push(PlacedRows {
                unit,
                field: field.clone(),
                global_indexes: vec![index],
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn indexes(numbers: &[u64]) -> Vec<GlobalIndex> {
        numbers.iter().copied().map(GlobalIndex).collect()
    }

    #[test]
    fn rows_of_the_own_unit_are_recorded_nowhere() {
        let mut controller = Controller::new();
        let fields = ["f".into()];
        assert_eq!(
            controller.place(UnitId::HOME, &fields, &indexes(&[1, 2])),
            []
        );
        assert!(controller.placement.fields.is_empty());
        assert_eq!(controller.units_of("f", &indexes(&[1])), None);
        // New rows have no bytes at home that could be dropped, but that is not known here.
        let displaced = controller.place(UnitId(7), &fields, &indexes(&[1, 2]));
        assert_eq!(displaced.len(), 1);
        let displaced = controller.place(UnitId::HOME, &fields, &indexes(&[2, 1]));
        assert_eq!(displaced[0].unit, UnitId(7));
        assert_eq!(displaced[0].global_indexes, indexes(&[2, 1]));
        assert!(controller.placement.fields.is_empty());
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(
            steps in prop::collection::vec((0u64..200, 0u32..4, 0usize..3, any::<bool>()), 0..80)
        ) {
            let names: [FieldName; 3] = ["a".into(), "b".into(), "c".into()];
            let mut controller = Controller::new();
            let mut model: HashMap<(usize, u64), u32> = HashMap::new();
            for (start, unit, field, clears) in steps {
                let rows: Vec<u64> = (start..start + 70).step_by(3).collect();
                if clears {
                    let gone = controller.displace(&indexes(&rows));
                    let mut wanted: Vec<(u32, u64)> = model
                        .iter()
                        .filter(|((_, row), unit)| rows.contains(row) && **unit != 0)
                        .map(|((_, row), unit)| (*unit, *row))
                        .collect();
                    wanted.sort_unstable();
                    wanted.dedup();
                    let mut found: Vec<(u32, u64)> = gone
                        .iter()
                        .flat_map(|(unit, own)| own.iter().map(|row| (unit.0, row.0)))
                        .collect();
                    found.sort_unstable();
                    prop_assert_eq!(found, wanted);
                    model.retain(|(_, row), _| !rows.contains(row));
                } else {
                    let fields = [names[field].clone()];
                    let displaced = controller.place(UnitId(unit), &fields, &indexes(&rows));
                    for row in &rows {
                        let old = model.insert((field, *row), unit).unwrap_or(0);
                        let moved = displaced
                            .iter()
                            .find(|rows| rows.global_indexes.contains(&GlobalIndex(*row)));
                        prop_assert_eq!(moved.map(|rows| rows.unit.0), (old != unit).then_some(old));
                    }
                }
                for (place, name) in names.iter().enumerate() {
                    let all: Vec<u64> = (0..280).collect();
                    let wanted: Vec<u32> = all
                        .iter()
                        .map(|row| model.get(&(place, *row)).copied().unwrap_or(0))
                        .collect();
                    let found = controller.units_of(name, &indexes(&all)).map_or_else(
                        || vec![0; 280],
                        |units| units.iter().map(|unit| unit.0).collect(),
                    );
                    prop_assert_eq!(found, wanted);
                }
            }
        }
    }
}
