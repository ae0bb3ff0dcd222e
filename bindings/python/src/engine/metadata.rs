//! `_core.Engine`: metadata by index or key, production status, tags, backend meta.

use pyo3::prelude::*;
use pyo3::types::PyList;
use tq_controller::FieldSelection;

use super::arguments::{field_names, global_indexes, texts};
use super::batches::{Meta, meta, status};
use super::class::Engine;
use super::receipts;
use super::tags::{TagReader, TagWriter};
use crate::errors::OrRaise;

type Status<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);

#[pymethods]
impl Engine {
    /// Appends samples without keys; their metadata.
    fn insert<'py>(
        &self,
        py: Python<'py>,
        partition: String,
        fields: &Bound<'_, PyList>,
        count: usize,
        allow_pickle: bool,
    ) -> PyResult<Meta<'py>> {
        let fields = field_names(fields)?;
        let engine = &self.engine;
        let batch = py
            .detach(|| engine.insert(&partition, fields, count))
            .or_raise(py)?;
        meta(py, &batch, allow_pickle)
    }

    /// Reserves samples for a partition that does not exist yet.
    fn preallocate(&self, py: Python<'_>, partition: String, count: usize) -> PyResult<()> {
        let engine = &self.engine;
        py.detach(|| engine.preallocate(&partition, count))
            .or_raise(py)
    }

    /// Metadata of all samples of a partition, of those of the fields that are known there; of all
    /// fields where None.
    fn force_fetch<'py>(
        &self,
        py: Python<'py>,
        partition: String,
        fields: Option<&Bound<'_, PyList>>,
        allow_pickle: bool,
    ) -> PyResult<Meta<'py>> {
        let fields = match fields {
            Some(names) => FieldSelection::Known(field_names(names)?),
            None => FieldSelection::All,
        };
        let engine = &self.engine;
        let batch = py
            .detach(|| engine.force_fetch(&partition, &fields))
            .or_raise(py)?;
        meta(py, &batch, allow_pickle)
    }

    /// Metadata of the keys that exist (None where there are none) and the keys that do not; with
    /// `create` all exist afterwards.
    fn meta_of_keys<'py>(
        &self,
        py: Python<'py>,
        partition: String,
        keys: &Bound<'_, PyList>,
        create: bool,
        allow_pickle: bool,
    ) -> PyResult<(Option<Meta<'py>>, Vec<String>)> {
        let keys = texts("keys", keys)?;
        let engine = &self.engine;
        let (batch, missing) = py
            .detach(|| engine.batch_of_keys(&partition, &keys, create))
            .or_raise(py)?;
        let missing = missing
            .iter()
            .map(|position| keys[*position].to_string())
            .collect();
        let batch = batch.map(|batch| meta(py, &batch, allow_pickle));
        Ok((batch.transpose()?, missing))
    }

    /// The key of each sample or None; None for an unknown partition.
    fn keys_of(
        &self,
        py: Python<'_>,
        partition: String,
        indexes: &Bound<'_, PyList>,
    ) -> PyResult<Option<Vec<Option<String>>>> {
        let indexes = global_indexes(indexes)?;
        let engine = &self.engine;
        let keys = py
            .detach(|| engine.keys_of(&partition, &indexes))
            .or_raise(py)?;
        let text = |key: Option<tq_proto::Key>| key.map(|key| key.to_string());
        Ok(keys.map(|keys| keys.into_iter().map(text).collect()))
    }

    /// The tag dict of each sample; empty for an unknown one.
    fn tags_of<'py>(
        &self,
        py: Python<'py>,
        partition: String,
        indexes: &Bound<'_, PyList>,
        allow_pickle: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let indexes = global_indexes(indexes)?;
        let engine = &self.engine;
        let tags = py
            .detach(|| engine.tags_of(&partition, &indexes))
            .or_raise(py)?;
        TagWriter::new(py, allow_pickle).write_all(&tags)
    }

    /// Replaces tags or merges into them; returns for how many samples.
    fn set_tags(
        &self,
        py: Python<'_>,
        partition: String,
        indexes: &Bound<'_, PyList>,
        tags: &Bound<'_, PyList>,
        replace: bool,
        allow_pickle: bool,
    ) -> PyResult<usize> {
        let indexes = global_indexes(indexes)?;
        let tags = TagReader::new(allow_pickle).read_all(tags)?;
        let engine = &self.engine;
        py.detach(|| engine.set_tags(&partition, &indexes, tags, replace))
            .or_raise(py)
    }

    /// Merges backend meta into that of samples, field by field; returns for how many samples.
    fn set_receipts(
        &self,
        py: Python<'_>,
        partition: String,
        indexes: &Bound<'_, PyList>,
        metas: &Bound<'_, PyList>,
        allow_pickle: bool,
    ) -> PyResult<usize> {
        let indexes = global_indexes(indexes)?;
        let receipts = receipts::read_all(metas, allow_pickle)?;
        let engine = &self.engine;
        py.detach(|| engine.set_receipts(&partition, &indexes, receipts))
            .or_raise(py)
    }

    /// `(global indexes, int8 [N, F])`; None for an unknown partition or field.
    fn production_status<'py>(
        &self,
        py: Python<'py>,
        partition: String,
        fields: &Bound<'_, PyList>,
    ) -> PyResult<Option<Status<'py>>> {
        let fields = field_names(fields)?;
        let engine = &self.engine;
        py.detach(|| engine.production_status(&partition, &fields))
            .or_raise(py)?
            .map(|columns| status(py, columns, true))
            .transpose()
    }

    /// Whether there are samples and each has all fields.
    fn is_produced(
        &self,
        py: Python<'_>,
        partition: String,
        fields: &Bound<'_, PyList>,
    ) -> PyResult<bool> {
        let fields = field_names(fields)?;
        let engine = &self.engine;
        py.detach(|| engine.is_produced(&partition, &fields))
            .or_raise(py)
    }
}
