//! Walks a header, trusting nothing in it: every count is bounded by the bytes that are left, every
//! frame number by the frame table, every shape by its frame's length, every depth by
//! [`MAX_DEPTH`]. Nothing is allocated by a declared size.

use tq_proto::DType;

use super::Tag;
use crate::error::FormatError;
use crate::layout::{MAX_DEPTH, TABLE_ENTRY_LEN, read_u64};

/// One step of the walk. Containers are followed by their elements, which are steps of their own.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Node<'a> {
    /// `None`.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer below zero.
    Int(i64),
    /// An integer from zero.
    UInt(u64),
    /// A float.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A list; so many values follow.
    List(u32),
    /// A map; so many pairs follow, key first.
    Map(u32),
    /// A tuple; so many values follow.
    Tuple(u32),
    /// A set; so many values follow.
    Set(u32),
    /// A frozenset; so many values follow.
    FrozenSet(u32),
    /// A tensor; its shape is [`HeaderReader::shape`] until the next step.
    Tensor(TensorNode),
    /// A NumPy array: frame and dtype text; its shape is [`HeaderReader::shape`].
    Array {
        /// Frame number.
        frame: u32,
        /// `dtype.str`, such as `<f4`; not checked here beyond UTF-8.
        descr: &'a str,
    },
    /// Text in the frame of that number; not checked to be UTF-8.
    FrameText(u32),
    /// Bytes in the frame of that number.
    FrameBytes(u32),
    /// A bytearray in the frame of that number.
    FrameByteArray(u32),
    /// A bytearray.
    ByteArray(&'a [u8]),
    /// An integer of any size: two's complement, little-endian.
    BigInt(&'a [u8]),
    /// A complex number: real part, imaginary part.
    Complex(f64, f64),
    /// Text with lone surrogates, as UTF-8 that encodes them too.
    SurrogateText(&'a [u8]),
    /// A value rebuilt by name; one value follows.
    Named(&'a str),
    /// A pickle; two values follow: its bytes, and the list of values it refers to.
    Pickle,
}

/// What a header says of a tensor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TensorNode {
    /// Element type.
    pub dtype: DType,
    /// See [`super::tensor_flags`].
    pub flags: u8,
    /// Frame number.
    pub frame: u32,
}

/// Lengths of the frames a header may refer to.
#[derive(Clone, Copy, Debug)]
pub enum FrameLengths<'a> {
    /// A validated frame table.
    Table(&'a [u8]),
    /// One length per frame.
    Given(&'a [u64]),
}

impl FrameLengths<'_> {
    /// Number of frames.
    #[must_use]
    pub fn count(&self) -> u32 {
        match self {
            Self::Table(table) => (table.len() / TABLE_ENTRY_LEN) as u32,
            Self::Given(lengths) => lengths.len() as u32,
        }
    }

    fn get(&self, frame: u64) -> Result<(u32, u64), FormatError> {
        if frame >= u64::from(self.count()) {
            return Err(FormatError::NoSuchFrame {
                frame,
                count: self.count(),
            });
        }
        let len = match self {
            Self::Table(table) => read_u64(table, frame as usize * TABLE_ENTRY_LEN + 8),
            Self::Given(lengths) => lengths[frame as usize],
        };
        Ok((frame as u32, len))
    }
}

/// A container that is being walked.
struct Open {
    /// Values still to come.
    left: u64,
    /// For an extension: its code, where it starts, where its content starts and must end.
    extension: Option<Extension>,
}

#[derive(Clone, Copy)]
struct Extension {
    tag: i8,
    at: usize,
    content: usize,
    end: usize,
}

/// Walks one header.
pub struct HeaderReader<'a> {
    bytes: &'a [u8],
    at: usize,
    lengths: FrameLengths<'a>,
    open: Vec<Open>,
    shape: Vec<u64>,
    /// Frames named so far, and so the number of the only frame that may come next.
    named: u32,
    started: bool,
    /// A failed walk has lost its place, so it can only fail again.
    failed: Option<FormatError>,
}

impl<'a> HeaderReader<'a> {
    /// Walks `header`, whose tensors lie in frames of `lengths`.
    #[must_use]
    pub fn new(header: &'a [u8], lengths: FrameLengths<'a>) -> Self {
        Self {
            bytes: header,
            at: 0,
            lengths,
            open: Vec::new(),
            shape: Vec::new(),
            named: 0,
            started: false,
            failed: None,
        }
    }

    /// Shape of the tensor or array that the last step returned.
    #[must_use]
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The next step, or `None` after the whole value.
    ///
    /// # Errors
    /// [`FormatError`] naming what the header gets wrong, and where; the same one from then on.
    pub fn step(&mut self) -> Result<Option<Node<'a>>, FormatError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.advance()
            .inspect_err(|error| self.failed = Some(error.clone()))
    }

    fn advance(&mut self) -> Result<Option<Node<'a>>, FormatError> {
        if self.started && self.open.is_empty() {
            return self.finish().map(|()| None);
        }
        self.started = true;
        let node = self.node()?;
        // A container that just opened has been pushed above the one it is an element of, and
        // counted there already; see `enter`.
        self.close_finished()?;
        Ok(Some(node))
    }

    fn finish(&self) -> Result<(), FormatError> {
        let left = (self.bytes.len() - self.at) as u64;
        if left > 0 {
            return Err(FormatError::HeaderTrailing { left });
        }
        let (named, count) = (self.named, self.lengths.count());
        if named < count {
            return Err(FormatError::UnusedFrames { named, count });
        }
        Ok(())
    }

    fn node(&mut self) -> Result<Node<'a>, FormatError> {
        if let Some(parent) = self.open.last_mut() {
            parent.left -= 1;
        }
        let at = self.at;
        let marker = self.byte()?;
        Ok(match marker {
            0xc0 => Node::Null,
            0xc2 => Node::Bool(false),
            0xc3 => Node::Bool(true),
            0x00..=0x7f | 0xcc..=0xcf => Node::UInt(self.uint_body(marker)?),
            0xe0..=0xff | 0xd0..=0xd3 => match self.int_body(marker)? {
                value @ ..0 => Node::Int(value),
                value => Node::UInt(value.unsigned_abs()),
            },
            0xca => Node::Float(f64::from(f32::from_bits(u32::from_be_bytes(self.chunk()?)))),
            0xcb => Node::Float(f64::from_bits(u64::from_be_bytes(self.chunk()?))),
            0xa0..=0xbf | 0xd9..=0xdb => Node::Text(self.text_body(marker)?),
            0xc4..=0xc6 => Node::Bytes(self.bytes_body(marker)?),
            0x90..=0x9f | 0xdc | 0xdd => {
                let count = self.list_body(marker)?;
                Node::List(self.enter(u64::from(count), count, None, at)?)
            }
            0x80..=0x8f | 0xde | 0xdf => {
                let count = match marker {
                    0xde => u32::from(u16::from_be_bytes(self.chunk()?)),
                    0xdf => u32::from_be_bytes(self.chunk()?),
                    _ => u32::from(marker & 0x0f),
                };
                Node::Map(self.enter(u64::from(count) * 2, count, None, at)?)
            }
            0xc7..=0xc9 | 0xd4..=0xd8 => self.extension(marker, at)?,
            0xc1 => {
                return Err(FormatError::HeaderSyntax {
                    at: at as u64,
                    what: "marker 0xc1",
                });
            }
        })
    }

    fn extension(&mut self, marker: u8, at: usize) -> Result<Node<'a>, FormatError> {
        let declared = match marker {
            0xc7 => u64::from(self.byte()?),
            0xc8 => u64::from(u16::from_be_bytes(self.chunk()?)),
            0xc9 => u64::from(u32::from_be_bytes(self.chunk()?)),
            _ => 1 << (marker - 0xd4),
        };
        let tag = i8::from_be_bytes(self.chunk()?);
        let content = self.at;
        if declared > (self.bytes.len() - content) as u64 {
            return Err(FormatError::HeaderTruncated { at: at as u64 });
        }
        let extension = Extension {
            tag,
            at,
            content,
            end: content + declared as usize,
        };
        let kind = Tag::from_code(tag).ok_or(FormatError::UnknownTag { tag, at: at as u64 })?;
        let node = match kind {
            Tag::Tensor => self.tensor()?,
            Tag::Array => self.array()?,
            Tag::FrameText => Node::FrameText(self.frame()?),
            Tag::FrameBytes => Node::FrameBytes(self.frame()?),
            Tag::FrameByteArray => Node::FrameByteArray(self.frame()?),
            Tag::Tuple => return self.elements(extension).map(Node::Tuple),
            Tag::Set => return self.elements(extension).map(Node::Set),
            Tag::FrozenSet => return self.elements(extension).map(Node::FrozenSet),
            Tag::ByteArray => Node::ByteArray(self.bytes_value()?),
            Tag::BigInt => Node::BigInt(self.bytes_value()?),
            Tag::SurrogateText => Node::SurrogateText(self.bytes_value()?),
            Tag::Complex => Node::Complex(self.float_value()?, self.float_value()?),
            Tag::Named => {
                let name = self.text_value()?;
                self.enter(1, 1, Some(extension), at)?;
                return Ok(Node::Named(name));
            }
            Tag::Pickle => {
                self.enter(2, 2, Some(extension), at)?;
                return Ok(Node::Pickle);
            }
        };
        self.check_end(extension)?;
        Ok(node)
    }

    fn elements(&mut self, extension: Extension) -> Result<u32, FormatError> {
        let at = self.at;
        let marker = self.byte()?;
        if !matches!(marker, 0x90..=0x9f | 0xdc | 0xdd) {
            return Err(FormatError::HeaderSyntax {
                at: at as u64,
                what: "a list was expected",
            });
        }
        let count = self.list_body(marker)?;
        self.enter(u64::from(count), count, Some(extension), at)
    }

    fn tensor(&mut self) -> Result<Node<'a>, FormatError> {
        let code = self.uint_value()?;
        let dtype = u8::try_from(code)
            .ok()
            .and_then(DType::from_code)
            .ok_or(FormatError::UnknownDType { code })?;
        let flags_at = self.at as u64;
        let flags = u8::try_from(self.uint_value()?).map_err(|_| FormatError::HeaderSyntax {
            at: flags_at,
            what: "tensor flags",
        })?;
        let (frame, found) = self.frame_and_shape()?;
        let needed = dtype.byte_len(&self.shape);
        if needed != Some(found) {
            let shape = self.shape.clone();
            return Err(FormatError::FrameLength {
                frame,
                found,
                dtype,
                shape,
                needed,
            });
        }
        Ok(Node::Tensor(TensorNode {
            dtype,
            flags,
            frame,
        }))
    }

    fn array(&mut self) -> Result<Node<'a>, FormatError> {
        let (frame, found) = self.frame_and_shape()?;
        let descr = self.text_value()?;
        // The item size is the reader's to know (it owns the dtype); what can be checked here is
        // that the elements divide the frame.
        let elements = DType::UInt8.byte_len(&self.shape);
        let divides = match elements {
            Some(0) => found == 0,
            Some(count) => found % count == 0,
            None => false,
        };
        if !divides {
            let shape = self.shape.clone();
            return Err(FormatError::ArrayLength {
                frame,
                found,
                shape,
                needed: elements,
            });
        }
        Ok(Node::Array { frame, descr })
    }

    fn frame_and_shape(&mut self) -> Result<(u32, u64), FormatError> {
        let found = self.next_frame()?;
        let at = self.at as u64;
        let dimensions = self.uint_value()?;
        self.check_count(dimensions, at)?;
        self.shape.clear();
        for _ in 0..dimensions {
            let dim = self.uint_value()?;
            self.shape.push(dim);
        }
        Ok(found)
    }

    fn frame(&mut self) -> Result<u32, FormatError> {
        Ok(self.next_frame()?.0)
    }

    fn next_frame(&mut self) -> Result<(u32, u64), FormatError> {
        let found = self.uint_value()?;
        let frame = self.lengths.get(found)?;
        if frame.0 != self.named {
            return Err(FormatError::FrameOrder {
                found,
                expected: self.named,
            });
        }
        self.named += 1;
        Ok(frame)
    }

    /// Opens a container of `values` values; returns `count`.
    fn enter(
        &mut self,
        values: u64,
        count: u32,
        extension: Option<Extension>,
        at: usize,
    ) -> Result<u32, FormatError> {
        self.check_count(values, at as u64)?;
        if self.open.len() >= MAX_DEPTH {
            return Err(FormatError::TooDeep);
        }
        self.open.push(Open {
            left: values,
            extension,
        });
        Ok(count)
    }

    fn close_finished(&mut self) -> Result<(), FormatError> {
        while let Some(Open { left: 0, extension }) = self.open.last() {
            if let Some(extension) = *extension {
                self.check_end(extension)?;
            }
            self.open.pop();
        }
        Ok(())
    }

    fn check_end(&self, extension: Extension) -> Result<(), FormatError> {
        if self.at == extension.end {
            return Ok(());
        }
        Err(FormatError::TagLength {
            tag: extension.tag,
            at: extension.at as u64,
            declared: (extension.end - extension.content) as u64,
            found: (self.at - extension.content) as u64,
        })
    }

    /// Each value takes a byte at least, so a larger count is a lie.
    fn check_count(&self, count: u64, at: u64) -> Result<(), FormatError> {
        if count > (self.bytes.len() - self.at) as u64 {
            return Err(FormatError::CountTooLarge { count, at });
        }
        Ok(())
    }

    fn uint_value(&mut self) -> Result<u64, FormatError> {
        let at = self.at as u64;
        match self.byte()? {
            marker @ (0x00..=0x7f | 0xcc..=0xcf) => self.uint_body(marker),
            _ => Err(FormatError::HeaderSyntax {
                at,
                what: "an unsigned integer was expected",
            }),
        }
    }

    fn float_value(&mut self) -> Result<f64, FormatError> {
        let at = self.at as u64;
        match self.byte()? {
            0xcb => Ok(f64::from_bits(u64::from_be_bytes(self.chunk()?))),
            _ => Err(FormatError::HeaderSyntax {
                at,
                what: "a float was expected",
            }),
        }
    }

    fn text_value(&mut self) -> Result<&'a str, FormatError> {
        let at = self.at as u64;
        match self.byte()? {
            marker @ (0xa0..=0xbf | 0xd9..=0xdb) => self.text_body(marker),
            _ => Err(FormatError::HeaderSyntax {
                at,
                what: "a text was expected",
            }),
        }
    }

    fn bytes_value(&mut self) -> Result<&'a [u8], FormatError> {
        let at = self.at as u64;
        match self.byte()? {
            marker @ 0xc4..=0xc6 => self.bytes_body(marker),
            _ => Err(FormatError::HeaderSyntax {
                at,
                what: "bytes were expected",
            }),
        }
    }

    fn uint_body(&mut self, marker: u8) -> Result<u64, FormatError> {
        Ok(match marker {
            0xcc => u64::from(self.byte()?),
            0xcd => u64::from(u16::from_be_bytes(self.chunk()?)),
            0xce => u64::from(u32::from_be_bytes(self.chunk()?)),
            0xcf => u64::from_be_bytes(self.chunk()?),
            _ => u64::from(marker),
        })
    }

    fn int_body(&mut self, marker: u8) -> Result<i64, FormatError> {
        Ok(match marker {
            0xd0 => i64::from(i8::from_be_bytes(self.chunk()?)),
            0xd1 => i64::from(i16::from_be_bytes(self.chunk()?)),
            0xd2 => i64::from(i32::from_be_bytes(self.chunk()?)),
            0xd3 => i64::from_be_bytes(self.chunk()?),
            _ => i64::from(marker as i8),
        })
    }

    fn list_body(&mut self, marker: u8) -> Result<u32, FormatError> {
        Ok(match marker {
            0xdc => u32::from(u16::from_be_bytes(self.chunk()?)),
            0xdd => u32::from_be_bytes(self.chunk()?),
            _ => u32::from(marker & 0x0f),
        })
    }

    fn text_body(&mut self, marker: u8) -> Result<&'a str, FormatError> {
        let at = self.at as u64;
        let len = match marker {
            0xd9 => u32::from(self.byte()?),
            0xda => u32::from(u16::from_be_bytes(self.chunk()?)),
            0xdb => u32::from_be_bytes(self.chunk()?),
            _ => u32::from(marker & 0x1f),
        };
        std::str::from_utf8(self.take(len)?).map_err(|_| FormatError::NotUtf8 { at })
    }

    fn bytes_body(&mut self, marker: u8) -> Result<&'a [u8], FormatError> {
        let len = match marker {
            0xc4 => u32::from(self.byte()?),
            0xc5 => u32::from(u16::from_be_bytes(self.chunk()?)),
            _ => u32::from_be_bytes(self.chunk()?),
        };
        self.take(len)
    }

    fn byte(&mut self) -> Result<u8, FormatError> {
        let byte = self
            .bytes
            .get(self.at)
            .copied()
            .ok_or(FormatError::HeaderTruncated { at: self.at as u64 })?;
        self.at += 1;
        Ok(byte)
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let chunk = self.bytes[self.at..]
            .first_chunk()
            .copied()
            .ok_or(FormatError::HeaderTruncated { at: self.at as u64 })?;
        self.at += N;
        Ok(chunk)
    }

    fn take(&mut self, len: u32) -> Result<&'a [u8], FormatError> {
        let rest = &self.bytes[self.at..];
        let taken = rest
            .get(..len as usize)
            .ok_or(FormatError::HeaderTruncated { at: self.at as u64 })?;
        self.at += len as usize;
        Ok(taken)
    }
}
