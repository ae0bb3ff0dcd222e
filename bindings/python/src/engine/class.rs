//! `_core.Engine`.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use tq_client::{Embedded, EmbeddedConfig};
use tq_proto::{ErrorKind, FieldName};

use super::fill::fill;
use super::listing::Listed;
use super::result::{Columns, ReadColumn};
use super::source::{self, Column};
use super::tags::{TagReader, TagWriter};
use crate::errors::{OrRaise, raise};

/// The embedded engine.
#[pyclass(frozen, module = "transfer_queue._core")]
pub(crate) struct Engine {
    engine: Embedded,
    threads: usize,
    listed: Listed,
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (*, max_samples=None, capacity_bytes=None, segment_bytes=None, retain_bytes=None, threads=None))]
    fn new(
        py: Python<'_>,
        max_samples: Option<u64>,
        capacity_bytes: Option<u64>,
        segment_bytes: Option<u64>,
        retain_bytes: Option<u64>,
        threads: Option<usize>,
    ) -> PyResult<Self> {
        let default = EmbeddedConfig::default();
        let config = EmbeddedConfig {
            max_samples,
            capacity_bytes: capacity_bytes.unwrap_or(default.capacity_bytes),
            segment_bytes: segment_bytes.unwrap_or(default.segment_bytes),
            retain_bytes: retain_bytes.unwrap_or(default.retain_bytes),
            threads: threads.unwrap_or(default.threads).max(1),
        };
        Ok(Self {
            engine: Embedded::new(config).or_raise(py)?,
            threads: config.threads,
            listed: Listed::default(),
        })
    }

    /// Raises where this process may not use the engine.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        self.engine.check().or_raise(py)
    }

    /// Plans a put: reads the columns' descriptions, copies nothing.
    fn plan_put(
        &self,
        py: Python<'_>,
        partition: String,
        keys: &Bound<'_, PyList>,
        columns: &Bound<'_, PyList>,
        tags: Option<&Bound<'_, PyList>>,
        allow_pickle: bool,
    ) -> PyResult<PlannedPut> {
        self.check(py)?;
        let keys = texts("keys", keys)?;
        let columns: Vec<Column> = columns
            .iter()
            .map(|column| source::read(&column, keys.len(), allow_pickle))
            .collect::<PyResult<_>>()?;
        let tags = tags
            .map(|tags| TagReader::new(allow_pickle).read_all(tags))
            .transpose()?;
        let bytes = columns.iter().map(|column| column.source.bytes()).sum();
        Ok(PlannedPut {
            engine: self.engine.clone(),
            threads: self.threads,
            bytes,
            allow_pickle,
            work: std::sync::Mutex::new(Some(Work {
                partition,
                keys,
                columns,
                tags,
            })),
        })
    }

    /// Plans a get: resolves keys and leases rows, copies nothing.
    fn plan_get(
        &self,
        py: Python<'_>,
        partition: String,
        keys: &Bound<'_, PyList>,
        select: Option<&Bound<'_, PyList>>,
        allow_pickle: bool,
    ) -> PyResult<PlannedGet> {
        let keys = texts("keys", keys)?;
        let select: Option<Vec<FieldName>> = match select {
            Some(names) => {
                let names = texts("select_fields", names)?;
                Some(names.iter().map(|name| FieldName::from(&**name)).collect())
            }
            None => None,
        };
        let engine = &self.engine;
        let batch = py
            .detach(|| engine.read(&partition, &keys, select.as_deref()))
            .or_raise(py)?;
        let missing = batch
            .missing
            .iter()
            .map(|position| keys[*position].to_string())
            .collect();
        Ok(PlannedGet {
            engine: self.engine.clone(),
            bytes: batch
                .columns
                .iter()
                .map(tq_storage::ColumnRead::bytes)
                .sum(),
            rows: batch.positions.len(),
            missing,
            ready: batch.ready.iter().map(ToString::to_string).collect(),
            allow_pickle,
            columns: std::sync::Mutex::new(Some(batch.columns)),
        })
    }

    /// `{partition: {key: tags}}` in order of creation.
    fn list_samples<'py>(
        &self,
        py: Python<'py>,
        partition: Option<String>,
        allow_pickle: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let engine = &self.engine;
        let listings = py
            .detach(|| engine.list(partition.as_deref()))
            .or_raise(py)?;
        self.listed
            .write(py, listings, partition.is_none(), allow_pickle)
    }

    /// Clears samples by key; returns how many there were.
    fn clear(
        &self,
        py: Python<'_>,
        partition: String,
        keys: &Bound<'_, PyList>,
    ) -> PyResult<usize> {
        let keys = texts("keys", keys)?;
        let engine = &self.engine;
        py.detach(|| engine.clear(&partition, &keys)).or_raise(py)
    }

    /// Clears a whole partition; None where there is none.
    fn clear_partition(&self, py: Python<'_>, partition: String) -> PyResult<Option<usize>> {
        let engine = &self.engine;
        py.detach(|| engine.clear_partition(&partition))
            .or_raise(py)
    }

    /// Names of all partitions, oldest first.
    fn partitions(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let engine = &self.engine;
        let names = py.detach(|| engine.partitions()).or_raise(py)?;
        Ok(names.iter().map(ToString::to_string).collect())
    }

    /// How full the engine is: samples, and bytes by state.
    fn usage<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let engine = &self.engine;
        let usage = py.detach(|| engine.usage()).or_raise(py)?;
        let result = PyDict::new(py);
        let arena = &usage.storage.arena;
        for (name, value) in [
            ("samples", usage.storage.samples),
            ("capacity_bytes", arena.capacity),
            ("loaned_bytes", arena.loaned),
            ("committed_bytes", arena.committed),
            ("leased_bytes", arena.retired),
            ("free_resident_bytes", arena.free_resident),
            ("segments", arena.segments),
            ("live_views", arena.live_views),
            ("pooled_bytes", usage.pooled_bytes),
        ] {
            result.set_item(name, value)?;
        }
        Ok(result)
    }

    /// Refuses every later call.
    fn close(&self) {
        self.engine.close();
    }
}

struct Work {
    partition: String,
    keys: Vec<PyBackedStr>,
    columns: Vec<Column>,
    tags: Option<Vec<tq_controller::Tags>>,
}

/// A put that is described but not carried out.
#[pyclass(frozen, module = "transfer_queue._core")]
pub(crate) struct PlannedPut {
    engine: Embedded,
    threads: usize,
    bytes: u64,
    allow_pickle: bool,
    work: std::sync::Mutex<Option<Work>>,
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
            partition,
            keys,
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
                let mut put = engine.begin_put(&partition, &keys, plans)?;
                fill(&sources, put.columns_mut(), threads)?;
                put.publish(tags)
            })
            .or_raise(py)?;
        let mut writer = TagWriter::new(py, self.allow_pickle);
        let tags = PyList::empty(py);
        for merged in &published.tags {
            tags.append(writer.write(merged)?)?;
        }
        Ok((
            tags,
            published.fields.iter().map(ToString::to_string).collect(),
        ))
    }
}

/// A get whose rows are leased but not delivered.
#[pyclass(frozen, module = "transfer_queue._core")]
pub(crate) struct PlannedGet {
    engine: Embedded,
    bytes: u64,
    rows: usize,
    missing: Vec<String>,
    ready: Vec<String>,
    allow_pickle: bool,
    columns: std::sync::Mutex<Option<Vec<tq_storage::ColumnRead>>>,
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
        let mut columns = Columns::new(py, self.allow_pickle);
        delivered
            .iter()
            .map(|column| columns.make(column))
            .collect()
    }
}

/// A list of strings, without copying them.
fn texts(argument: &str, list: &Bound<'_, PyList>) -> PyResult<Vec<PyBackedStr>> {
    let mut texts = Vec::with_capacity(list.len());
    for (position, item) in list.iter().enumerate() {
        let Ok(text) = item.extract() else {
            return Err(not_a_text(argument, position, &item));
        };
        texts.push(text);
    }
    Ok(texts)
}

fn not_a_text(argument: &str, position: usize, item: &Bound<'_, PyAny>) -> PyErr {
    if item.is_instance_of::<PyString>() {
        let message = format!("{argument}[{position}] holds lone surrogates; use valid Unicode");
        return raise(item.py(), ErrorKind::InvalidArgument, message);
    }
    let class = item.get_type();
    let type_name = class
        .name()
        .map_or_else(|_| "?".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!(
        "{argument}[{position}] is a {type_name}; it must be a string"
    ))
}

fn take<T>(cell: &std::sync::Mutex<Option<T>>, py: Python<'_>) -> PyResult<T> {
    let mut held = cell
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    held.take().ok_or_else(|| {
        raise(
            py,
            ErrorKind::Internal,
            "a planned call was carried out twice",
        )
    })
}
