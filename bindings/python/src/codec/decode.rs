//! Builds Python objects from a header and its frames. Tensors and arrays are views of the frames.

use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyComplex, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet,
    PyString, PyTuple,
};
use tq_codec::{HeaderReader, Node, PackedView};
use tq_proto::{DType, Error, ErrorKind};

use super::early::Early;
use super::helpers::Helpers;
use super::tensor;
use crate::errors::{OrRaise, raise, to_python};
use crate::fence::{ExportedBytes, OwnedBytes};

/// The frames that a header's values lie in.
pub(crate) enum Frames<'a> {
    /// Of a packed buffer.
    Packed {
        bytes: &'a OwnedBytes,
        view: PackedView<'a>,
        /// Objects that are there already.
        early: &'a Early,
    },
    /// Separate buffers.
    Given(&'a [OwnedBytes]),
}

impl Frames<'_> {
    fn get(&self, py: Python<'_>, frame: u32) -> PyResult<OwnedBytes> {
        let found = match self {
            Self::Packed { bytes, view, .. } => {
                view.frame_range(frame).and_then(|range| bytes.slice(range))
            }
            Self::Given(frames) => frames.get(frame as usize).cloned(),
        };
        // The reader has checked the number already.
        found.ok_or_else(|| raise(py, ErrorKind::Corrupt, format!("there is no frame {frame}")))
    }

    /// The object for a frame, where it was made before.
    fn early<'py>(&self, py: Python<'py>, frame: u32) -> Option<Bound<'py, PyAny>> {
        match self {
            Self::Packed { early, .. } => early.get(py, frame),
            Self::Given(_) => None,
        }
    }

    /// A frame that tensors and arrays of this item size may be views of.
    pub(super) fn viewable(
        &self,
        py: Python<'_>,
        frame: u32,
        item_size: usize,
    ) -> PyResult<OwnedBytes> {
        let bytes = self.get(py, frame)?;
        Ok(if bytes.can_be_viewed(item_size) {
            bytes
        } else {
            bytes.to_owned_copy(py)
        })
    }
}

/// The value of one packed buffer; what lies behind the packed buffer in `bytes` is not looked at.
///
/// # Errors
/// The exception of kind `Corrupt` saying what is wrong, or `PickleRefused`.
pub(crate) fn unpack<'py>(
    py: Python<'py>,
    bytes: &OwnedBytes,
    allow_pickle: bool,
) -> PyResult<Bound<'py, PyAny>> {
    unpack_with(py, bytes, &Early::default(), allow_pickle)
}

/// [`unpack`], part of whose objects were made before.
///
/// # Errors
/// As there.
pub(crate) fn unpack_with<'py>(
    py: Python<'py>,
    bytes: &OwnedBytes,
    early: &Early,
    allow_pickle: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let slice = bytes.as_slice(py);
    let view = PackedView::parse(slice).or_raise(py)?;
    view.verify_frames(slice).or_raise(py)?;
    if view.is_empty() {
        return Err(raise(
            py,
            ErrorKind::Corrupt,
            "the packed buffer holds no value",
        ));
    }
    build(
        py,
        view.reader(),
        &Frames::Packed { bytes, view, early },
        allow_pickle,
    )
}

/// A container whose elements are still coming.
struct Open<'py> {
    kind: Kind,
    left: usize,
    elements: Vec<Bound<'py, PyAny>>,
}

enum Kind {
    List,
    Map,
    Tuple,
    Set,
    FrozenSet,
    Named(String),
    Pickle,
}

/// Builds the value that `reader` walks.
pub(crate) fn build<'py>(
    py: Python<'py>,
    mut reader: HeaderReader<'_>,
    frames: &Frames<'_>,
    allow_pickle: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let build = Build {
        py,
        helpers: Helpers::get(py)?,
        frames,
        allow_pickle,
    };
    let mut open: Vec<Open<'py>> = Vec::new();
    let mut done = None;
    while let Some(node) = reader.step().or_raise(py)? {
        let mut value = match build.node(node, reader.shape())? {
            Begun::Whole(value) => value,
            Begun::Container(kind, left) if left > 0 => {
                // `left` was bounded by the header's own length.
                open.push(Open {
                    kind,
                    left,
                    elements: Vec::with_capacity(left),
                });
                continue;
            }
            Begun::Container(kind, _) => build.close(kind, Vec::new())?,
        };
        loop {
            let Some(parent) = open.last_mut() else {
                done = Some(value);
                break;
            };
            parent.elements.push(value);
            parent.left -= 1;
            if parent.left > 0 {
                break;
            }
            let Some(Open { kind, elements, .. }) = open.pop() else {
                break;
            };
            value = build.close(kind, elements)?;
        }
    }
    done.ok_or_else(|| raise(py, ErrorKind::Corrupt, "the header holds no value"))
}

enum Begun<'py> {
    Whole(Bound<'py, PyAny>),
    Container(Kind, usize),
}

struct Build<'a, 'py> {
    py: Python<'py>,
    helpers: &'static Helpers,
    frames: &'a Frames<'a>,
    allow_pickle: bool,
}

impl<'py> Build<'_, 'py> {
    fn node(&self, node: Node<'_>, shape: &[u64]) -> PyResult<Begun<'py>> {
        let py = self.py;
        let value = match node {
            Node::Null => py.None().into_bound(py),
            Node::Bool(value) => PyBool::new(py, value).to_owned().into_any(),
            Node::Int(value) => value.into_pyobject(py)?.into_any(),
            Node::UInt(value) => value.into_pyobject(py)?.into_any(),
            Node::Float(value) => PyFloat::new(py, value).into_any(),
            Node::Text(value) => PyString::new(py, value).into_any(),
            Node::Bytes(value) => PyBytes::new(py, value).into_any(),
            Node::Tensor(node) => {
                let bytes = self.frames.get(py, node.frame)?;
                tensor::decode(py, self.helpers, &bytes, node, shape)?
            }
            Node::Array { frame, descr } => self.array(frame, descr, shape)?,
            Node::FrameText(frame) | Node::FrameBytes(frame) | Node::FrameByteArray(frame) => {
                match self.frames.early(py, frame) {
                    Some(value) => value,
                    None => self.copied(&node, &self.frames.get(py, frame)?)?,
                }
            }
            Node::ByteArray(value) => PyByteArray::new(py, value).into_any(),
            Node::BigInt(value) => self.big_int(value)?,
            Node::Complex(real, imaginary) => {
                PyComplex::from_doubles(py, real, imaginary).into_any()
            }
            Node::SurrogateText(value) => self.surrogate_text(value)?,
            Node::List(count) => return Ok(Begun::Container(Kind::List, count as usize)),
            Node::Map(count) => return Ok(Begun::Container(Kind::Map, count as usize * 2)),
            Node::Tuple(count) => return Ok(Begun::Container(Kind::Tuple, count as usize)),
            Node::Set(count) => return Ok(Begun::Container(Kind::Set, count as usize)),
            Node::FrozenSet(count) => return Ok(Begun::Container(Kind::FrozenSet, count as usize)),
            Node::Named(name) => return Ok(Begun::Container(Kind::Named(name.to_owned()), 1)),
            Node::Pickle if self.allow_pickle => return Ok(Begun::Container(Kind::Pickle, 2)),
            Node::Pickle => {
                return Err(raise(
                    py,
                    ErrorKind::PickleRefused,
                    "the buffer holds a pickled value, and pickle is switched off (allow_pickle=False)",
                ));
            }
        };
        Ok(Begun::Whole(value))
    }

    fn close(&self, kind: Kind, elements: Vec<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        Ok(match kind {
            Kind::List => PyList::new(py, elements)?.into_any(),
            Kind::Tuple => PyTuple::new(py, elements)?.into_any(),
            Kind::Set => PySet::new(py, elements)
                .map_err(|error| self.unhashable(&error))?
                .into_any(),
            Kind::FrozenSet => PyFrozenSet::new(py, elements)
                .map_err(|error| self.unhashable(&error))?
                .into_any(),
            Kind::Map => {
                let map = PyDict::new(py);
                for pair in elements.chunks_exact(2) {
                    map.set_item(&pair[0], &pair[1])
                        .map_err(|error| self.unhashable(&error))?;
                }
                map.into_any()
            }
            Kind::Named(name) => {
                let rebuild = self.helpers.rebuild_value.bind(py);
                let content = elements.into_iter().next();
                rebuild.call1((name, content, self.allow_pickle))?
            }
            Kind::Pickle => self
                .helpers
                .unpickle_value
                .bind(py)
                .call1(PyTuple::new(py, elements)?)?,
        })
    }

    fn unhashable(&self, error: &PyErr) -> PyErr {
        raise(
            self.py,
            ErrorKind::Corrupt,
            format!("header: a key or set element is not hashable: {error}"),
        )
    }

    fn array(&self, frame: u32, descr: &str, shape: &[u64]) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        let dtype = self
            .helpers
            .new_dtype
            .bind(py)
            .call1((descr,))
            .map_err(|error| {
                raise(
                    py,
                    ErrorKind::Corrupt,
                    format!("header: array dtype {descr:?}: {error}"),
                )
            })?;
        let item_size: usize = dtype.getattr(pyo3::intern!(py, "itemsize"))?.extract()?;
        // Only plain numbers: an array of objects over bytes would be an array of wild pointers.
        let kind: char = dtype.getattr(pyo3::intern!(py, "kind"))?.extract()?;
        let plain = matches!(kind, 'b' | 'i' | 'u' | 'f' | 'c');
        let bytes = self.frames.viewable(py, frame, item_size)?;
        let needed = DType::UInt8
            .byte_len(shape)
            .and_then(|count| count.checked_mul(item_size as u64));
        if !plain || needed != Some(bytes.len() as u64) {
            let found = bytes.len();
            return Err(self.no_array(frame, descr, shape, format!("{found} bytes are none")));
        }
        let buffer = Py::new(py, ExportedBytes(bytes))?;
        let content = (PyTuple::new(py, shape)?, dtype, buffer);
        let array = self.helpers.new_array.bind(py).call1(content);
        array.map_err(|error| self.no_array(frame, descr, shape, error.to_string()))
    }

    fn no_array(&self, frame: u32, descr: &str, shape: &[u64], why: String) -> PyErr {
        let message = format!("header: no array of dtype {descr:?} and shape {shape:?}: {why}");
        to_python(
            self.py,
            &Error::new(ErrorKind::Corrupt, message).with("frame", frame),
        )
    }

    /// A value that has memory of its own.
    fn copied(&self, node: &Node<'_>, frame: &OwnedBytes) -> PyResult<Bound<'py, PyAny>> {
        let bytes = frame.as_slice(self.py);
        Ok(match node {
            Node::FrameText(_) => self.text(bytes)?,
            Node::FrameByteArray(_) => PyByteArray::new(self.py, bytes).into_any(),
            _ => PyBytes::new(self.py, bytes).into_any(),
        })
    }

    fn text(&self, utf8: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let text = PyString::from_bytes(self.py, utf8).map_err(|error| {
            raise(
                self.py,
                ErrorKind::Corrupt,
                format!("a text frame is not UTF-8: {error}"),
            )
        })?;
        Ok(text.into_any())
    }

    fn surrogate_text(&self, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        PyBytes::new(self.py, bytes)
            .call_method1("decode", ("utf-8", "surrogatepass"))
            .map_err(|error| {
                raise(
                    self.py,
                    ErrorKind::Corrupt,
                    format!("header: text with surrogates: {error}"),
                )
            })
    }

    fn big_int(&self, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let kwargs = PyDict::new(self.py);
        kwargs.set_item("signed", true)?;
        let class = self.py.get_type::<PyInt>();
        class.call_method(
            "from_bytes",
            (PyBytes::new(self.py, bytes), "little"),
            Some(&kwargs),
        )
    }
}
