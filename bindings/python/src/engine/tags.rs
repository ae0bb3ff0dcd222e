//! Tag dicts to the controller's tags and back.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};
use tq_codec::write_value;
use tq_controller::{TagName, TagValue, Tags};
use tq_proto::ErrorKind;

use crate::codec::decode::unpack;
use crate::codec::encode::PlannedBatch;
use crate::errors::{OrRaise, raise};
use crate::fence::{CollectorPause, OwnedBytes};

/// Reads tag dicts. A name, or a text as a value, that comes as the same object again is one text.
pub(super) struct TagReader {
    texts: Vec<(Py<PyString>, Arc<str>)>,
    /// Of the tag being read; kept for its room.
    pairs: Vec<(TagName, TagValue)>,
    allow_pickle: bool,
}

/// Texts that are remembered; looking through more would cost more than making another.
const REMEMBERED: usize = 16;

impl TagReader {
    pub(super) fn new(allow_pickle: bool) -> Self {
        Self {
            texts: Vec::new(),
            pairs: Vec::new(),
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
        self.pairs.clear();
        // Strings that are keys of one dict differ in what they say, unless a class of the user's
        // compares in its own way.
        let mut distinct = true;
        for (name, value) in pairs {
            distinct &= name.is_exact_instance_of::<PyString>();
            let pair = (self.name(&name)?, self.value(&value)?);
            self.pairs.push(pair);
        }
        Ok(if distinct {
            Tags::of_distinct(&mut self.pairs)
        } else {
            self.pairs.drain(..).collect()
        })
    }

    fn name(&mut self, name: &Bound<'_, PyAny>) -> PyResult<Arc<str>> {
        let Ok(text) = name.cast::<PyString>() else {
            let message = format!("tag names are strings, but {} was given", name.repr()?);
            return Err(raise(name.py(), ErrorKind::InvalidArgument, message));
        };
        self.text(text)
    }

    /// By identity: names, and values such as a status, are mostly literals.
    pub(super) fn text(&mut self, text: &Bound<'_, PyString>) -> PyResult<Arc<str>> {
        if let Some((_, known)) = self.texts.iter().find(|(known, _)| known.is(text)) {
            return Ok(Arc::clone(known));
        }
        let read: Arc<str> = text.to_str()?.into();
        if self.texts.len() < REMEMBERED {
            self.texts.push((text.clone().unbind(), Arc::clone(&read)));
        }
        Ok(read)
    }

    pub(super) fn value(&mut self, value: &Bound<'_, PyAny>) -> PyResult<TagValue> {
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
            && let Ok(text) = self.text(text)
        {
            return Ok(TagValue::Str(text));
        }
        Ok(TagValue::Opaque(pack(value, self.allow_pickle)?.into()))
    }
}

/// The packed buffer of one value.
pub(super) fn pack(value: &Bound<'_, PyAny>, allow_pickle: bool) -> PyResult<Vec<u8>> {
    let py = value.py();
    let mut batch = PlannedBatch::default();
    batch.add(value, allow_pickle)?;
    let mut buffer = Vec::new();
    for planned in &batch.values {
        buffer = vec![0; planned.plan.total_len as usize];
        let slot = batch.slot(planned, &mut buffer, false);
        write_value(slot).or_raise(py)?;
    }
    Ok(buffer)
}

/// Makes tag dicts. The garbage collector pauses meanwhile: a listing makes a dict per sample.
pub(super) struct TagWriter<'py> {
    py: Python<'py>,
    /// The last dict made: samples of one partition mostly have the same names, and copying a dict
    /// and setting its values is faster than building one.
    last: Option<Template<'py>>,
    texts: Vec<(Arc<str>, Bound<'py, PyString>)>,
    allow_pickle: bool,
    _pause: CollectorPause<'py>,
}

struct Template<'py> {
    names: Vec<(Arc<str>, Bound<'py, PyString>)>,
    dict: Bound<'py, PyDict>,
}

impl<'py> TagWriter<'py> {
    pub(super) fn new(py: Python<'py>, allow_pickle: bool) -> Self {
        Self {
            py,
            last: None,
            texts: Vec::new(),
            allow_pickle,
            _pause: CollectorPause::new(py),
        }
    }

    /// A list of fresh dicts, one for each of `all`.
    pub(super) fn write_all(&mut self, all: &[Tags]) -> PyResult<Bound<'py, PyList>> {
        let dicts: Vec<_> = all
            .iter()
            .map(|tags| self.write(tags))
            .collect::<PyResult<_>>()?;
        PyList::new(self.py, dicts)
    }

    /// A fresh dict.
    pub(super) fn write(&mut self, tags: &Tags) -> PyResult<Bound<'py, PyDict>> {
        if tags.is_empty() {
            return Ok(PyDict::new(self.py));
        }
        // The controller keeps one text per name and partition, so names compare by address.
        let fits = self.last.as_ref().is_some_and(|last| {
            last.names.len() == tags.len()
                && last
                    .names
                    .iter()
                    .zip(tags.iter())
                    .all(|(known, (name, _))| Arc::ptr_eq(&known.0, name))
        });
        let template = match self.last.take().filter(|_| fits) {
            Some(template) => template,
            None => self.template(tags),
        };
        let dict = template.dict.copy()?;
        for ((_, name), (_, value)) in template.names.iter().zip(tags.iter()) {
            dict.set_item(name, self.value(value)?)?;
        }
        self.last = Some(Template {
            dict: dict.clone(),
            ..template
        });
        Ok(dict)
    }

    /// Whether `dict` says just what `tags` do, in values that nobody can change.
    pub(super) fn says(dict: &Bound<'py, PyDict>, tags: &Tags) -> bool {
        dict.len() == tags.len()
            && dict
                .iter()
                .zip(tags.iter())
                .all(|((name, value), (known, tag))| {
                    is_text(&name, known) && Self::is_value(&value, tag)
                })
    }

    fn is_value(value: &Bound<'py, PyAny>, tag: &TagValue) -> bool {
        match tag {
            TagValue::Null => value.is_none(),
            TagValue::Bool(tag) => value
                .cast_exact::<PyBool>()
                .is_ok_and(|value| value.is_true() == *tag),
            TagValue::Int(tag) => value
                .cast_exact::<PyInt>()
                .is_ok_and(|value| value.extract::<i64>().is_ok_and(|value| value == *tag)),
            TagValue::Float(tag) => value
                .cast_exact::<PyFloat>()
                .is_ok_and(|value| value.value().to_bits() == tag.to_bits()),
            TagValue::Str(tag) => is_text(value, tag),
            TagValue::Opaque(_) => false,
        }
    }

    fn template(&self, tags: &Tags) -> Template<'py> {
        let named = |(name, _): (&Arc<str>, _)| (Arc::clone(name), PyString::intern(self.py, name));
        Template {
            names: tags.iter().map(named).collect(),
            dict: PyDict::new(self.py),
        }
    }

    fn value(&mut self, value: &TagValue) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        Ok(match value {
            TagValue::Null => py.None().into_bound(py),
            TagValue::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
            TagValue::Int(value) => value.into_pyobject(py)?.into_any(),
            TagValue::Float(value) => PyFloat::new(py, *value).into_any(),
            TagValue::Str(value) => self.text(value).into_any(),
            TagValue::Opaque(packed) => {
                unpack(py, &OwnedBytes::of_vec(packed.to_vec()), self.allow_pickle)?
            }
        })
    }

    fn text(&mut self, text: &Arc<str>) -> Bound<'py, PyString> {
        if let Some((_, known)) = self
            .texts
            .iter()
            .find(|(known, _)| Arc::ptr_eq(known, text))
        {
            return known.clone();
        }
        let made = PyString::new(self.py, text);
        if self.texts.len() < REMEMBERED {
            self.texts.push((Arc::clone(text), made.clone()));
        }
        made
    }
}

fn is_text(value: &Bound<'_, PyAny>, text: &str) -> bool {
    value
        .cast_exact::<PyString>()
        .is_ok_and(|value| value.to_str().is_ok_and(|value| value == text))
}
