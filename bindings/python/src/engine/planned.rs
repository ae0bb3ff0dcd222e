//! Calls in two steps: planned while attached to the interpreter, carried out wherever it suits.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyList, PyTuple};
use tq_client::Engine;
use tq_client::engine::Put;
use tq_controller::Tags;
use tq_proto::{ErrorKind, GlobalIndex, Result};
use tq_storage::{ColumnPlan, ColumnRead};

use super::fill::fill;
use super::result::{Columns, ReadColumn};
use super::source::Column;
use super::tags::TagWriter;
use crate::errors::{OrRaise, raise};

/// The samples that a put is for.
pub(super) enum Target {
    Keys {
        partition: String,
        keys: Vec<PyBackedStr>,
    },
    /// One partition per index.
    Indexes {
        partitions: Vec<PyBackedStr>,
        indexes: Vec<GlobalIndex>,
    },
}

impl Target {
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Keys { keys, .. } => keys.len(),
            Self::Indexes { indexes, .. } => indexes.len(),
        }
    }

    fn begin(&self, engine: &Engine, columns: Vec<ColumnPlan>) -> Result<Put> {
        match self {
            Self::Keys { partition, keys } => engine.begin_put(partition, keys, columns),
            Self::Indexes {
                partitions,
                indexes,
            } => engine.begin_put_indexes(partitions, indexes, columns),
        }
    }
}

struct Work {
    target: Target,
    columns: Vec<Column>,
    tags: Option<Vec<Tags>>,
}

/// A put that is described but not carried out.
#[pyclass(frozen, module = "transfer_queue._core")]
pub(crate) struct PlannedPut {
    engine: Engine,
    threads: usize,
    bytes: u64,
    allow_pickle: bool,
    work: Mutex<Option<Work>>,
}

impl PlannedPut {
    pub(super) fn new(
        engine: &Engine,
        threads: usize,
        target: Target,
        columns: Vec<Column>,
        tags: Option<Vec<Tags>>,
        allow_pickle: bool,
    ) -> Self {
        Self {
            engine: engine.clone(),
            threads,
            bytes: columns.iter().map(|column| column.source.bytes()).sum(),
            allow_pickle,
            work: Mutex::new(Some(Work {
                target,
                columns,
                tags,
            })),
        }
    }
}

#[pymethods]
impl PlannedPut {
    /// Bytes that will be copied.
    #[getter]
    fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Carries the put out; once. Returns the merged tags per key and the fields that all samples
    /// now have.
    fn run<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyList>, Vec<String>)> {
        let work = take(&self.work, py)?;
        let Work {
            target,
            columns,
            tags,
        } = work;
        let (plans, sources): (Vec<_>, Vec<_>) = columns
            .into_iter()
            .map(|column| (column.plan, column.source))
            .unzip();
        let engine = &self.engine;
        let threads = self.threads;
        let published = py
            .detach(|| {
                let mut put = target.begin(engine, plans)?;
                fill(&sources, put.columns_mut(), threads)?;
                put.publish(tags)
            })
            .or_raise(py)?;
        Ok((
            TagWriter::new(py, self.allow_pickle).write_all(&published.tags)?,
            published.fields.iter().map(ToString::to_string).collect(),
        ))
    }
}

/// A get whose rows are leased but not delivered.
#[pyclass(frozen, module = "transfer_queue._core")]
pub(crate) struct PlannedGet {
    engine: Engine,
    threads: usize,
    bytes: u64,
    rows: usize,
    missing: Vec<String>,
    ready: Vec<String>,
    allow_pickle: bool,
    columns: Mutex<Option<Vec<ColumnRead>>>,
}

impl PlannedGet {
    pub(super) fn new(
        engine: &Engine,
        threads: usize,
        columns: Vec<ColumnRead>,
        rows: usize,
        allow_pickle: bool,
    ) -> Self {
        Self {
            engine: engine.clone(),
            threads,
            bytes: columns.iter().map(ColumnRead::bytes).sum(),
            rows,
            missing: Vec::new(),
            ready: Vec::new(),
            allow_pickle,
            columns: Mutex::new(Some(columns)),
        }
    }

    pub(super) fn with_found(mut self, missing: Vec<String>, ready: Vec<String>) -> Self {
        self.missing = missing;
        self.ready = ready;
        self
    }
}

#[pymethods]
impl PlannedGet {
    /// Bytes that will be viewed or copied.
    #[getter]
    fn bytes(&self) -> u64 {
        self.bytes
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
        self.ready.clone()
    }

    /// Delivers the columns; once. For their form see `_columns.assemble`.
    fn run<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let columns = take(&self.columns, py)?;
        let engine = &self.engine;
        let delivered = py
            .detach(|| {
                columns
                    .into_iter()
                    .map(|column| ReadColumn::deliver(engine, column))
                    .collect::<tq_proto::Result<Vec<_>>>()
            })
            .or_raise(py)?;
        let mut columns = Columns::new(py, self.allow_pickle, self.threads);
        delivered
            .iter()
            .map(|column| columns.make(column))
            .collect()
    }
}

fn take<T>(cell: &Mutex<Option<T>>, py: Python<'_>) -> PyResult<T> {
    let mut held = cell.lock().unwrap_or_else(PoisonError::into_inner);
    held.take().ok_or_else(|| {
        raise(
            py,
            ErrorKind::Internal,
            "a planned call was carried out twice",
        )
    })
}
