//! `_core.Region`: memory that a storage backend's client reads from and writes to.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyMemoryView;
use tq_arena::{Arena, ArenaConfig, WarmPool};
use tq_engine::Delivery;
use tq_proto::{Error, ErrorKind};

use crate::errors::OrRaise;
use crate::fence::{ExportedBytes, LoanedMemory, OwnedBytes};

/// Pooled memory of this process in few large segments, each of which a client registers once. A
/// range of it is free again when the last buffer, tensor or array over it is gone.
#[pyclass(frozen, module = "transfer_queue._core")]
pub(crate) struct Region {
    pub(super) arena: Arena,
    pool: WarmPool,
    pub(super) threads: usize,
}

/// A range of a region, to be filled.
#[pyclass(frozen, module = "transfer_queue._core")]
pub(crate) struct RegionLoan {
    memory: Arc<LoanedMemory>,
    place: Place,
}

/// Where a range lies.
#[derive(Clone, Copy)]
struct Place {
    segment: u32,
    offset: u64,
    segment_bytes: u64,
}

#[pymethods]
impl Region {
    /// `segment_bytes`: by how much it grows; `threads`: the most that one call copies with.
    #[new]
    #[pyo3(signature = (*, segment_bytes, threads=None))]
    fn new(py: Python<'_>, segment_bytes: u64, threads: Option<usize>) -> PyResult<Self> {
        let config = ArenaConfig {
            segment_bytes,
            // Memory that is registered with a network card must not be given back behind its back.
            retain_bytes: u64::MAX,
            ..ArenaConfig::default()
        };
        let arena = Arena::new(config).map_err(|error| refused(segment_bytes, error));
        let default = tq_engine::EmbeddedConfig::default();
        Ok(Self {
            arena: arena.or_raise(py)?,
            pool: WarmPool::new(default.retain_bytes / 2),
            threads: threads.unwrap_or(default.threads).max(1),
        })
    }

    /// Lends a range of `size` bytes; its content is unspecified.
    fn loan(&self, py: Python<'_>, size: u64) -> PyResult<RegionLoan> {
        self.lend(size).or_raise(py)
    }

    /// Bytes of the ranges in use, and of all segments.
    fn usage(&self) -> (u64, u64) {
        let usage = self.arena.usage();
        (usage.in_use(), usage.in_use() + usage.free_resident)
    }
}

#[pymethods]
impl RegionLoan {
    /// The memory, as a writable buffer that keeps it.
    #[getter]
    fn buffer<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        view(py, self.memory.bytes())
    }

    /// Number of the segment it lies in.
    #[getter]
    fn segment(&self) -> u32 {
        self.place.segment
    }

    /// Where it begins in the segment.
    #[getter]
    fn offset(&self) -> u64 {
        self.place.offset
    }

    /// Bytes of the segment.
    #[getter]
    fn segment_bytes(&self) -> u64 {
        self.place.segment_bytes
    }
}

impl Region {
    pub(super) fn lend(&self, bytes: u64) -> tq_proto::Result<RegionLoan> {
        let loan = self.arena.loan(bytes.max(1));
        let loan = loan.map_err(|error| refused(bytes, error))?;
        let range = loan.range();
        let segment = self.arena.segment_file(range.segment);
        let segment = segment.map_err(|error| refused(bytes, error))?;
        Ok(RegionLoan {
            memory: LoanedMemory::new(loan),
            place: Place {
                segment: range.segment,
                offset: range.offset,
                segment_bytes: segment.len,
            },
        })
    }

    pub(super) fn delivery(&self) -> Delivery<'_> {
        Delivery {
            pool: &self.pool,
            threads: self.threads,
        }
    }
}

impl RegionLoan {
    /// Another handle on the same loan.
    pub(super) fn clone_handle(&self) -> Self {
        Self {
            memory: Arc::clone(&self.memory),
            place: self.place,
        }
    }

    pub(super) fn memory(&self) -> &Arc<LoanedMemory> {
        &self.memory
    }
}

/// Bytes as a memoryview.
pub(super) fn view(py: Python<'_>, bytes: OwnedBytes) -> PyResult<Bound<'_, PyMemoryView>> {
    PyMemoryView::from(Bound::new(py, ExportedBytes(bytes))?.as_any())
}

fn refused(bytes: u64, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(
        ErrorKind::System,
        "no memory for data on its way from or to a storage backend",
    )
    .with("bytes", bytes)
    .caused_by(error)
}
