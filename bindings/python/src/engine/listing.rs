//! Listings as Python dicts. Trainers list a partition again and again while it grows, so the
//! Python strings of its keys are kept from one listing to the next: each saves an allocation, and
//! its hash is known.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use tq_client::list::Listing;
use tq_proto::{Key, PartitionId};

use super::tags::TagWriter;

/// Keys that are kept, over all partitions; about 100 bytes each.
const KEPT: usize = 1 << 20;

/// The keys of a partition in the order of their creation.
type Keys = Vec<(Key, Py<PyString>)>;

/// Python strings of keys that were listed.
#[derive(Default)]
pub(super) struct ListedKeys(Mutex<HashMap<PartitionId, Keys>>);

impl ListedKeys {
    /// `{partition: {key: tags}}`. `all`: whether these are all partitions there are.
    pub(super) fn write<'py>(
        &self,
        py: Python<'py>,
        listings: &[Listing],
        all: bool,
        allow_pickle: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let result = PyDict::new(py);
        let mut writer = TagWriter::new(py, allow_pickle);
        // Taken, not borrowed: the lock is never held while Python objects are made or dropped.
        let mut known = std::mem::take(&mut *self.lock());
        let mut kept = HashMap::new();
        for listing in listings {
            let (samples, keys) =
                write_one(py, listing, known.remove(&listing.partition), &mut writer)?;
            result.set_item(PyString::new(py, &listing.partition), samples)?;
            kept.insert(listing.partition.clone(), keys);
        }
        if !all {
            kept.extend(known);
        }
        if kept.values().map(Vec::len).sum::<usize>() <= KEPT {
            let replaced = std::mem::replace(&mut *self.lock(), kept);
            drop(replaced);
        }
        Ok(result)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PartitionId, Keys>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_one<'py>(
    py: Python<'py>,
    listing: &Listing,
    known: Option<Keys>,
    writer: &mut TagWriter<'py>,
) -> PyResult<(Bound<'py, PyDict>, Keys)> {
    let samples = PyDict::new(py);
    let mut keys = Vec::with_capacity(listing.samples.len());
    // Keys keep their order and new ones come last, so what is left of the known keys is looked
    // through once: those passed over were cleared.
    let mut known = known.into_iter().flatten();
    for (key, tags) in &listing.samples {
        let text = match known.find(|(known, _)| Key::ptr_eq(known, key)) {
            Some((_, text)) => text,
            None => PyString::new(py, key).unbind(),
        };
        samples.set_item(text.bind(py), writer.write(tags)?)?;
        keys.push((key.clone(), text));
    }
    Ok((samples, keys))
}
