//! `_core.PackedPut`: the columns of a put, written object by object for a storage backend.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyList;
use tq_codec::Stores;
use tq_controller::Tags;
use tq_engine::{ColumnBytes, ColumnPlace, ParcelLayout, StoredPut, lay_out};
use tq_proto::{Error, ErrorKind, Result};
use tq_storage::ColumnPlan;

use super::arguments::{global_indexes, texts};
use super::class::Engine;
use super::receipts;
use super::source::{self, Column, ColumnSource};
use super::tags::{TagReader, TagWriter};
use super::writing::{Source, write_object};
use crate::errors::{OrRaise, raise};
use crate::fence::OwnedBytes;

/// Columns laid out in objects, which are written in any order and by any thread; then published.
#[pyclass(frozen, module = "transfer_queue._core")]
pub(crate) struct PackedPut {
    plans: Vec<ColumnPlan>,
    sources: Vec<Source>,
    parcels: Vec<ParcelLayout>,
    places: Vec<ColumnPlace>,
    /// Parcel and object of each number.
    objects: Vec<(usize, usize)>,
    tags: Option<Vec<Tags>>,
    allow_pickle: bool,
    /// The checksums of each object's blocks, once it is written.
    checksums: Mutex<Vec<Option<Vec<u64>>>>,
}

#[pymethods]
impl PackedPut {
    /// Describes `columns` (as `_columns.describe` gives them) of `rows` samples; copies nothing.
    #[new]
    fn new(
        columns: &Bound<'_, PyList>,
        rows: usize,
        tags: Option<&Bound<'_, PyList>>,
        allow_pickle: bool,
    ) -> PyResult<Self> {
        let columns: Vec<Column> = columns
            .iter()
            .map(|column| source::read(&column, rows, allow_pickle))
            .collect::<PyResult<_>>()?;
        let tags = tags
            .map(|tags| TagReader::new(allow_pickle).read_all(tags))
            .transpose()?;
        let bytes = |column: &Column| column.source.bytes();
        let described: Vec<ColumnBytes<'_>> = columns
            .iter()
            .map(|column| ColumnBytes {
                bytes: bytes(column),
                rows: match &column.source {
                    ColumnSource::Objects(_, row_sizes) => Some(row_sizes),
                    ColumnSource::Frames(_) => None,
                },
            })
            .collect();
        let (parcels, places) = lay_out(&described);
        let numbered = parcels.iter().enumerate();
        let objects: Vec<_> = numbered
            .flat_map(|(parcel, layout)| (0..layout.objects.len()).map(move |at| (parcel, at)))
            .collect();
        let (plans, sources) = columns
            .into_iter()
            .map(|column| (column.plan, Source::new(column.source)))
            .unzip();
        Ok(Self {
            plans,
            sources,
            parcels,
            places,
            checksums: Mutex::new(vec![None; objects.len()]),
            objects,
            tags,
            allow_pickle,
        })
    }

    /// How many parcels there are.
    #[getter]
    fn parcels(&self) -> usize {
        self.parcels.len()
    }

    /// `(parcel, object of the parcel, bytes)` of each object.
    #[getter]
    fn objects(&self) -> Vec<(usize, usize, u64)> {
        let bytes = |(parcel, object): &(usize, usize)| {
            let bytes = self.parcels[*parcel].objects[*object].bytes;
            (*parcel, *object, bytes)
        };
        self.objects.iter().map(bytes).collect()
    }

    /// Writes object `number` to the start of `target`, beside the interpreter; past the cache where it
    /// is `streamed`.
    #[pyo3(signature = (number, target, *, streamed=false))]
    fn write(
        &self,
        py: Python<'_>,
        number: usize,
        target: &Bound<'_, PyAny>,
        streamed: bool,
    ) -> PyResult<()> {
        let wrong = |message: String| raise(py, ErrorKind::InvalidArgument, message);
        let Some((parcel, object)) = self.objects.get(number).copied() else {
            return Err(wrong(format!("there is no object {number}")));
        };
        let (block, object) = (
            self.parcels[parcel].block,
            &self.parcels[parcel].objects[object],
        );
        let target = OwnedBytes::of_object(target)?;
        let found = target.len();
        let slot = target.slice(0..usize::try_from(object.bytes).unwrap_or(usize::MAX));
        let mut slot = slot.filter(OwnedBytes::is_writable).ok_or_else(|| {
            wrong(format!(
                "a buffer of {found} bytes is too small or read-only for an object of {} bytes",
                object.bytes
            ))
        })?;
        let Some(out) = slot.as_mut_slice() else {
            return Err(wrong("the buffer is read-only".to_owned()));
        };
        let stores = if streamed {
            Stores::Streamed
        } else {
            Stores::Cached
        };
        let digests = py.detach(|| write_object(&self.sources, object, block, out, stores));
        let mut checksums = self
            .checksums
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        checksums[number] = Some(digests);
        Ok(())
    }

    /// Publishes the put under `keys` of `partition`, or for the samples `indexes` of it. Parcel
    /// `i` lies in the backend under `parcel_keys[i]`. Returns the merged tags and the fields that
    /// all samples now have.
    fn publish<'py>(
        &self,
        py: Python<'py>,
        engine: &Engine,
        partition: String,
        keys: Option<&Bound<'_, PyList>>,
        indexes: Option<&Bound<'_, PyList>>,
        parcel_keys: Vec<String>,
    ) -> PyResult<(Bound<'py, PyList>, Vec<String>)> {
        let put = self.stored(&parcel_keys).or_raise(py)?;
        publish(
            py,
            engine,
            &Samples {
                partition,
                keys,
                indexes,
            },
            put,
            self.tags.clone(),
            self.allow_pickle,
        )
    }
}

/// The samples that are published: by key or by index.
struct Samples<'a, 'py> {
    partition: String,
    keys: Option<&'a Bound<'py, PyList>>,
    indexes: Option<&'a Bound<'py, PyList>>,
}

fn publish<'py>(
    py: Python<'py>,
    engine: &Engine,
    samples: &Samples<'_, '_>,
    put: StoredPut,
    tags: Option<Vec<Tags>>,
    allow_pickle: bool,
) -> PyResult<(Bound<'py, PyList>, Vec<String>)> {
    let keys = samples.keys.map(|keys| texts("keys", keys)).transpose()?;
    let indexes = samples.indexes.map(global_indexes).transpose()?;
    let (partition, engine) = (&samples.partition, &engine.engine);
    let published = py.detach(|| match (keys, indexes) {
        (Some(keys), _) => engine.publish_stored(partition, &keys, put, tags),
        (None, indexes) => {
            let indexes = indexes.unwrap_or_default();
            engine.publish_stored_indexes(partition, &indexes, put, tags)
        }
    });
    let published = published.or_raise(py)?;
    Ok((
        TagWriter::new(py, allow_pickle).write_all(&published.tags)?,
        published.fields.iter().map(ToString::to_string).collect(),
    ))
}

#[pymethods]
impl Engine {
    /// Publishes fields of samples (`(partition, global indexes)`) that a storage backend has stored
    /// in its own way. `columns` are
    /// described, not read; `metas` are what the backend noted, a dict per sample.
    fn publish_fields<'py>(
        &self,
        py: Python<'py>,
        samples: (String, Bound<'_, PyList>),
        columns: Vec<super::schema::Described<'_>>,
        metas: Option<&Bound<'_, PyList>>,
        tags: Option<&Bound<'_, PyList>>,
        allow_pickle: bool,
    ) -> PyResult<(Bound<'py, PyList>, Vec<String>)> {
        let columns = super::schema::read_all(py, columns)?;
        let receipts = metas
            .map(|metas| receipts::read_all(metas, allow_pickle))
            .transpose()?;
        let put = StoredPut {
            places: vec![None; columns.len()],
            columns,
            receipts: receipts.unwrap_or_default(),
            ..StoredPut::default()
        };
        let tags = tags
            .map(|tags| TagReader::new(allow_pickle).read_all(tags))
            .transpose()?;
        let samples = Samples {
            partition: samples.0,
            keys: None,
            indexes: Some(&samples.1),
        };
        publish(py, self, &samples, put, tags, allow_pickle)
    }
}

impl PackedPut {
    fn stored(&self, parcel_keys: &[String]) -> Result<StoredPut> {
        let mut written = self
            .checksums
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .into_iter();
        let mut parcels = Vec::with_capacity(self.parcels.len());
        for (number, layout) in self.parcels.iter().enumerate() {
            let mut checksums = Vec::new();
            for object in written.by_ref().take(layout.objects.len()) {
                checksums.extend(object.ok_or_else(|| not_written(number))?);
            }
            let key = parcel_keys.get(number).ok_or_else(|| not_written(number))?;
            parcels.push(layout.parcel(key, checksums));
        }
        Ok(StoredPut {
            columns: self.plans.clone(),
            parcels,
            places: self.places.iter().copied().map(Some).collect(),
            receipts: Vec::new(),
        })
    }
}

fn not_written(parcel: usize) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("parcel {parcel} was not written before it was published"),
    )
}
