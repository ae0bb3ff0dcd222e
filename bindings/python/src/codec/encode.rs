//! Walks Python objects, without recursion, and plans their packed buffers. Nothing is copied here:
//! a frame is a name for memory that an object owns.

use std::ops::Range;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFrozenSet, PyList, PySet, PyString, PyTuple, PyType};
use tq_codec::header::{Mark, Tag};
use tq_codec::{HeaderWriter, MAX_DEPTH, Plan, PlanError, Slot};
use tq_proto::ErrorKind;

use super::helpers::Helpers;
use super::path::Path;
use crate::errors::{OrRaise, raise};
use crate::fence::PyFrame;

/// Headers, frames and plans of a batch of values, in few allocations.
#[derive(Default)]
pub(crate) struct PlannedBatch {
    pub(crate) headers: Vec<u8>,
    pub(crate) frames: Vec<PyFrame>,
    pub(crate) values: Vec<PlannedValue>,
}

/// Where one value's parts lie in a [`PlannedBatch`].
pub(crate) struct PlannedValue {
    pub(crate) header: Range<usize>,
    pub(crate) frames: Range<usize>,
    pub(crate) plan: Plan,
}

impl PlannedBatch {
    /// Adds one value.
    ///
    /// # Errors
    /// The exception of what cannot be encoded, naming its type and its path inside the value.
    pub(crate) fn add(&mut self, value: &Bound<'_, PyAny>, allow_pickle: bool) -> PyResult<()> {
        let py = value.py();
        let (header_at, frames_at) = (self.headers.len(), self.frames.len());
        let mut walk = Walk {
            helpers: Helpers::get(py)?,
            out: HeaderWriter::new(&mut self.headers),
            frames: &mut self.frames,
            frames_at,
            allow_pickle,
            open: Vec::new(),
        };
        walk.run(value.clone())?;
        walk.out.check().or_raise(py)?;
        let header = header_at..self.headers.len();
        let frames = frames_at..self.frames.len();
        let lengths = self.frames[frames.clone()]
            .iter()
            .map(tq_codec::FrameSource::len);
        let plan = Plan::new(header.len() as u64, lengths).or_raise(py)?;
        self.values.push(PlannedValue {
            header,
            frames,
            plan,
        });
        Ok(())
    }

    /// The header and the frames of one of these values.
    pub(crate) fn parts(&self, value: &PlannedValue) -> (&[u8], &[PyFrame]) {
        (
            &self.headers[value.header.clone()],
            &self.frames[value.frames.clone()],
        )
    }

    /// One of these values with the buffer that it is to be written to.
    pub(crate) fn slot<'a>(
        &'a self,
        value: &PlannedValue,
        buffer: &'a mut [u8],
        checksum: bool,
    ) -> Slot<'a, PyFrame> {
        let (header, frames) = self.parts(value);
        Slot {
            plan: value.plan,
            header,
            frames,
            buffer,
            checksum,
            empty: false,
        }
    }
}

/// Content of a value with elements, as the leaf functions find it.
pub(super) enum Found<'py> {
    /// The value is written, nothing follows.
    Done,
    /// The value is rebuilt by name from this content.
    Named(String, Bound<'py, PyAny>),
    /// The value is pickled: bytes, list of values the pickle refers to.
    Pickled(Bound<'py, PyAny>, Bound<'py, PyAny>),
}

/// A container that is being walked.
struct Open<'py> {
    kind: Kind,
    elements: Elements<'py>,
    count: usize,
    at: usize,
    mark: Option<Mark>,
}

enum Kind {
    Sequence,
    /// Keys and values alternate.
    Map,
    Named(String),
}

enum Elements<'py> {
    List(Bound<'py, PyList>),
    Tuple(Bound<'py, PyTuple>),
    Collected(Vec<Bound<'py, PyAny>>),
}

impl<'py> Open<'py> {
    fn next(&mut self) -> PyResult<Option<Bound<'py, PyAny>>> {
        if self.at == self.count {
            return Ok(None);
        }
        let element = match &self.elements {
            // A list that another thread shortens meanwhile answers IndexError here.
            Elements::List(list) => list.get_item(self.at)?,
            Elements::Tuple(tuple) => tuple.get_item(self.at)?,
            Elements::Collected(elements) => elements[self.at].clone(),
        };
        self.at += 1;
        Ok(Some(element))
    }

    fn extend(&self, path: &mut Path) {
        let current = self.at.saturating_sub(1);
        match (&self.kind, &self.elements) {
            (Kind::Sequence, _) => path.index(current),
            (Kind::Named(name), _) => path.inside(name),
            (Kind::Map, Elements::Collected(elements)) => {
                if let Some(key) = elements.get(current & !1) {
                    path.key(key);
                }
            }
            (Kind::Map, _) => {}
        }
    }
}

pub(super) struct Walk<'a, 'py> {
    pub(super) helpers: &'static Helpers,
    pub(super) out: HeaderWriter<'a>,
    frames: &'a mut Vec<PyFrame>,
    /// Where this value's frames start in `frames`.
    frames_at: usize,
    allow_pickle: bool,
    open: Vec<Open<'py>>,
}

impl<'py> Walk<'_, 'py> {
    fn run(&mut self, value: Bound<'py, PyAny>) -> PyResult<()> {
        self.visit(value)?;
        while let Some(container) = self.open.last_mut() {
            if let Some(element) = container.next()? {
                self.visit(element)?;
                continue;
            }
            if let Some(mark) = container.mark {
                self.out.end(mark);
            }
            self.open.pop();
        }
        Ok(())
    }

    fn visit(&mut self, value: Bound<'py, PyAny>) -> PyResult<()> {
        if let Ok(map) = value.cast_exact::<PyDict>() {
            // Collected, because code that runs for an element could change the dict.
            let mut elements = Vec::with_capacity(map.len() * 2);
            for (key, element) in map {
                elements.push(key);
                elements.push(element);
            }
            self.out.map(elements.len() / 2);
            let count = elements.len();
            return self.enter(
                value.py(),
                Kind::Map,
                Elements::Collected(elements),
                count,
                None,
            );
        }
        if value.get_type_ptr() == self.helpers.tensor.as_ptr().cast() {
            return self.settle(value.clone(), |walk| walk.tensor(&value));
        }
        if self.scalar(&value)? {
            return Ok(());
        }
        if let Ok(list) = value.cast_exact::<PyList>() {
            let count = list.len();
            self.out.list(count);
            return self.enter(
                value.py(),
                Kind::Sequence,
                Elements::List(list.clone()),
                count,
                None,
            );
        }
        if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            let count = tuple.len();
            let mark = self.out.begin_elements(Tag::Tuple, count);
            let elements = Elements::Tuple(tuple.clone());
            return self.enter(value.py(), Kind::Sequence, elements, count, Some(mark));
        }
        if value.is_exact_instance_of::<PySet>() {
            return self.collected(&value, Tag::Set);
        }
        if value.is_exact_instance_of::<PyFrozenSet>() {
            return self.collected(&value, Tag::FrozenSet);
        }
        self.settle(value.clone(), |walk| walk.uncommon(&value))
    }

    /// A set, whose elements have no order that two processes would agree on; the order written is
    /// the order of iteration.
    fn collected(&mut self, set: &Bound<'py, PyAny>, tag: Tag) -> PyResult<()> {
        let elements: Vec<_> = set.try_iter()?.collect::<PyResult<_>>()?;
        let count = elements.len();
        let mark = self.out.begin_elements(tag, count);
        self.enter(
            set.py(),
            Kind::Sequence,
            Elements::Collected(elements),
            count,
            Some(mark),
        )
    }

    /// Runs what may call Python code, and opens what it found.
    fn settle(
        &mut self,
        value: Bound<'py, PyAny>,
        find: impl FnOnce(&mut Self) -> PyResult<Found<'py>>,
    ) -> PyResult<()> {
        let py = value.py();
        let found = find(self).map_err(|error| self.locate(py, error, &value))?;
        match found {
            Found::Done => Ok(()),
            Found::Named(name, content) => {
                let mark = self.out.begin_named(&name);
                let content = Elements::Collected(vec![content]);
                self.enter(py, Kind::Named(name), content, 1, Some(mark))
            }
            Found::Pickled(bytes, values) => {
                let mark = self.out.begin_pickle();
                let content = Elements::Collected(vec![bytes, values]);
                self.enter(py, Kind::Named("pickle".to_owned()), content, 2, Some(mark))
            }
        }
    }

    fn enter(
        &mut self,
        py: Python<'py>,
        kind: Kind,
        elements: Elements<'py>,
        count: usize,
        mark: Option<Mark>,
    ) -> PyResult<()> {
        if self.open.len() >= MAX_DEPTH {
            let what = PlanError::TooDeep.to_string();
            let path: String = self.path().chars().take(120).collect();
            return Err(raise(
                py,
                ErrorKind::InvalidArgument,
                format!("{what} (it starts {path}...)"),
            ));
        }
        self.open.push(Open {
            kind,
            elements,
            count,
            at: 0,
            mark,
        });
        Ok(())
    }

    /// Pickles `value`, as the last resort.
    pub(super) fn pickle(&mut self, value: &Bound<'py, PyAny>) -> PyResult<Found<'py>> {
        let py = value.py();
        if !self.allow_pickle {
            let type_name = full_name(&value.get_type());
            let message = format!(
                "a {type_name} can only be pickled, and pickle is switched off (allow_pickle=False)"
            );
            return Err(raise(py, ErrorKind::PickleRefused, message));
        }
        let (bytes, values) = self
            .helpers
            .pickle_value
            .bind(py)
            .call1((value,))?
            .extract()?;
        Ok(Found::Pickled(bytes, values))
    }

    /// The number of the frame that is added next; one too large is refused when it is added.
    pub(super) fn next_frame(&self) -> u32 {
        u32::try_from(self.frames.len() - self.frames_at).unwrap_or(u32::MAX)
    }

    /// Adds a frame; returns its number.
    pub(super) fn frame(&mut self, py: Python<'_>, frame: PyFrame) -> PyResult<u32> {
        let number = u32::try_from(self.frames.len() - self.frames_at)
            .map_err(|_| PlanError::TooManyFrames)
            .or_raise(py)?;
        self.frames.push(frame);
        Ok(number)
    }

    /// Adds to an error of ours where inside the value it happened. Exceptions of other code stay as
    /// they are, with a note.
    fn locate(&self, py: Python<'py>, error: PyErr, value: &Bound<'py, PyAny>) -> PyErr {
        let note = format!(
            "while encoding a {} at {}",
            full_name(&value.get_type()),
            self.path()
        );
        // A note can fail only where the exception refuses attributes; the error itself counts.
        let _ = error
            .value(py)
            .call_method1("add_located", (&note,))
            .or_else(|_| error.value(py).call_method1("add_note", (&note,)));
        error
    }

    fn path(&self) -> String {
        let mut path = Path::new("value");
        for container in &self.open {
            container.extend(&mut path);
        }
        path.finish()
    }
}

/// `module.qualname` of a type.
pub(super) fn full_name(class: &Bound<'_, PyType>) -> String {
    class.fully_qualified_name().map_or_else(
        |_| "object".to_owned(),
        |name: Bound<'_, PyString>| name.to_string(),
    )
}
