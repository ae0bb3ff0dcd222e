//! Rows that lie in a storage backend: which parcel holds each, and which parcels nobody needs any
//! more.
//!
//! Each row of a field holds on to its parcel. When the last of a parcel's rows is cleared,
//! overwritten or dropped with its partition, the parcel is put into the *bin*; whoever talks to the
//! backend takes it out and deletes its objects.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;
use tq_proto::{DType, Error, ErrorKind, FieldName, GlobalIndex, Parcel, Result};

use crate::Controller;
use crate::receipts::Receipts;
use crate::schema::Shape;
use crate::slots::Slot;
use crate::wording::{invalid, some_of};

/// What a put has left in a storage backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// The parcels it consists of.
    pub parcels: Vec<Parcel>,
    /// Where the rows of fields lie in them.
    pub columns: Vec<StoredColumn>,
    /// What the backend noted of each row; nothing where empty.
    pub receipts: Vec<Receipts>,
}

/// The rows of one field, back to back in a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredColumn {
    /// The field.
    pub field: FieldName,
    /// Which of the put's parcels.
    pub parcel: usize,
    /// Where the first row begins.
    pub start: u64,
    /// Bytes of the rows.
    pub row_bytes: RowBytes,
}

/// Bytes of the rows of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowBytes {
    /// All rows take as many.
    Equal(u64),
    /// Each its own.
    Each(Vec<u64>),
}

impl RowBytes {
    fn get(&self, row: usize) -> u64 {
        match self {
            Self::Equal(bytes) => *bytes,
            Self::Each(bytes) => bytes.get(row).copied().unwrap_or(0),
        }
    }

    /// Bytes of `rows` rows; `None` beyond 64 bits or where it tells of another number of rows.
    fn total(&self, rows: usize) -> Option<u64> {
        match self {
            Self::Equal(bytes) => bytes.checked_mul(rows as u64),
            Self::Each(bytes) if bytes.len() != rows => None,
            Self::Each(bytes) => bytes
                .iter()
                .try_fold(0u64, |sum, bytes| sum.checked_add(*bytes)),
        }
    }
}

impl Stored {
    /// Everything that can speak against it, given the rows of its put.
    pub(crate) fn check(&self, rows: usize) -> Result<()> {
        self.parcels.iter().try_for_each(Parcel::check)?;
        for column in &self.columns {
            let parcel = self.parcels.get(column.parcel).map_or(0, Parcel::bytes);
            let end = column.row_bytes.total(rows);
            let end = end.and_then(|bytes| bytes.checked_add(column.start));
            if end.is_none_or(|end| end > parcel) {
                return Err(invalid(format!(
                    "the {rows} rows of field `{}` do not lie inside a parcel of the put",
                    column.field
                )));
            }
        }
        if !self.receipts.is_empty() && self.receipts.len() != rows {
            return Err(invalid(format!(
                "{} sets of receipts were put with {rows} rows; give one set per row",
                self.receipts.len()
            )));
        }
        Ok(())
    }
}

/// A parcel that rows hold on to.
#[derive(Debug)]
struct Held {
    parcel: Arc<Parcel>,
    bin: Bin,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.bin.add([mem::take(&mut self.parcel)]);
    }
}

/// Parcels whose objects may be deleted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bin(Arc<Mutex<Vec<Arc<Parcel>>>>);

impl Bin {
    fn add(&self, parcels: impl IntoIterator<Item = Arc<Parcel>>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.extend(parcels);
    }

    fn take(&self, most: usize) -> Vec<Arc<Parcel>> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let most = most.min(held.len());
        held.drain(..most).collect()
    }
}

/// Where one row of a field lies.
#[derive(Debug, Clone)]
struct RowPlace {
    held: Arc<Held>,
    offset: u64,
    bytes: u64,
}

/// The places of the rows of a partition, by field and slot.
#[derive(Debug, Default)]
pub(crate) struct ParcelTable(FxHashMap<FieldName, Vec<Option<RowPlace>>>);

impl ParcelTable {
    /// Notes where the rows at `slots` lie. `stored` was checked against their number.
    pub(crate) fn place(&mut self, slots: &[Slot], stored: &Stored, bin: &Bin) {
        let held: Vec<Arc<Held>> = stored
            .parcels
            .iter()
            .map(|parcel| {
                Arc::new(Held {
                    parcel: Arc::new(parcel.clone()),
                    bin: bin.clone(),
                })
            })
            .collect();
        for column in &stored.columns {
            let Some(held) = held.get(column.parcel) else {
                continue;
            };
            let places = self.0.entry(column.field.clone()).or_default();
            let mut offset = column.start;
            for (row, slot) in slots.iter().enumerate() {
                let bytes = column.row_bytes.get(row);
                let slot = *slot as usize;
                if slot >= places.len() {
                    places.resize_with(slot + 1, || None);
                }
                places[slot] = Some(RowPlace {
                    held: Arc::clone(held),
                    offset,
                    bytes,
                });
                offset += bytes;
            }
        }
    }

    /// Forgets the rows at `slots`.
    pub(crate) fn clear(&mut self, slots: &[Slot]) {
        for places in self.0.values_mut() {
            for slot in slots {
                if let Some(place) = places.get_mut(*slot as usize) {
                    *place = None;
                }
            }
        }
    }

    fn get(&self, field: &str, slot: Slot) -> Option<&RowPlace> {
        self.0.get(field)?.get(slot as usize)?.as_ref()
    }
}

/// Rows that were asked for, and the parcels they lie in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredRows {
    /// Each parcel once.
    pub parcels: Vec<Arc<Parcel>>,
    /// For each field asked for its rows, in the order of the samples.
    pub columns: Vec<Vec<StoredRow>>,
}

/// One row of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// Dtype and shape; none where the row is no tensor.
    pub tensor: Option<(DType, Shape)>,
    /// Its parcel's place in [`StoredRows::parcels`].
    pub parcel: u32,
    /// Where it begins in the parcel.
    pub offset: u64,
    /// Its bytes.
    pub bytes: u64,
}

impl Controller {
    /// Where the rows of `fields` of samples lie, at one instant. Sample `i` is `indexes[i]` of
    /// `partitions[i]`; where one partition is given, it is that of all.
    ///
    /// # Errors
    /// `NotFound` where a sample does not exist (any more), or a field of it lies in no parcel.
    pub fn stored_rows<P: AsRef<str>>(
        &self,
        partitions: &[P],
        indexes: &[GlobalIndex],
        fields: &[FieldName],
    ) -> Result<StoredRows> {
        let mut found = StoredRows {
            parcels: Vec::new(),
            columns: vec![Vec::with_capacity(indexes.len()); fields.len()],
        };
        let mut numbers: FxHashMap<*const Held, u32> = FxHashMap::default();
        let mut start = 0;
        while start < indexes.len() {
            let partition = |row: usize| partitions.get(row).or(partitions.first());
            let Some(of) = partition(start) else {
                return Err(invalid("samples of no partition were asked for"));
            };
            let same = |row: &usize| partition(*row).map(AsRef::as_ref) == Some(of.as_ref());
            let end = (start..indexes.len())
                .find(|row| !same(row))
                .unwrap_or(indexes.len());
            let state = self.existing(of.as_ref())?;
            let slots = state.locate(&indexes[start..end])?;
            for (field, column) in fields.iter().zip(&mut found.columns) {
                let described = state.fields.get(field);
                let mut last: Option<(*const Held, u32)> = None;
                for slot in &slots {
                    let row = described.and_then(|described| described.row(*slot));
                    let place = state.parcels.get(field, *slot);
                    let (Some(tensor), Some(place)) = (row, place) else {
                        let label = state.slots[*slot].label();
                        return Err(not_stored(field, &label).with("partition", &state.id));
                    };
                    let held = Arc::as_ptr(&place.held);
                    let number = match last {
                        Some((known, number)) if known == held => number,
                        _ => *numbers.entry(held).or_insert_with(|| {
                            found.parcels.push(Arc::clone(&place.held.parcel));
                            found.parcels.len() as u32 - 1
                        }),
                    };
                    last = Some((held, number));
                    column.push(StoredRow {
                        tensor: tensor.map(|(dtype, shape)| (dtype, shape.clone())),
                        parcel: number,
                        offset: place.offset,
                        bytes: place.bytes,
                    });
                }
            }
            start = end;
        }
        Ok(found)
    }

    /// Takes up to `most` parcels that no row needs any more; their objects are to be deleted.
    pub fn take_dropped(&self, most: usize) -> Vec<Arc<Parcel>> {
        self.bin.take(most)
    }

    /// Gives back parcels that were taken and could not be deleted.
    pub fn return_dropped(&self, parcels: Vec<Arc<Parcel>>) {
        self.bin.add(parcels);
    }
}

fn not_stored(field: &str, sample: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!(
            "field '{field}' not found: nothing of it is stored for sample {}; put the field first",
            some_of([sample])
        ),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::put::FieldUpdate;
    use crate::schema::FieldSchemaUpdate;

    fn stored(key: &str, fields: &[&str], rows: u64) -> Stored {
        let column = |(place, field): (usize, &&str)| StoredColumn {
            field: (*field).into(),
            parcel: 0,
            start: place as u64 * 8 * rows,
            row_bytes: RowBytes::Equal(8),
        };
        Stored {
            parcels: vec![Parcel {
                key: key.into(),
                objects: vec![8 * rows * fields.len() as u64],
                block: 1 << 20,
                checksums: vec![1],
            }],
            columns: fields.iter().enumerate().map(column).collect(),
            receipts: Vec::new(),
        }
    }

    fn updates(fields: &[&str]) -> Vec<FieldUpdate> {
        let update = |field: &&str| FieldUpdate {
            name: (*field).into(),
            schema: FieldSchemaUpdate::Dense {
                dtype: DType::Int64,
                row_shape: [].into(),
            },
        };
        fields.iter().map(update).collect()
    }

    fn put(controller: &mut Controller, key: &str, keys: &[&str], fields: &[&str]) {
        let reservation = controller.reserve("p", keys).unwrap();
        let stored = stored(key, fields, keys.len() as u64);
        controller
            .publish_stored(reservation, &updates(fields), None, &stored)
            .unwrap();
    }

    fn dropped(controller: &Controller) -> Vec<String> {
        let taken = controller.take_dropped(usize::MAX);
        taken.iter().map(|parcel| parcel.key.to_string()).collect()
    }

    fn rows(controller: &Controller, keys: &[&str], field: &str) -> Vec<(String, u64)> {
        let indexes = controller.resolve("p", keys).global_indexes;
        let found = controller.stored_rows(&["p"], &indexes, &[field.into()]);
        let found = found.unwrap();
        let place = |row: &StoredRow| {
            let key = found.parcels[row.parcel as usize].key.to_string();
            (key, row.offset)
        };
        found.columns[0].iter().map(place).collect()
    }

    #[test]
    fn rows_are_found_in_any_order_across_parcels() {
        let mut controller = Controller::new();
        put(&mut controller, "one", &["a", "b"], &["x", "y"]);
        put(&mut controller, "two", &["c"], &["x"]);
        let found = rows(&controller, &["c", "b", "a"], "x");
        let wanted = [("two", 0), ("one", 8), ("one", 0)];
        assert_eq!(found, wanted.map(|(key, at)| (key.to_owned(), at)));
        assert_eq!(rows(&controller, &["b"], "y"), [("one".to_owned(), 24)]);
    }

    #[test]
    fn a_parcel_is_dropped_with_the_last_row_that_needs_it() {
        let mut controller = Controller::new();
        put(&mut controller, "one", &["a", "b"], &["x", "y"]);
        put(&mut controller, "two", &["a", "b"], &["x"]);
        assert_eq!(dropped(&controller), [""; 0]);
        let ticket = controller.begin_clear_keys("p", &["a"]);
        controller.finish_clear(&ticket);
        put(&mut controller, "three", &["b"], &["y"]);
        assert_eq!(dropped(&controller), ["one"]);
        let ticket = controller.begin_clear_keys("p", &["b"]);
        controller.finish_clear(&ticket);
        let mut last = dropped(&controller);
        last.sort_unstable();
        assert_eq!(last, ["three", "two"]);
    }

    #[test]
    fn parcels_go_with_their_partition_and_can_be_given_back() {
        let mut controller = Controller::new();
        put(&mut controller, "one", &["a"], &["x"]);
        let ticket = controller.drop_partition("p").unwrap();
        controller.finish_clear(&ticket);
        let taken = controller.take_dropped(8);
        assert_eq!(taken.len(), 1);
        assert_eq!(dropped(&controller), [""; 0]);
        controller.return_dropped(taken);
        assert_eq!(dropped(&controller), ["one"]);
    }

    #[test]
    fn rows_outside_their_parcel_are_refused_and_nothing_is_published() {
        let mut controller = Controller::new();
        let lies: [fn(&mut Stored); 4] = [
            |stored| stored.columns[0].parcel = 1,
            |stored| stored.columns[0].start = 1,
            |stored| stored.columns[0].row_bytes = RowBytes::Each(vec![8, 9]),
            |stored| stored.parcels[0].checksums.clear(),
        ];
        for lie in lies {
            let mut lied = stored("one", &["x"], 2);
            lie(&mut lied);
            let reservation = controller.reserve("p", &["a", "b"]).unwrap();
            let refused = controller.publish_stored(reservation, &updates(&["x"]), None, &lied);
            assert_eq!(
                refused.unwrap_err().error.kind(),
                ErrorKind::InvalidArgument
            );
            assert!(!controller.has_partition("p"));
        }
        assert_eq!(dropped(&controller), [""; 0]);
    }

    #[test]
    fn a_field_that_lies_in_no_parcel_is_named() {
        let mut controller = Controller::new();
        put(&mut controller, "one", &["a"], &["x"]);
        let indexes = controller.resolve("p", &["a"]).global_indexes;
        let error = controller.stored_rows(&["p"], &indexes, &["z".into()]);
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("field 'z' not found")
        );
    }
}
