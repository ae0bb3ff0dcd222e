//! Writes a header. Infallible but for size: lengths beyond 32 bits are remembered and refused by
//! [`HeaderWriter::check`].

use tq_proto::DType;

use super::Tag;
use crate::error::PlanError;

/// Appends msgpack to a buffer that may already hold other headers.
pub struct HeaderWriter<'a> {
    out: &'a mut Vec<u8>,
    too_large: Option<&'static str>,
}

/// Start of an extension whose length is filled in by [`HeaderWriter::end`].
#[must_use]
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

impl<'a> HeaderWriter<'a> {
    /// Writes to the end of `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            too_large: None,
        }
    }

    /// Whether everything written so far fits the format.
    ///
    /// # Errors
    /// [`PlanError::HeaderTooLarge`] naming what did not.
    pub fn check(&self) -> Result<(), PlanError> {
        self.too_large
            .map_or(Ok(()), |what| Err(PlanError::HeaderTooLarge { what }))
    }

    /// `None`.
    pub fn null(&mut self) {
        self.out.push(0xc0);
    }

    /// A boolean.
    pub fn bool(&mut self, value: bool) {
        self.out.push(if value { 0xc3 } else { 0xc2 });
    }

    /// An integer that may be negative.
    pub fn int(&mut self, value: i64) {
        match value {
            0.. => self.uint(value.unsigned_abs()),
            -32..=-1 => self.out.extend((value as i8).to_be_bytes()),
            -0x80..=-33 => self.prefixed(0xd0, (value as i8).to_be_bytes()),
            -0x8000..=-0x81 => self.prefixed(0xd1, (value as i16).to_be_bytes()),
            -0x8000_0000..=-0x8001 => self.prefixed(0xd2, (value as i32).to_be_bytes()),
            _ => self.prefixed(0xd3, value.to_be_bytes()),
        }
    }

    /// An integer that is not negative.
    pub fn uint(&mut self, value: u64) {
        match value {
            0..=0x7f => self.out.push(value as u8),
            0x80..=0xff => self.prefixed(0xcc, (value as u8).to_be_bytes()),
            0x100..=0xffff => self.prefixed(0xcd, (value as u16).to_be_bytes()),
            0x1_0000..=0xffff_ffff => self.prefixed(0xce, (value as u32).to_be_bytes()),
            _ => self.prefixed(0xcf, value.to_be_bytes()),
        }
    }

    /// A float; every bit pattern survives, NaN payloads included.
    pub fn float(&mut self, value: f64) {
        self.prefixed(0xcb, value.to_bits().to_be_bytes());
    }

    /// Text.
    pub fn text(&mut self, value: &str) {
        match self.len32(value.len(), "a text") {
            len @ 0..=31 => self.out.push(0xa0 | len as u8),
            len @ 32..=0xff => self.prefixed(0xd9, (len as u8).to_be_bytes()),
            len @ 0x100..=0xffff => self.prefixed(0xda, (len as u16).to_be_bytes()),
            len => self.prefixed(0xdb, len.to_be_bytes()),
        }
        self.out.extend_from_slice(value.as_bytes());
    }

    /// Bytes.
    pub fn bytes(&mut self, value: &[u8]) {
        match self.len32(value.len(), "a bytes value") {
            len @ 0..=0xff => self.prefixed(0xc4, (len as u8).to_be_bytes()),
            len @ 0x100..=0xffff => self.prefixed(0xc5, (len as u16).to_be_bytes()),
            len => self.prefixed(0xc6, len.to_be_bytes()),
        }
        self.out.extend_from_slice(value);
    }

    /// Start of a list; `count` values follow.
    pub fn list(&mut self, count: usize) {
        match self.len32(count, "a list") {
            len @ 0..=15 => self.out.push(0x90 | len as u8),
            len @ 16..=0xffff => self.prefixed(0xdc, (len as u16).to_be_bytes()),
            len => self.prefixed(0xdd, len.to_be_bytes()),
        }
    }

    /// Start of a map; `count` pairs of values follow, key first.
    pub fn map(&mut self, count: usize) {
        match self.len32(count, "a map") {
            len @ 0..=15 => self.out.push(0x80 | len as u8),
            len @ 16..=0xffff => self.prefixed(0xde, (len as u16).to_be_bytes()),
            len => self.prefixed(0xdf, len.to_be_bytes()),
        }
    }

    /// A dense tensor whose bytes are frame number `frame`, row-major.
    pub fn tensor(&mut self, dtype: DType, flags: u8, frame: u32, shape: &[u64]) {
        let mark = self.begin(Tag::Tensor);
        self.uint(u64::from(dtype.code()));
        self.uint(u64::from(flags));
        self.frame_and_shape(frame, shape);
        self.end(mark);
    }

    /// A NumPy array whose bytes are frame number `frame`, row-major; `descr` is `dtype.str`.
    pub fn array(&mut self, descr: &str, frame: u32, shape: &[u64]) {
        let mark = self.begin(Tag::Array);
        self.frame_and_shape(frame, shape);
        self.text(descr);
        self.end(mark);
    }

    /// Text, bytes or bytearray whose bytes are frame number `frame`. `tag` is one of
    /// [`Tag::FrameText`], [`Tag::FrameBytes`], [`Tag::FrameByteArray`].
    pub fn in_frame(&mut self, tag: Tag, frame: u32) {
        let mark = self.begin(tag);
        self.uint(u64::from(frame));
        self.end(mark);
    }

    /// A value that is bytes under a tag of its own.
    pub fn tagged_bytes(&mut self, tag: Tag, value: &[u8]) {
        let mark = self.begin(tag);
        self.bytes(value);
        self.end(mark);
    }

    /// A complex number.
    pub fn complex(&mut self, real: f64, imaginary: f64) {
        let mark = self.begin(Tag::Complex);
        self.float(real);
        self.float(imaginary);
        self.end(mark);
    }

    /// Start of a tuple, set or frozenset of `count` values; close it with [`Self::end`].
    pub fn begin_elements(&mut self, tag: Tag, count: usize) -> Mark {
        let mark = self.begin(tag);
        self.list(count);
        mark
    }

    /// Start of a named value; one value follows, then [`Self::end`].
    pub fn begin_named(&mut self, name: &str) -> Mark {
        let mark = self.begin(Tag::Named);
        self.text(name);
        mark
    }

    /// Start of a pickle: a bytes value and a list follow, then [`Self::end`].
    pub fn begin_pickle(&mut self) -> Mark {
        self.begin(Tag::Pickle)
    }

    /// Fills in the length of what was begun.
    pub fn end(&mut self, mark: Mark) {
        let content = self.out.len() - mark.0 - EXT_PREFIX_LEN;
        let len = self.len32(content, "a tagged value");
        self.out[mark.0 + 1..mark.0 + 5].copy_from_slice(&len.to_be_bytes());
    }

    fn begin(&mut self, tag: Tag) -> Mark {
        let mark = Mark(self.out.len());
        // ext 32: marker, length (filled in by `end`), code.
        self.out
            .extend_from_slice(&[0xc9, 0, 0, 0, 0, tag as i8 as u8]);
        mark
    }

    fn frame_and_shape(&mut self, frame: u32, shape: &[u64]) {
        self.uint(u64::from(frame));
        self.uint(shape.len() as u64);
        for dim in shape {
            self.uint(*dim);
        }
    }

    fn prefixed<const N: usize>(&mut self, marker: u8, bytes: [u8; N]) {
        self.out.push(marker);
        self.out.extend_from_slice(&bytes);
    }

    fn len32(&mut self, len: usize, what: &'static str) -> u32 {
        u32::try_from(len).unwrap_or_else(|_| {
            self.too_large = Some(what);
            0
        })
    }
}

const EXT_PREFIX_LEN: usize = 6;
