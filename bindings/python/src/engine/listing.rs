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

/// A partition as it was last listed.
struct Known {
    /// Its keys in the order of their creation.
    keys: Vec<(Key, Py<PyString>)>,
    /// `{key: None}` for all of them. A copy of it has the size and the places that a listing
    /// needs, which saves growing a dict key by key.
    places: Py<PyDict>,
}

/// Partitions that were listed.
#[derive(Default)]
pub(super) struct ListedKeys(Mutex<HashMap<PartitionId, Known>>);

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
            let known = Known::of(py, listing, known.remove(&listing.partition))?;
            let samples = known.write(py, listing, &mut writer)?;
            result.set_item(PyString::new(py, &listing.partition), samples)?;
            kept.insert(listing.partition.clone(), known);
        }
        if !all {
            kept.extend(known);
        }
        if kept.values().map(|known| known.keys.len()).sum::<usize>() <= KEPT {
            let replaced = std::mem::replace(&mut *self.lock(), kept);
            drop(replaced);
        }
        Ok(result)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PartitionId, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// What is known of `listing`, brought up to date.
    fn of(py: Python<'_>, listing: &Listing, last: Option<Self>) -> PyResult<Self> {
        let Some(last) = last else {
            return Self::anew(py, listing, Vec::new());
        };
        // New keys come last, so a partition that lost none begins with all it had.
        let grown = last.keys.len() <= listing.samples.len()
            && last
                .keys
                .iter()
                .zip(&listing.samples)
                .all(|((known, _), (key, _))| Key::ptr_eq(known, key));
        if !grown {
            return Self::anew(py, listing, last.keys);
        }
        let Self { mut keys, places } = last;
        for (key, _) in &listing.samples[keys.len()..] {
            let text = PyString::new(py, key);
            places.bind(py).set_item(&text, py.None())?;
            keys.push((key.clone(), text.unbind()));
        }
        Ok(Self { keys, places })
    }

    fn anew(py: Python<'_>, listing: &Listing, last: Vec<(Key, Py<PyString>)>) -> PyResult<Self> {
        let places = PyDict::new(py);
        let mut keys = Vec::with_capacity(listing.samples.len());
        // Keys keep their order, so the last ones are looked through once: those passed over were
        // cleared.
        let mut last = last.into_iter();
        for (key, _) in &listing.samples {
            let text = match last.find(|(known, _)| Key::ptr_eq(known, key)) {
                Some((_, text)) => text,
                None => PyString::new(py, key).unbind(),
            };
            places.set_item(&text, py.None())?;
            keys.push((key.clone(), text));
        }
        Ok(Self {
            keys,
            places: places.unbind(),
        })
    }

    fn write<'py>(
        &self,
        py: Python<'py>,
        listing: &Listing,
        writer: &mut TagWriter<'py>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let samples = self.places.bind(py).copy()?;
        for ((_, text), (_, tags)) in self.keys.iter().zip(&listing.samples) {
            samples.set_item(text.bind(py), writer.write(tags)?)?;
        }
        Ok(samples)
    }
}
