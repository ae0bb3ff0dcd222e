//! Listings as Python dicts. Trainers list a partition again and again while it grows, and most of
//! it stays as it was, so what the last listing was made of is kept: the Python strings of the keys,
//! and the tag dicts, which are handed out again once nobody else holds them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use tq_controller::Tags;
use tq_engine::list::Listing;
use tq_proto::{Key, PartitionId};

use super::tags::TagWriter;
use crate::fence::reference_count;

/// Samples that are kept, over all listings; about 400 bytes each with their tag dicts.
const KEPT: usize = 1 << 18;
/// Listings of a partition that are kept: who polls mostly still holds the last one while asking
/// for the next.
const GENERATIONS: usize = 2;

/// References to a kept tag dict that is being looked at, where nobody else holds one: that of the
/// kept dict around it and that of whoever looks.
const HELD_HERE: isize = 2;

/// A partition as it was listed before.
struct Known {
    /// Its keys in the order of their creation, with the tags that their dicts hold.
    samples: Vec<(Key, Tags)>,
    /// `{key: tag dict}`, not handed out itself where it is kept: a copy of it was the listing, which
    /// saves growing a dict key by key.
    issued: Py<PyDict>,
}

/// Partitions that were listed.
#[derive(Default)]
pub(super) struct Listed(Mutex<HashMap<PartitionId, Vec<Known>>>);

impl Listed {
    /// `{partition: {key: tags}}`. `all`: whether these are all partitions there are.
    pub(super) fn write<'py>(
        &self,
        py: Python<'py>,
        listings: Vec<Listing>,
        all: bool,
        allow_pickle: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let result = PyDict::new(py);
        let mut writer = TagWriter::new(py, allow_pickle);
        // Taken, not borrowed: the lock is never held while Python objects are made or dropped.
        let mut known = std::mem::take(&mut *self.lock());
        let mut kept = HashMap::new();
        let samples: usize = listings.iter().map(|listing| listing.samples.len()).sum();
        for listing in listings {
            let partition = listing.partition.clone();
            let name = PyString::new(py, &partition);
            let mut generations = known.remove(&partition).unwrap_or_default();
            let known = Known::next(py, listing, &mut generations, &mut writer)?;
            if samples > KEPT {
                result.set_item(name, known.issued)?;
                continue;
            }
            result.set_item(name, known.issued.bind(py).copy()?)?;
            generations.push(known);
            kept.insert(partition, generations);
        }
        if !all {
            kept.extend(known);
        }
        let samples = kept.values().flatten().map(|known| known.samples.len());
        if samples.sum::<usize>() <= KEPT {
            let replaced = std::mem::replace(&mut *self.lock(), kept);
            drop(replaced);
        }
        Ok(result)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PartitionId, Vec<Known>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// `listing`, made from what an earlier one left. Of `generations`, the oldest first, one goes
    /// where there are enough.
    fn next<'py>(
        py: Python<'py>,
        listing: Listing,
        generations: &mut Vec<Self>,
        writer: &mut TagWriter<'py>,
    ) -> PyResult<Self> {
        let free = generations
            .iter()
            .position(|known| known.is_prefix_of(&listing) && known.seems_free(py));
        let issued = match free {
            Some(place) => generations.remove(place).renew(py, &listing, writer)?,
            None => {
                let issued = Self::anew(py, &listing, generations.last(), writer)?;
                if generations.len() == GENERATIONS {
                    generations.remove(0);
                }
                issued
            }
        };
        Ok(Self {
            samples: listing.samples,
            issued: issued.unbind(),
        })
    }

    /// New keys come last, so a partition that lost none begins with all it had.
    fn is_prefix_of(&self, listing: &Listing) -> bool {
        self.samples.len() <= listing.samples.len()
            && self
                .samples
                .iter()
                .zip(&listing.samples)
                .all(|((known, _), (key, _))| Key::ptr_eq(known, key))
    }

    /// Whether nobody holds the first tag dict, and so probably none of the others.
    fn seems_free(&self, py: Python<'_>) -> bool {
        let first = self.issued.bind(py).iter().next();
        first.is_none_or(|(_, dict)| reference_count(&dict) == HELD_HERE)
    }

    /// Brings the kept dicts up to date; those that somebody holds or has changed are made anew.
    fn renew<'py>(
        self,
        py: Python<'py>,
        listing: &Listing,
        writer: &mut TagWriter<'py>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let issued = self.issued.into_bound(py);
        let mut stale = Vec::new();
        for ((key, dict), ((_, tags), (_, known))) in
            issued.iter().zip(listing.samples.iter().zip(&self.samples))
        {
            let is_ours = reference_count(&dict) == HELD_HERE && Tags::ptr_eq(tags, known);
            if !(is_ours && TagWriter::says(dict.cast()?, tags)) {
                stale.push((key, tags));
            }
        }
        for (key, tags) in stale {
            issued.set_item(key, writer.write(tags)?)?;
        }
        for (key, tags) in &listing.samples[self.samples.len()..] {
            issued.set_item(PyString::new(py, key), writer.write(tags)?)?;
        }
        Ok(issued)
    }

    fn anew<'py>(
        py: Python<'py>,
        listing: &Listing,
        last: Option<&Self>,
        writer: &mut TagWriter<'py>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let issued = PyDict::new(py);
        // Keys keep their order, so the last ones are looked through once: those passed over were
        // cleared.
        let texts = last.map(|last| last.issued.bind(py).keys());
        let mut known = last.into_iter().flat_map(|last| &last.samples).enumerate();
        for (key, tags) in &listing.samples {
            let found = known.find(|(_, (known, _))| Key::ptr_eq(known, key));
            let text = match (found, &texts) {
                (Some((place, _)), Some(texts)) => texts.get_item(place)?,
                _ => PyString::new(py, key).into_any(),
            };
            issued.set_item(text, writer.write(tags)?)?;
        }
        Ok(issued)
    }
}
