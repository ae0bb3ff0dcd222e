//! Tag dicts to the controller's tags and back.

use std::collections::HashMap;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};
use tq_codec::{Slot, write_value};
use tq_controller::{TagValue, Tags};
use tq_proto::ErrorKind;

use crate::codec::decode::unpack;
use crate::codec::encode::PlannedBatch;
use crate::errors::{OrRaise, raise};
use crate::fence::{CollectorPause, OwnedBytes};

/// Reads tag dicts; the same name in many of them is one text.
pub(super) struct TagReader {
    names: HashMap<usize, (Py<PyString>, Arc<str>)>,
    allow_pickle: bool,
}

impl TagReader {
    pub(super) fn new(allow_pickle: bool) -> Self {
        Self {
            names: HashMap::new(),
            allow_pickle,
        }
    }

    /// One dict per key.
    pub(super) fn read_all(&mut self, tags: &Bound<'_, PyList>) -> PyResult<Vec<Tags>> {
        tags.iter().map(|tag| self.read(&tag)).collect()
    }

    fn read(&mut self, tag: &Bound<'_, PyAny>) -> PyResult<Tags> {
        if tag.is_none() {
            return Ok(Tags::default());
        }
        let py = tag.py();
        let Ok(pairs) = tag.cast::<PyDict>() else {
            let message = format!(
                "a tag must be a dict, but a {} was given",
                tag.get_type().name()?
            );
            return Err(raise(py, ErrorKind::InvalidArgument, message));
        };
        let mut read = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            read.push((self.name(&name)?, self.value(&value)?));
        }
        Ok(read.into_iter().collect())
    }

    fn name(&mut self, name: &Bound<'_, PyAny>) -> PyResult<Arc<str>> {
        let Ok(text) = name.cast::<PyString>() else {
            let message = format!("tag names are strings, but {} was given", name.repr()?);
            return Err(raise(name.py(), ErrorKind::InvalidArgument, message));
        };
        // By identity: names are mostly literals. The entry keeps the object, so that no other can
        // take its address.
        let address = text.as_ptr().addr();
        if let Some((_, known)) = self.names.get(&address) {
            return Ok(Arc::clone(known));
        }
        let read: Arc<str> = text.to_str()?.into();
        self.names
            .insert(address, (text.clone().unbind(), Arc::clone(&read)));
        Ok(read)
    }

    fn value(&self, value: &Bound<'_, PyAny>) -> PyResult<TagValue> {
        if value.is_none() {
            return Ok(TagValue::Null);
        }
        if let Ok(truth) = value.cast_exact::<PyBool>() {
            return Ok(TagValue::Bool(truth.is_true()));
        }
        if let Ok(number) = value.cast_exact::<PyInt>()
            && let Ok(number) = number.extract()
        {
            return Ok(TagValue::Int(number));
        }
        if let Ok(number) = value.cast_exact::<PyFloat>() {
            return Ok(TagValue::Float(number.value()));
        }
        if let Ok(text) = value.cast_exact::<PyString>()
            && let Ok(text) = text.to_str()
        {
            return Ok(TagValue::Str(text.into()));
        }
        Ok(TagValue::Opaque(self.pack(value)?.into()))
    }

    fn pack(&self, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
        let py = value.py();
        let mut batch = PlannedBatch::default();
        batch.add(value, self.allow_pickle)?;
        let mut buffer = Vec::new();
        for planned in &batch.values {
            buffer = vec![0; planned.plan.total_len as usize];
            let slot = Slot {
                plan: planned.plan,
                header: &batch.headers,
                frames: &batch.frames,
                buffer: &mut buffer,
                checksum: false,
                empty: false,
            };
            write_value(slot).or_raise(py)?;
        }
        Ok(buffer)
    }
}

/// Makes tag dicts; the same name in many of them is one object. The garbage collector pauses
/// meanwhile: a listing makes a dict per sample.
pub(super) struct TagWriter<'py> {
    py: Python<'py>,
    names: HashMap<usize, Bound<'py, PyString>>,
    allow_pickle: bool,
    _pause: CollectorPause<'py>,
}

impl<'py> TagWriter<'py> {
    pub(super) fn new(py: Python<'py>, allow_pickle: bool) -> Self {
        Self {
            _pause: CollectorPause::new(py),
            py,
            names: HashMap::new(),
            allow_pickle,
        }
    }

    /// A fresh dict.
    pub(super) fn write(&mut self, tags: &Tags) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(self.py);
        for (name, value) in tags.iter() {
            // The controller keeps one text per name and partition.
            let address = name.as_ptr().addr();
            let name = self
                .names
                .entry(address)
                .or_insert_with(|| PyString::intern(self.py, name));
            let value = match value {
                TagValue::Null => self.py.None().into_bound(self.py),
                TagValue::Bool(value) => PyBool::new(self.py, *value).to_owned().into_any(),
                TagValue::Int(value) => value.into_pyobject(self.py)?.into_any(),
                TagValue::Float(value) => PyFloat::new(self.py, *value).into_any(),
                TagValue::Str(value) => PyString::new(self.py, value).into_any(),
                TagValue::Opaque(packed) => unpack(
                    self.py,
                    &OwnedBytes::of_vec(packed.to_vec()),
                    self.allow_pickle,
                )?,
            };
            dict.set_item(&*name, value)?;
        }
        Ok(dict)
    }
}
