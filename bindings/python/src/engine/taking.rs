//! Objects that a storage backend's client hands over as buffers in this host's memory: copied out of
//! it, or used where they are.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use pyo3::prelude::*;
use tq_arena::Lease;
use tq_codec::Stores;
use tq_codec::checksum::block as checksum_of;
use tq_proto::{Error, ErrorKind};
use tq_storage::copy_bytes;

use super::fetching::{StoredGet, refused};
use crate::errors::OrRaise;
use crate::fence::OwnedBytes;

/// What lies in objects is laid out for such a boundary.
const ALIGN: usize = 64;
/// Copies of fewer bytes than this are not worth another thread.
const SHARED_FROM: u64 = 1 << 20;

/// Memory files of a program on this host that a client of it has mapped into this process. Objects
/// in them are delivered as private, copy-on-write views; their memory is free again when the last
/// tensor over it is gone.
#[pyclass(frozen, module = "transfer_queue._core")]
pub(crate) struct MappedFiles {
    files: tq_arena::MappedFiles,
    /// Where buffers go whose bytes nobody needs any more.
    left: Sender<OwnedBytes>,
}

#[pymethods]
impl MappedFiles {
    /// `program`: the name of the program that has the files open.
    #[new]
    fn new(py: Python<'_>, program: &str) -> PyResult<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "whoever gives up a lease must not wait; there are no more buffers than leases"
        )]
        let (left, buffers) = mpsc::channel();
        thread::Builder::new()
            .name("tq-release".to_owned())
            .spawn(move || release(&buffers))
            .map_err(|error| Error::new(ErrorKind::System, "no thread").caused_by(error))
            .or_raise(py)?;
        Ok(Self {
            files: tq_arena::MappedFiles::new(program),
            left,
        })
    }
}

/// Lets go of buffers, for which it waits for the interpreter: the thread that gives up leases must
/// not, since whoever has the interpreter may wait for that one. Ends when the files and the last
/// lease in them are gone; nobody can wait for that, as the leases are those of a user's tensors.
fn release(buffers: &Receiver<OwnedBytes>) {
    while let Ok(buffer) = buffers.recv() {
        drop(buffer);
    }
}

impl MappedFiles {
    /// A lease on the bytes of a buffer, which holds it.
    fn lease(&self, buffer: &OwnedBytes) -> Option<Lease> {
        let addresses = buffer.addresses();
        let (left, buffer) = (self.left.clone(), buffer.clone());
        let release = move || {
            // Fails only where the process ends, and the thread has.
            let _ = left.send(buffer);
        };
        let addresses = addresses.start as u64..addresses.end as u64;
        self.files.lease(addresses, Box::new(release))
    }
}

/// Objects of one parcel that are used where they are, by their numbers.
pub(super) type KeptObjects = BTreeMap<usize, Lease>;

/// Which parcels of a get are used where they are.
pub(super) struct Kept {
    parcels: Vec<Parcel>,
    /// Whether what was found in place was wrong, so that all is copied.
    is_refused: bool,
}

struct Parcel {
    is_usable: bool,
    objects: Option<KeptObjects>,
}

impl Kept {
    /// `usable`: which parcels may be used where they are.
    pub(super) fn new(usable: Vec<bool>) -> Self {
        let parcel = |is_usable| Parcel {
            is_usable,
            objects: None,
        };
        Self {
            parcels: usable.into_iter().map(parcel).collect(),
            is_refused: false,
        }
    }
}

/// A block of an object, and where it goes.
struct Copy<'a> {
    fetch: usize,
    from: &'a [u8],
    to: &'a mut [u8],
    checksum: u64,
}

impl Copy<'_> {
    /// Whether the block is what was put.
    fn make(&mut self, stores: Stores) -> bool {
        // In this order: the block is read from memory once, and from the cache the second time.
        let is_whole = checksum_of(self.from) == self.checksum;
        copy_bytes(self.from, self.to, stores);
        is_whole
    }
}

/// A fetch with the whole object that it is of.
type Given = (usize, OwnedBytes);

#[pymethods]
impl StoredGet {
    /// Takes fetches out of buffers over their whole objects, `(number, buffer)`, with up to `threads`
    /// threads beside the interpreter: where the buffers lie in mapped files (see `use_means`) and are
    /// large, they stay there; else they are copied. Which fetches did not bring the bytes that were
    /// put, or have to be fetched again.
    fn take(
        &self,
        py: Python<'_>,
        fetches: Vec<(usize, Bound<'_, PyAny>)>,
        threads: usize,
    ) -> PyResult<Vec<usize>> {
        let given = |(number, object): &(usize, Bound<'_, PyAny>)| {
            OwnedBytes::of_object(object).map(|object| (*number, object))
        };
        let given = fetches
            .iter()
            .map(given)
            .collect::<PyResult<Vec<Given>>>()?;
        let mapped = self.means(py)?.mapped.as_ref().map(Py::get);
        let (kept, copied) = match mapped {
            Some(mapped) => self.keep(mapped, given),
            None => (Vec::new(), given),
        };
        let wrong = self.check(py, kept, threads);
        if !wrong.is_empty() {
            if let Some(mapped) = mapped {
                mapped.files.forget();
            }
            self.refuse_in_place();
            return Ok((0..self.landing.fetches.len()).collect());
        }
        if copied.is_empty() {
            return Ok(Vec::new());
        }
        self.lend(py)?;
        self.copy(py, &copied, threads)
    }
}

impl StoredGet {
    /// Keeps the objects of parcels that may be used where they are, if all that is wanted of them is
    /// among `given`. What is kept: fetches with leases on their objects; and what is left.
    fn keep(&self, mapped: &MappedFiles, given: Vec<Given>) -> (Vec<(usize, Lease)>, Vec<Given>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_refused {
            return (Vec::new(), given);
        }
        let mut wanted = vec![0; kept.parcels.len()];
        for fetch in &self.landing.fetches {
            wanted[fetch.parcel] += 1;
        }
        let mut by_parcel: BTreeMap<usize, Vec<Given>> = BTreeMap::new();
        let mut left = Vec::new();
        for (number, object) in given {
            match self.landing.fetches.get(number) {
                Some(fetch) if kept.parcels[fetch.parcel].is_usable => {
                    by_parcel
                        .entry(fetch.parcel)
                        .or_default()
                        .push((number, object));
                }
                _ => left.push((number, object)),
            }
        }
        let mut fetched = Vec::new();
        for (parcel, given) in by_parcel {
            let is_all = given.len() == wanted[parcel];
            let objects = is_all.then(|| self.lease(mapped, parcel, &given));
            match objects.flatten() {
                Some(objects) => {
                    let lease = |(number, _): Given| {
                        let fetch = self.landing.fetches.get(number)?;
                        Some((number, objects.get(&fetch.object)?.clone()))
                    };
                    fetched.extend(given.into_iter().filter_map(lease));
                    kept.parcels[parcel].objects = Some(objects);
                }
                None => left.extend(given),
            }
        }
        (fetched, left)
    }

    /// Leases on the objects of a parcel; `None` unless all of them can be had.
    fn lease(&self, mapped: &MappedFiles, parcel: usize, given: &[Given]) -> Option<KeptObjects> {
        let mut objects = KeptObjects::new();
        for (number, bytes) in given {
            let object = self.landing.fetches.get(*number)?.object;
            if objects.contains_key(&object) {
                continue;
            }
            let len = *self.batch.parcels[parcel].objects.get(object)?;
            let start = bytes.addresses().start;
            if bytes.len() as u64 != len || !start.is_multiple_of(ALIGN) {
                return None;
            }
            objects.insert(object, mapped.lease(bytes)?);
        }
        Some(objects)
    }

    /// Which of the fetches that are kept are not what was put. Read where they will be read later, so
    /// that it shows whether these are the bytes that the client meant.
    fn check(&self, py: Python<'_>, kept: Vec<(usize, Lease)>, threads: usize) -> Vec<usize> {
        let is_whole = |(number, lease): (usize, Lease)| {
            let bytes = self.bytes_of(number, lease.as_slice());
            (
                number,
                bytes.is_some_and(|bytes| self.is_whole(number, bytes)),
            )
        };
        py.detach(|| refused(kept, threads, is_whole))
    }

    /// Copies fetches to their memory; which are not what was put.
    fn copy(&self, py: Python<'_>, given: &[Given], threads: usize) -> PyResult<Vec<usize>> {
        let mut slots = Vec::with_capacity(given.len());
        for (number, _) in given {
            slots.push(self.slot(py, *number)?);
        }
        let mut wrong = Vec::new();
        let mut copies = Vec::new();
        for ((number, object), slot) in given.iter().zip(&mut slots) {
            match self.copies(*number, slot, object.as_slice(py)) {
                Some(blocks) => copies.extend(blocks),
                None => wrong.push(*number),
            }
        }
        let total = copies.iter().map(|copy| copy.to.len() as u64).sum();
        let threads = if total < SHARED_FROM { 1 } else { threads };
        let stores = Stores::of(total);
        let make = |mut copy: Copy<'_>| (copy.fetch, copy.make(stores));
        wrong.extend(py.detach(|| refused(copies, threads, make)));
        Ok(wrong)
    }

    /// The blocks of a fetch on their way from `object` to `slot`; `None` where one lacks bytes.
    fn copies<'a>(
        &self,
        number: usize,
        slot: &'a mut OwnedBytes,
        object: &'a [u8],
    ) -> Option<Vec<Copy<'a>>> {
        let (block, checksums) = self.blocks(number)?;
        let from = self.bytes_of(number, object)?;
        let to = slot.as_mut_slice()?;
        let blocks = from.chunks(block).zip(to.chunks_mut(block)).zip(checksums);
        let copy = |((from, to), checksum): ((&'a [u8], &'a mut [u8]), &u64)| Copy {
            fetch: number,
            from,
            to,
            checksum: *checksum,
        };
        Some(blocks.map(copy).collect())
    }

    /// What a fetch wants of its object; `None` where that is too short.
    fn bytes_of<'a>(&self, number: usize, object: &'a [u8]) -> Option<&'a [u8]> {
        let bytes = &self.landing.fetches.get(number)?.bytes;
        object.get(bytes.start as usize..bytes.end as usize)
    }

    /// Whether every parcel that may be used where it is, is.
    pub(super) fn all_kept(&self) -> bool {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_kept = |parcel: &Parcel| !parcel.is_usable || parcel.objects.is_some();
        kept.parcels.iter().all(is_kept)
    }

    /// What is kept of each parcel.
    pub(super) fn take_kept(&self) -> Vec<Option<KeptObjects>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let objects = |parcel: &mut Parcel| parcel.objects.take();
        kept.parcels.iter_mut().map(objects).collect()
    }

    /// From here on all is copied, what was kept too.
    fn refuse_in_place(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.is_refused = true;
        let objects: Vec<_> = (kept.parcels.iter_mut())
            .filter_map(|parcel| parcel.objects.take())
            .collect();
        drop(kept);
        drop(objects);
        self.start_again();
    }
}
