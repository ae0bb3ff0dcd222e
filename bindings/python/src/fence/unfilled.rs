//! `str`, `bytes` and `bytearray` that are made first and filled afterwards: their memory has to be
//! allocated by the interpreter, but touching it for the first time, which costs most, can be done
//! beside it and by several threads.

use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes, PyString};
use tq_codec::{Text, Width, write_chars};

use super::first_touch::touch;

/// What an object will hold.
#[derive(Clone, Copy)]
pub(crate) enum Content<'a> {
    Text(Text<'a>),
    Bytes(&'a [u8]),
    ByteArray(&'a [u8]),
}

impl Content<'_> {
    /// Bytes to be read.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.utf8().len(),
            Self::Bytes(bytes) | Self::ByteArray(bytes) => bytes.len(),
        }
    }

    /// Bytes that the object keeps.
    fn size(&self) -> usize {
        match self {
            Self::Text(Text::Wide { chars, width, .. }) => chars * width.bytes(),
            Self::Text(Text::Ascii(bytes)) | Self::Bytes(bytes) | Self::ByteArray(bytes) => {
                bytes.len()
            }
        }
    }
}

/// An object whose memory is there and whose content is still to be written. Nobody else has it.
pub(crate) struct Unfilled<'a> {
    object: Py<PyAny>,
    /// Where the content goes, and what; `None` once it is there.
    left: Option<(NonNull<u8>, Content<'a>)>,
}

// SAFETY: the pointer names memory of `object`, which nobody else knows of before `finish`; it is
// written through `&mut self` only, and an object may be held in any thread.
unsafe impl Send for Unfilled<'_> {}

/// Objects of fewer bytes are not worth two steps; the interpreter shares the smallest ones.
pub(crate) const UNFILLED_FROM: usize = 256;

impl<'a> Unfilled<'a> {
    /// An object for `content`; one of fewer than [`UNFILLED_FROM`] bytes is filled at once.
    ///
    /// # Errors
    /// `MemoryError`.
    pub(crate) fn new(py: Python<'_>, content: Content<'a>) -> PyResult<Self> {
        if content.len() >= UNFILLED_FROM
            && let Some(unfilled) = Self::allocate(py, content)?
        {
            return Ok(unfilled);
        }
        let object = match content {
            Content::Text(text) => PyString::from_bytes(py, text.utf8())?.into_any(),
            Content::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
            Content::ByteArray(bytes) => PyByteArray::new(py, bytes).into_any(),
        };
        Ok(Self {
            object: object.unbind(),
            left: None,
        })
    }

    /// `None` where this interpreter keeps characters in an unknown place.
    fn allocate(py: Python<'_>, content: Content<'a>) -> PyResult<Option<Self>> {
        let Ok(len) = ffi::Py_ssize_t::try_from(content.len()) else {
            return Ok(None);
        };
        let allocated = match content {
            Content::Text(text) => allocated_text(py, text)?,
            Content::Bytes(_) => {
                // SAFETY: we are attached; without a source the content is left as it is.
                let object = unsafe { ffi::PyBytes_FromStringAndSize(ptr::null(), len) };
                let object = owned(py, object)?;
                // SAFETY: it is a `bytes`, as made above.
                let start = unsafe { ffi::PyBytes_AsString(object.as_ptr()) };
                Some((object, start.cast()))
            }
            Content::ByteArray(_) => {
                // SAFETY: as for `bytes`.
                let object = unsafe { ffi::PyByteArray_FromStringAndSize(ptr::null(), len) };
                let object = owned(py, object)?;
                // SAFETY: it is a `bytearray`, as made above.
                let start = unsafe { ffi::PyByteArray_AsString(object.as_ptr()) };
                Some((object, start.cast()))
            }
        };
        let unfilled = |(object, start): (Bound<'_, PyAny>, *mut u8)| {
            Some(Self {
                object: object.unbind(),
                left: Some((NonNull::new(start)?, content)),
            })
        };
        Ok(allocated.and_then(unfilled))
    }

    /// Writes the content; once, in any thread.
    pub(crate) fn fill(&mut self) {
        let Some((start, content)) = self.left.take() else {
            return;
        };
        // SAFETY: the object was made for so many bytes from `start` on, and nobody else has it.
        touch(unsafe { std::slice::from_raw_parts_mut(start.as_ptr().cast(), content.size()) });
        match content {
            Content::Bytes(bytes)
            | Content::ByteArray(bytes)
            | Content::Text(Text::Ascii(bytes)) => {
                // SAFETY: the object was made for `bytes.len()` bytes from `start` on, and nobody
                // else has it.
                unsafe { start.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
            }
            Content::Text(Text::Wide { text, chars, width }) => match width {
                Width::One => write_chars(text, units(start, chars, &mut self.object), |char| {
                    MaybeUninit::new(u32::from(char) as u8)
                }),
                Width::Two => write_chars(text, units(start, chars, &mut self.object), |char| {
                    MaybeUninit::new(u32::from(char) as u16)
                }),
                Width::Four => write_chars(text, units(start, chars, &mut self.object), |char| {
                    MaybeUninit::new(u32::from(char))
                }),
            },
        }
    }

    /// The object with its content.
    pub(crate) fn finish(mut self) -> Py<PyAny> {
        self.fill();
        self.object
    }
}

/// The characters of a `str` that nobody else has.
fn units<T>(start: NonNull<u8>, chars: usize, _of: &mut Py<PyAny>) -> &mut [MaybeUninit<T>] {
    // SAFETY: `allocated_text` has made the object for `chars` characters of `T`'s size from `start`
    // on, which is aligned for them (see `Header::find`); they live as long as the object.
    unsafe { std::slice::from_raw_parts_mut(start.as_ptr().cast(), chars) }
}

fn owned(py: Python<'_>, object: *mut ffi::PyObject) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: a new reference or null with an exception set, as the function that was called says.
    unsafe { Bound::from_owned_ptr_or_err(py, object) }
}

/// A `str` for `text`, and where its characters begin.
fn allocated_text<'py>(
    py: Python<'py>,
    text: Text<'_>,
) -> PyResult<Option<(Bound<'py, PyAny>, *mut u8)>> {
    let seed = match text {
        Text::Ascii(_) => "ab",
        Text::Wide { width, .. } => seed(width),
    };
    // Grown from two characters of the same width: the stable ABI has no other way. A text of one
    // character could be one that the interpreter shares.
    let Ok(chars) = ffi::Py_ssize_t::try_from(text.chars()) else {
        return Ok(None);
    };
    let header = match text {
        Text::Ascii(_) => None,
        Text::Wide { .. } => match Header::get(py) {
            Some(header) => Some(header.0),
            None => return Ok(None),
        },
    };
    let mut object = PyString::new(py, seed).into_any().unbind().into_ptr();
    // SAFETY: we are attached, and the only ones to hold this `str`. It is replaced by the longer
    // one, or by null with an exception set.
    unsafe { ffi::PyUnicode_Resize(&raw mut object, chars) };
    let object = owned(py, object)?;
    let start = match header {
        // SAFETY: the header lies in front of the characters of every `str` made this way.
        Some(header) => unsafe { object.as_ptr().cast::<u8>().add(header) },
        // SAFETY: it is a `str`. The UTF-8 of ASCII is its characters themselves.
        None => unsafe {
            ffi::PyUnicode_AsUTF8AndSize(object.as_ptr(), ptr::null_mut())
                .cast::<u8>()
                .cast_mut()
        },
    };
    Ok(Some((object, start)))
}

/// Two characters of a width.
fn seed(width: Width) -> &'static str {
    match width {
        Width::One => "\u{e9}\u{e8}",
        Width::Two => "\u{4e2d}\u{6587}",
        Width::Four => "\u{1f600}\u{1f643}",
    }
}

/// Bytes in front of the characters of a `str` that is not ASCII. The stable ABI does not tell them,
/// so they are found by a trial, and nothing is done by them where it fails.
struct Header(usize);

impl Header {
    fn get(py: Python<'_>) -> Option<&'static Self> {
        static FOUND: PyOnceLock<Option<Header>> = PyOnceLock::new();
        FOUND.get_or_init(py, || Self::find(py)).as_ref()
    }

    fn find(py: Python<'_>) -> Option<Self> {
        let mut found = None;
        for width in [Width::One, Width::Two, Width::Four] {
            let text = seed(width);
            let object = PyString::new(py, text);
            // The characters lie at the object's end, and a zero behind them.
            let size: usize = object.call_method0("__sizeof__").ok()?.extract().ok()?;
            let tail = (text.chars().count() + 1) * width.bytes();
            let header = size.checked_sub(tail)?;
            // SAFETY: the object says that so many bytes are its own; they are initialised, as its
            // header and characters are.
            let bytes = unsafe { std::slice::from_raw_parts(object.as_ptr().cast::<u8>(), size) };
            let expected: Vec<u8> = text
                .chars()
                .chain(['\0'])
                .flat_map(|char| u32::from(char).to_ne_bytes()[..width.bytes()].to_vec())
                .collect();
            let is_right = bytes[header..] == expected
                && header.is_multiple_of(align_of::<u32>())
                && found.is_none_or(|found| found == header);
            if !is_right {
                return None;
            }
            found = Some(header);
        }
        found.map(Self)
    }
}
