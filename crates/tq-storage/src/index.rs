//! All that lies under the unit's lock: which row of which column each (field, sample) is.

use rustc_hash::FxHashMap;
use tq_arena::Extent;
use tq_proto::{FieldName, GlobalIndex, Result};

use crate::admission::{Admission, Ticket};
use crate::column::Column;
use crate::error;
use crate::field_sets::{Extension, FieldSets};
use crate::paged::PagedTable;
use crate::read::ColumnRead;
use crate::read_builder::ReadBuilder;
use crate::slab::{Slab, SlotId};

/// A column and a row of it.
type Cell = (SlotId, u32);

struct Field {
    name: FieldName,
    cells: PagedTable<Cell>,
}

/// The state of a storage unit.
pub(crate) struct Index {
    pub(crate) admission: Admission,
    pub(crate) samples: FieldSets,
    fields: Slab<Field>,
    numbers: FxHashMap<FieldName, SlotId>,
    columns: Slab<Column>,
}

/// What a change has freed. It is dropped after the lock: returning memory takes time.
#[derive(Default)]
pub(crate) struct Freed {
    columns: Vec<Column>,
    extents: Vec<Extent>,
}

impl Index {
    pub(crate) fn new(max_samples: Option<u64>) -> Self {
        Self {
            admission: Admission::new(max_samples),
            samples: FieldSets::new(),
            fields: Slab::new(),
            numbers: FxHashMap::default(),
            columns: Slab::new(),
        }
    }

    /// Fields that at least one sample has.
    pub(crate) fn field_count(&self) -> usize {
        self.numbers.len()
    }

    /// The fields of a sample; empty for an unknown one.
    pub(crate) fn fields_of(&self, index: GlobalIndex) -> Vec<FieldName> {
        let numbers = self.samples.fields_of(index).iter();
        let mut names: Vec<_> = numbers
            .filter_map(|number| Some(self.fields.get(*number)?.name.clone()))
            .collect();
        names.sort_unstable();
        names
    }

    pub(crate) fn has(&self, field: &str, index: GlobalIndex) -> bool {
        self.cells(field)
            .is_some_and(|cells| cells.get(index).is_some())
    }

    fn cells(&self, field: &str) -> Option<&PagedTable<Cell>> {
        let number = self.numbers.get(field)?;
        Some(&self.fields.get(*number)?.cells)
    }

    /// The rows of `field` for `indexes`, with leases.
    pub(crate) fn read(&self, indexes: &[GlobalIndex], field: &FieldName) -> Result<ColumnRead> {
        let cells = self.cells(field);
        let mut builder = ReadBuilder::new(field.clone(), indexes.len());
        for index in indexes {
            let cell = cells.and_then(|cells| cells.get(*index));
            let found = cell.and_then(|(id, row)| Some((id, self.columns.get(id)?, row)));
            let Some((id, column, row)) = found else {
                let is_missing = |index: &&GlobalIndex| !self.has(field, **index);
                let missing: Vec<_> = indexes.iter().filter(is_missing).copied().collect();
                return Err(error::not_stored(field, indexes.len(), &missing));
            };
            builder.push(id, column, row);
        }
        Ok(builder.finish())
    }

    /// Ends the admitted put of `indexes` without storing anything.
    pub(crate) fn abandon(&mut self, indexes: &[GlobalIndex]) {
        for index in indexes {
            self.admission.settle(*index, self.samples.contains(*index));
        }
    }

    /// Ends the put admitted at `ticket` by storing its columns, except for samples that were
    /// cleared since: these are returned.
    pub(crate) fn commit(
        &mut self,
        ticket: Ticket,
        indexes: &[GlobalIndex],
        columns: Vec<(FieldName, Column)>,
        freed: &mut Freed,
    ) -> Vec<GlobalIndex> {
        if indexes.is_empty() {
            // A column without rows would never see its last row die.
            return Vec::new();
        }
        let is_lost = |index: &&GlobalIndex| self.admission.lost(**index, ticket);
        let lost: Vec<_> = indexes.iter().filter(is_lost).copied().collect();
        let mut numbers = Vec::with_capacity(columns.len());
        for (name, column) in columns {
            let number = self.number_of(name);
            let column = self.columns.insert(column);
            self.place_rows(number, column, indexes, ticket, &lost, freed);
            numbers.push(number);
        }
        let mut extension = Extension::new(numbers.clone());
        for index in indexes {
            if lost.is_empty() || !self.admission.lost(*index, ticket) {
                self.samples.extend(*index, &mut extension);
            }
            self.admission.settle(*index, self.samples.contains(*index));
        }
        // Where every sample was lost, a field may have got its name for nothing.
        numbers
            .into_iter()
            .for_each(|number| self.drop_if_empty(number));
        lost
    }

    fn number_of(&mut self, name: FieldName) -> SlotId {
        let fields = &mut self.fields;
        *self.numbers.entry(name).or_insert_with_key(|name| {
            fields.insert(Field {
                name: name.clone(),
                cells: PagedTable::new(),
            })
        })
    }

    /// Points the cells of a field at the rows of a new column; rows of lost samples die at once.
    fn place_rows(
        &mut self,
        field: SlotId,
        column: SlotId,
        indexes: &[GlobalIndex],
        ticket: Ticket,
        lost: &[GlobalIndex],
        freed: &mut Freed,
    ) {
        let Some(field) = self.fields.get_mut(field) else {
            return;
        };
        for (row, index) in (0u32..).zip(indexes) {
            let dead = if lost.is_empty() || !self.admission.lost(*index, ticket) {
                field.cells.insert(*index, (column, row))
            } else {
                Some((column, row))
            };
            if let Some(cell) = dead {
                release(&mut self.columns, cell, freed);
            }
        }
    }

    /// Removes samples; returns how many of them were stored.
    pub(crate) fn clear(&mut self, indexes: &[GlobalIndex], freed: &mut Freed) -> usize {
        self.admission.begin_clear();
        let mut cleared = 0;
        for index in indexes {
            let fields = self.samples.remove(*index);
            self.admission.clear(*index, fields.is_some());
            let Some(fields) = fields else { continue };
            cleared += 1;
            for number in fields.iter() {
                let Some(field) = self.fields.get_mut(*number) else {
                    continue;
                };
                if let Some(cell) = field.cells.remove(*index) {
                    release(&mut self.columns, cell, freed);
                }
                if field.cells.is_empty() {
                    self.drop_if_empty(*number);
                }
            }
        }
        cleared
    }

    /// Removes rows of one field; returns how many were stored.
    pub(crate) fn remove_rows(
        &mut self,
        name: &str,
        indexes: &[GlobalIndex],
        freed: &mut Freed,
    ) -> usize {
        let Some(number) = self.numbers.get(name).copied() else {
            return 0;
        };
        let mut removed = 0;
        for index in indexes {
            let cells = self.fields.get_mut(number).map(|field| &mut field.cells);
            let Some(cell) = cells.and_then(|cells| cells.remove(*index)) else {
                continue;
            };
            removed += 1;
            release(&mut self.columns, cell, freed);
            if !self.samples.reduce(*index, number) {
                self.admission.forget(*index);
            }
        }
        self.drop_if_empty(number);
        removed
    }

    fn drop_if_empty(&mut self, number: SlotId) {
        if self
            .fields
            .get(number)
            .is_some_and(|field| field.cells.is_empty())
            && let Some(field) = self.fields.remove(number)
        {
            self.numbers.remove(&field.name);
        }
    }
}

fn release(columns: &mut Slab<Column>, (id, row): Cell, freed: &mut Freed) {
    let Some(column) = columns.get_mut(id) else {
        return;
    };
    freed.extents.extend(column.release(row));
    if column.is_dead() {
        freed.columns.extend(columns.remove(id));
    }
}
