//! `_core.StoredGet`: samples whose payload lies in a storage backend, object by object on its way
//! in; then delivered as any other get.

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyList, PyMemoryView, PyTuple};
use tq_arena::Lease;
use tq_codec::checksum::block as checksum_of;
use tq_codec::{Stores, parallel};
use tq_engine::{Fetch, Landing, StoredBatch, StoredRead};
use tq_proto::{Error, ErrorKind, Parcel};
use tq_storage::{ColumnDescription, ColumnRead, copy_bytes};

use super::arguments::{field_names, global_indexes, texts};
use super::arriving::Arriving;
use super::class::Engine;
use super::region::{Region, RegionLoan, view};
use super::result::{Columns, ReadColumn};
use crate::errors::{OrRaise, raise};
use crate::fence::OwnedBytes;

/// A get whose rows are found but not fetched.
#[pyclass(frozen, module = "transfer_queue._core")]
pub(crate) struct StoredGet {
    batch: StoredBatch,
    landing: Landing,
    /// Where the memory of each parcel begins in the loan, and where the loan ends.
    starts: Vec<u64>,
    rows: usize,
    missing: Vec<String>,
    allow_pickle: bool,
    /// What was made early; of backends that bring objects piece by piece only.
    arriving: OnceLock<Arriving>,
    landed: Mutex<Option<Landed>>,
}

struct Landed {
    region: Py<Region>,
    loan: RegionLoan,
    bytes: OwnedBytes,
}

/// A block of an object that lies in this host's memory, and where it goes.
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

/// Parcels that no row needs any more.
#[pyclass(frozen, module = "transfer_queue._core")]
pub(crate) struct DroppedParcels(Vec<Arc<Parcel>>);

const PAGE: u64 = 4096;
const ALIGN: u64 = 64;
/// Copies of fewer bytes than this are not worth another thread.
const SHARED_FROM: u64 = 1 << 20;

#[pymethods]
impl Engine {
    /// Plans a get by key of what lies in a storage backend.
    fn plan_stored(
        &self,
        py: Python<'_>,
        partition: String,
        keys: &Bound<'_, PyList>,
        select: Option<&Bound<'_, PyList>>,
        allow_pickle: bool,
    ) -> PyResult<StoredGet> {
        let keys = texts("keys", keys)?;
        let select = select.map(field_names).transpose()?;
        let engine = &self.engine;
        let batch = py
            .detach(|| engine.read_stored(&partition, &keys, select.as_deref()))
            .or_raise(py)?;
        let missing = batch.missing.iter();
        let missing = missing.map(|at| keys[*at].to_string()).collect();
        let rows = keys.len() - batch.missing.len();
        Ok(StoredGet::new(batch, rows, missing, allow_pickle))
    }

    /// Plans a get by global index: row `i` is sample `indexes[i]` of `partitions[i]`.
    fn plan_stored_indexes(
        &self,
        py: Python<'_>,
        partitions: &Bound<'_, PyList>,
        indexes: &Bound<'_, PyList>,
        fields: &Bound<'_, PyList>,
        allow_pickle: bool,
    ) -> PyResult<StoredGet> {
        let mut partitions = texts("partitions", partitions)?;
        let indexes = global_indexes(indexes)?;
        let fields = field_names(fields)?;
        if partitions.windows(2).all(|pair| *pair[0] == *pair[1]) {
            partitions.truncate(1);
        }
        let engine = &self.engine;
        let batch = py
            .detach(|| engine.read_stored_indexes(&partitions, &indexes, &fields))
            .or_raise(py)?;
        Ok(StoredGet::new(
            batch,
            indexes.len(),
            Vec::new(),
            allow_pickle,
        ))
    }

    /// Takes up to `most` parcels that no row needs any more, to delete their objects.
    fn take_dropped(&self, py: Python<'_>, most: usize) -> PyResult<DroppedParcels> {
        let engine = &self.engine;
        let taken = py.detach(|| engine.take_dropped(most)).or_raise(py)?;
        Ok(DroppedParcels(taken))
    }

    /// Gives back parcels whose objects could not be deleted.
    fn return_dropped(&self, py: Python<'_>, parcels: &DroppedParcels) -> PyResult<()> {
        let (engine, parcels) = (&self.engine, parcels.0.clone());
        py.detach(|| engine.return_dropped(parcels)).or_raise(py)
    }
}

#[pymethods]
impl DroppedParcels {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// Keys of all their objects.
    fn keys(&self) -> Vec<String> {
        let keys = |parcel: &Arc<Parcel>| {
            let key = |object| parcel.object_key(object);
            (0..parcel.objects.len()).map(key).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(keys).collect()
    }
}

impl StoredGet {
    fn new(batch: StoredBatch, rows: usize, missing: Vec<String>, allow_pickle: bool) -> Self {
        let landing = Landing::of(&batch);
        let mut starts = vec![0];
        let mut end: u64 = 0;
        for bytes in &landing.bytes {
            // Parcels do not touch, so that each can be held without the others.
            end = (end + bytes + ALIGN).next_multiple_of(PAGE);
            starts.push(end);
        }
        Self {
            batch,
            landing,
            starts,
            rows,
            missing,
            allow_pickle,
            arriving: OnceLock::new(),
            landed: Mutex::new(None),
        }
    }
}

#[pymethods]
impl StoredGet {
    /// Bytes that are fetched.
    #[getter]
    fn bytes(&self) -> u64 {
        self.landing.bytes.iter().sum()
    }

    /// Rows: as many as keys were found.
    #[getter]
    fn rows(&self) -> usize {
        self.rows
    }

    /// Keys that were not found.
    #[getter]
    fn missing(&self) -> Vec<String> {
        self.missing.clone()
    }

    /// Fields that all samples found have.
    #[getter]
    fn ready(&self) -> Vec<String> {
        self.batch.ready.iter().map(ToString::to_string).collect()
    }

    /// Lends memory of `region` for the bytes; the loan, whose buffer `fetches` name parts of.
    fn land(slf: &Bound<'_, Self>, region: Py<Region>) -> PyResult<Py<RegionLoan>> {
        let (py, this) = (slf.py(), slf.get());
        let end = this.starts.last().copied().unwrap_or(0);
        let held = region.get();
        let loan = py.detach(|| held.lend(end)).or_raise(py)?;
        let given = Py::new(py, loan.clone_handle())?;
        let bytes = loan.memory().bytes();
        let mut landed = this.landed.lock().unwrap_or_else(PoisonError::into_inner);
        *landed = Some(Landed {
            region,
            loan,
            bytes,
        });
        Ok(given)
    }

    /// What to fetch: `(object key, bytes of the object, where in it, how many, where in the loan)`.
    #[getter]
    fn fetches(&self) -> Vec<(String, u64, u64, u64, u64)> {
        let fetch = |fetch: &Fetch| {
            let parcel = &self.batch.parcels[fetch.parcel];
            let place = self.place(fetch);
            (
                parcel.object_key(fetch.object),
                parcel.objects[fetch.object],
                fetch.bytes.start,
                place.end - place.start,
                place.start,
            )
        };
        self.landing.fetches.iter().map(fetch).collect()
    }

    /// The memory of a fetch, to be filled.
    fn target<'py>(&self, py: Python<'py>, number: usize) -> PyResult<Bound<'py, PyMemoryView>> {
        view(py, self.slot(py, number)?)
    }

    /// Which of the fetches `numbers`, which have arrived, did not bring the bytes that were put, with
    /// up to `threads` threads beside the interpreter. Of those that did values are made already.
    fn arrived(&self, py: Python<'_>, numbers: Vec<usize>, threads: usize) -> PyResult<Vec<usize>> {
        let mut jobs = Vec::new();
        for number in &numbers {
            let slot = self.slot(py, *number)?;
            jobs.push((*number, slot));
        }
        let slices: Vec<_> = jobs
            .iter_mut()
            .map(|(number, slot)| (*number, slot.as_mut_slice().unwrap_or_default()))
            .collect();
        let check = |(number, bytes): (usize, &mut [u8])| (number, self.is_whole(number, bytes));
        let wrong = py.detach(|| refused(slices, threads, check));
        self.make_early(py, &numbers, &wrong, threads)?;
        Ok(wrong)
    }

    /// Copies fetches out of buffers over their whole objects, `(number, buffer)`, with up to `threads`
    /// threads beside the interpreter. Which of them did not bring the bytes that were put.
    fn take(
        &self,
        py: Python<'_>,
        fetches: Vec<(usize, Bound<'_, PyAny>)>,
        threads: usize,
    ) -> PyResult<Vec<usize>> {
        let mut ends = Vec::with_capacity(fetches.len());
        for (number, object) in &fetches {
            let object = OwnedBytes::of_object(object)?;
            ends.push((*number, self.slot(py, *number)?, object));
        }
        let mut wrong = Vec::new();
        let mut copies = Vec::new();
        for (number, slot, object) in &mut ends {
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

    /// Delivers the columns; once, and after all was fetched and found right. For their form see
    /// `_columns.assemble`.
    fn run<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let landed = self
            .landed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(Landed { region, loan, .. }) = landed else {
            return Err(raise(
                py,
                ErrorKind::Internal,
                "a get was run before it landed",
            ));
        };
        let region = region.get();
        let delivered = py
            .detach(|| {
                let leases = self.commit(&loan)?;
                let columns = self.batch.columns.iter().enumerate();
                columns
                    .map(|(number, column)| {
                        let read = self.column(column, &leases)?;
                        let read = ReadColumn::deliver(&region.delivery(), read)?;
                        let early = self.arriving.get().map(|arriving| arriving.take(number));
                        Ok(read.with_early(early.unwrap_or_default()))
                    })
                    .collect::<tq_proto::Result<Vec<_>>>()
            })
            .or_raise(py)?;
        let mut columns = Columns::new(py, self.allow_pickle, region.threads);
        delivered
            .iter()
            .map(|column| columns.make(column))
            .collect()
    }
}

impl StoredGet {
    /// Where a fetch goes in the loan.
    fn place(&self, fetch: &Fetch) -> Range<u64> {
        let start = self.starts[fetch.parcel] + fetch.at;
        start..start + (fetch.bytes.end - fetch.bytes.start)
    }

    fn slot(&self, py: Python<'_>, number: usize) -> PyResult<OwnedBytes> {
        let landed = self.landed.lock().unwrap_or_else(PoisonError::into_inner);
        let fetch = self.landing.fetches.get(number);
        let slot = landed.as_ref().zip(fetch).and_then(|(landed, fetch)| {
            let place = self.place(fetch);
            landed.bytes.slice(place.start as usize..place.end as usize)
        });
        slot.ok_or_else(|| {
            raise(
                py,
                ErrorKind::Internal,
                format!("fetch {number} has no memory"),
            )
        })
    }

    /// Makes values of what is whole with those of the fetches `numbers` that are not `wrong`.
    fn make_early(
        &self,
        py: Python<'_>,
        numbers: &[usize],
        wrong: &[usize],
        threads: usize,
    ) -> PyResult<()> {
        let landed = self.landed.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bytes) = landed.as_ref().map(|landed| landed.bytes.clone()) else {
            return Ok(());
        };
        drop(landed);
        let right = numbers
            .iter()
            .filter(|number| wrong.binary_search(number).is_err());
        let places = right
            .filter_map(|number| self.landing.fetches.get(*number))
            .map(|fetch| self.place(fetch));
        self.arriving
            .get_or_init(|| Arriving::new(&self.batch.columns, &self.landing, &self.starts))
            .make(py, places, &bytes, threads)
    }

    /// The blocks of a fetch on their way from `object` to `slot`; `None` where one lacks bytes.
    fn copies<'a>(
        &self,
        number: usize,
        slot: &'a mut OwnedBytes,
        object: &'a [u8],
    ) -> Option<Vec<Copy<'a>>> {
        let (block, checksums) = self.blocks(number)?;
        let bytes = &self.landing.fetches.get(number)?.bytes;
        let from = object.get(bytes.start as usize..bytes.end as usize)?;
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

    fn is_whole(&self, number: usize, bytes: &[u8]) -> bool {
        self.blocks(number).is_some_and(|(block, checksums)| {
            let blocks = bytes.chunks(block);
            blocks.len() == checksums.len()
                && blocks
                    .zip(checksums)
                    .all(|(block, checksum)| checksum_of(block) == *checksum)
        })
    }

    /// Bytes of a block of a fetch, and the checksum of each; `None` where there are fewer.
    fn blocks(&self, number: usize) -> Option<(usize, &[u64])> {
        let fetch = self.landing.fetches.get(number)?;
        let parcel = &self.batch.parcels[fetch.parcel];
        let count = (fetch.bytes.end - fetch.bytes.start).div_ceil(parcel.block) as usize;
        let checksums = parcel.checksums.get(fetch.first_block..)?.get(..count)?;
        Some((parcel.block as usize, checksums))
    }

    /// A lease on the memory of each parcel; none for one without bytes.
    fn commit(&self, loan: &RegionLoan) -> tq_proto::Result<Vec<Option<Lease>>> {
        let mut cuts = Vec::new();
        let mut kept = Vec::new();
        for (start, bytes) in self.starts.iter().zip(&self.landing.bytes) {
            if *start > 0 {
                cuts.push(*start);
            }
            kept.push((*bytes > 0).then_some(cuts.len()));
            if *bytes > 0 {
                cuts.push(start + bytes.next_multiple_of(ALIGN));
            }
        }
        // A parcel without bytes ends where the next begins.
        cuts.dedup();
        let leases = loan.memory().commit(&cuts).map_err(|error| {
            Error::new(ErrorKind::Internal, "what was fetched cannot be kept").caused_by(error)
        })?;
        let mut leases: Vec<_> = leases.into_iter().map(Some).collect();
        let lease = |place: Option<usize>| place.and_then(|at| leases.get_mut(at)?.take());
        Ok(kept.into_iter().map(lease).collect())
    }

    fn column(
        &self,
        column: &StoredRead,
        leases: &[Option<Lease>],
    ) -> tq_proto::Result<ColumnRead> {
        let places = self.landing.places(column);
        let lost = || Error::new(ErrorKind::Internal, "rows were fetched to nowhere");
        let mut description = ColumnDescription {
            field: column.field.clone(),
            parts: column.parts.clone(),
            spans: Vec::new(),
            runs: Vec::new(),
        };
        let mut held: Vec<Lease> = Vec::new();
        let mut used = vec![false; leases.len()];
        for (parcel, at, bytes) in places.ok_or_else(lost)? {
            let lease = leases
                .get(parcel)
                .and_then(Option::as_ref)
                .ok_or_else(lost)?;
            let mut range = lease.range();
            used[parcel] = true;
            (range.offset, range.len) = (range.offset + at, bytes);
            description.runs.push(range);
        }
        for (lease, _) in leases.iter().zip(used).filter(|(_, used)| *used) {
            let lease = lease.as_ref().ok_or_else(lost)?;
            description.spans.push(lease.range());
            held.push(lease.clone());
        }
        ColumnRead::from_description(description, held, self.rows)
    }
}

/// Fetches of which a job says no, ascending and each once, found by up to `threads` threads.
fn refused<J: Send>(
    jobs: Vec<J>,
    threads: usize,
    work: impl Fn(J) -> (usize, bool) + Sync,
) -> Vec<usize> {
    let refused = Mutex::new(Vec::new());
    parallel::drain(jobs, threads, |job| {
        let (fetch, is_right) = work(job);
        if !is_right {
            let mut refused = refused.lock().unwrap_or_else(PoisonError::into_inner);
            refused.push(fetch);
        }
    });
    let mut refused = refused.into_inner().unwrap_or_else(PoisonError::into_inner);
    refused.sort_unstable();
    refused.dedup();
    refused
}
