//! `_core.StoredGet`: samples whose payload lies in a storage backend, object by object on its way
//! in; then delivered as any other get.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyList, PyMemoryView, PyTuple};
use tq_arena::{Lease, SegmentRange};
use tq_codec::checksum::block as checksum_of;
use tq_codec::parallel;
use tq_engine::{Fetch, Landing, StoredBatch, StoredRead};
use tq_proto::{Error, ErrorKind, Parcel};
use tq_storage::{ColumnDescription, ColumnRead};

use super::arguments::{field_names, global_indexes, texts};
use super::arriving::Arriving;
use super::class::Engine;
use super::region::{Region, RegionLoan, view};
use super::result::{Columns, ReadColumn};
use super::taking::{Kept, KeptObjects, MappedFiles};
use crate::errors::{OrRaise, raise};
use crate::fence::OwnedBytes;

/// A get whose rows are found but not fetched.
#[pyclass(frozen, module = "transfer_queue._core")]
pub(crate) struct StoredGet {
    pub(super) batch: StoredBatch,
    pub(super) landing: Landing,
    places: Places,
    rows: usize,
    missing: Vec<String>,
    allow_pickle: bool,
    /// What was made early; of backends that bring objects piece by piece only.
    arriving: OnceLock<Arriving>,
    means: OnceLock<Means>,
    landed: Mutex<Option<Landed>>,
    pub(super) kept: Mutex<Kept>,
}

/// What a get is carried out with.
pub(super) struct Means {
    region: Py<Region>,
    pub(super) mapped: Option<Py<MappedFiles>>,
}

struct Landed {
    loan: RegionLoan,
    bytes: OwnedBytes,
}

/// Where the memory of each parcel lies in the loan: last that of parcels which may be used in place,
/// so that it need not be lent.
struct Places {
    /// The parcels, in the order of their memory.
    order: Vec<usize>,
    /// Where the memory of each parcel begins.
    starts: Vec<u64>,
    /// Where that of parcels ends which may not be used in place, and where all ends.
    ends: (u64, u64),
}

impl Places {
    /// `usable`: which parcels may be used in place.
    fn new(usable: &[bool], landing: &Landing) -> Self {
        let mut order: Vec<usize> = (0..usable.len()).collect();
        order.sort_by_key(|parcel| usable[*parcel]);
        let mut starts = vec![0; order.len()];
        let (mut copied, mut end) = (0, 0);
        for parcel in &order {
            starts[*parcel] = end;
            // Parcels do not touch, so that each can be held without the others.
            end = (end + landing.bytes[*parcel] + ALIGN).next_multiple_of(PAGE);
            if !usable[*parcel] {
                copied = end;
            }
        }
        Self {
            order,
            starts,
            ends: (copied, end),
        }
    }
}

/// Parcels that no row needs any more.
#[pyclass(frozen, module = "transfer_queue._core")]
pub(crate) struct DroppedParcels(Vec<Arc<Parcel>>);

const PAGE: u64 = 4096;
const ALIGN: u64 = 64;

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
        let usable = batch.usable_in_place();
        Self {
            places: Places::new(&usable, &landing),
            kept: Mutex::new(Kept::new(usable)),
            batch,
            landing,
            rows,
            missing,
            allow_pickle,
            arriving: OnceLock::new(),
            means: OnceLock::new(),
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

    /// With what the get is carried out; once. What is copied goes to memory of `region`; what lies in
    /// `mapped` files need not be.
    fn use_means(&self, region: Py<Region>, mapped: Option<Py<MappedFiles>>) {
        let _ = self.means.set(Means { region, mapped });
    }

    /// The loan of memory for the bytes, whose buffer `fetches` name parts of; the same each time.
    pub(super) fn lend(&self, py: Python<'_>) -> PyResult<RegionLoan> {
        let lock = || self.landed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(landed) = &*lock() {
            return Ok(landed.loan.clone_handle());
        }
        let region = self.means(py)?.region.get();
        let (copied, all) = self.places.ends;
        let end = if self.all_kept() { copied } else { all };
        // Without the lock: who waits for it may hold the interpreter.
        let loan = py.detach(|| region.lend(end)).or_raise(py)?;
        let bytes = loan.memory().bytes();
        let mut landed = lock();
        let landed = landed.get_or_insert(Landed { loan, bytes });
        Ok(landed.loan.clone_handle())
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

    /// Delivers the columns; once, and after all was fetched and found right. For their form see
    /// `_columns.assemble`.
    fn run<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let landed = self
            .landed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let region = self.means(py)?.region.get();
        let delivered = py
            .detach(|| {
                let loan = landed.as_ref().map(|landed| &landed.loan);
                let leases = self.commit(loan)?;
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
    pub(super) fn means(&self, py: Python<'_>) -> PyResult<&Means> {
        let early = "a get was carried out before it was said with what";
        (self.means.get()).ok_or_else(|| raise(py, ErrorKind::Internal, early))
    }

    /// Forgets the loan, whose content is not to be used.
    pub(super) fn start_again(&self) {
        let mut landed = self.landed.lock().unwrap_or_else(PoisonError::into_inner);
        drop(landed.take());
    }

    /// Where a fetch goes in the loan.
    fn place(&self, fetch: &Fetch) -> Range<u64> {
        let start = self.places.starts[fetch.parcel] + fetch.at;
        start..start + (fetch.bytes.end - fetch.bytes.start)
    }

    pub(super) fn slot(&self, py: Python<'_>, number: usize) -> PyResult<OwnedBytes> {
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
            .get_or_init(|| Arriving::new(&self.batch.columns, &self.landing, &self.places.starts))
            .make(py, places, &bytes, threads)
    }

    /// Whether these are the bytes of a fetch that were put.
    pub(super) fn is_whole(&self, number: usize, bytes: &[u8]) -> bool {
        self.blocks(number).is_some_and(|(block, checksums)| {
            let blocks = bytes.chunks(block);
            blocks.len() == checksums.len()
                && blocks
                    .zip(checksums)
                    .all(|(block, checksum)| checksum_of(block) == *checksum)
        })
    }

    /// Bytes of a block of a fetch, and the checksum of each; `None` where there are fewer.
    pub(super) fn blocks(&self, number: usize) -> Option<(usize, &[u64])> {
        let fetch = self.landing.fetches.get(number)?;
        let parcel = &self.batch.parcels[fetch.parcel];
        let count = (fetch.bytes.end - fetch.bytes.start).div_ceil(parcel.block) as usize;
        let checksums = parcel.checksums.get(fetch.first_block..)?.get(..count)?;
        Some((parcel.block as usize, checksums))
    }

    /// What each parcel is held by.
    fn commit(&self, loan: Option<&RegionLoan>) -> tq_proto::Result<Vec<Held>> {
        let mut cuts = Vec::new();
        let mut copied = vec![None; self.places.order.len()];
        let end = loan.map_or(0, |loan| loan.memory().bytes().len() as u64);
        for parcel in &self.places.order {
            let (start, bytes) = (self.places.starts[*parcel], self.landing.bytes[*parcel]);
            if bytes == 0 || start + bytes > end {
                continue;
            }
            if start > 0 {
                cuts.push(start);
            }
            copied[*parcel] = Some(cuts.len());
            cuts.push(start + bytes.next_multiple_of(ALIGN));
        }
        let leases = loan.map(|loan| loan.memory().commit(&cuts)).transpose();
        let leases = leases.map_err(|error| {
            Error::new(ErrorKind::Internal, "what was fetched cannot be kept").caused_by(error)
        })?;
        let mut leases: Vec<_> = leases.into_iter().flatten().map(Some).collect();
        let kept = self.take_kept().into_iter();
        let held = |(kept, copied): (Option<KeptObjects>, Option<usize>)| match kept {
            Some(objects) => Held::InPlace(objects),
            None => Held::Copied(copied.and_then(|at| leases.get_mut(at)?.take())),
        };
        Ok(kept.zip(copied).map(held).collect())
    }

    fn column(&self, column: &StoredRead, parcels: &[Held]) -> tq_proto::Result<ColumnRead> {
        let mut description = ColumnDescription {
            field: column.field.clone(),
            parts: column.parts.clone(),
            spans: Vec::new(),
            runs: Vec::new(),
        };
        let mut held: BTreeMap<SegmentRange, &Lease> = BTreeMap::new();
        let lost = || Error::new(ErrorKind::Internal, "rows were fetched to nowhere");
        for run in &column.runs {
            let number = run.parcel as usize;
            let place = self.landing.place(run).ok_or_else(lost)?;
            match parcels.get(number).ok_or_else(lost)? {
                Held::Copied(lease) => {
                    let lease = lease.as_ref().ok_or_else(lost)?;
                    held.insert(lease.range(), lease);
                    description.runs.push(part_of(lease, place, run.bytes));
                }
                Held::InPlace(objects) => {
                    for part in run.by_object(&self.batch.parcels[number]) {
                        let lease = objects.get(&part.object).ok_or_else(lost)?;
                        held.insert(lease.range(), lease);
                        description
                            .runs
                            .push(part_of(lease, part.offset, part.bytes));
                    }
                }
            }
        }
        description.spans = held.keys().copied().collect();
        let held = held.into_values().cloned().collect();
        ColumnRead::from_description(description, held, self.rows)
    }
}

/// What a parcel is held by.
enum Held {
    /// The memory that it landed in; none where it has no bytes.
    Copied(Option<Lease>),
    /// Its objects, where they are.
    InPlace(KeptObjects),
}

fn part_of(lease: &Lease, offset: u64, bytes: u64) -> SegmentRange {
    let range = lease.range();
    SegmentRange {
        offset: range.offset + offset,
        len: bytes,
        ..range
    }
}

/// Fetches of which a job says no, ascending and each once, found by up to `threads` threads.
pub(super) fn refused<J: Send>(
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
