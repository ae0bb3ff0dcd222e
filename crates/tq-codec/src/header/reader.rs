//! Walks a header, trusting nothing in it: every count is bounded by the bytes that are left, every
//! frame number by the frame table, every shape by its frame's length, every depth by
//! [`MAX_DEPTH`]. Nothing is allocated by a declared size.

use tq_proto::DType;

use super::cursor::Cursor;
use super::{FrameLengths, Node, Tag, TensorNode, tensor_flags};
use crate::error::FormatError;
use crate::layout::MAX_DEPTH;

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
    at: u64,
    content: u64,
    end: u64,
}

/// Walks one header.
pub struct HeaderReader<'a> {
    cursor: Cursor<'a>,
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
            cursor: Cursor::new(header),
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
        let left = self.cursor.left();
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
        let at = self.cursor.at();
        let marker = self.cursor.byte()?;
        Ok(match marker {
            0xc0 => Node::Null,
            0xc2 => Node::Bool(false),
            0xc3 => Node::Bool(true),
            0x00..=0x7f | 0xcc..=0xcf => Node::UInt(self.cursor.uint_body(marker)?),
            0xe0..=0xff | 0xd0..=0xd3 => match self.cursor.int_body(marker)? {
                value @ ..0 => Node::Int(value),
                value => Node::UInt(value.unsigned_abs()),
            },
            0xca => Node::Float(f64::from(f32::from_bits(u32::from_be_bytes(
                self.cursor.chunk()?,
            )))),
            0xcb => Node::Float(f64::from_bits(u64::from_be_bytes(self.cursor.chunk()?))),
            0xa0..=0xbf | 0xd9..=0xdb => Node::Text(self.cursor.text_body(marker)?),
            0xc4..=0xc6 => Node::Bytes(self.cursor.bytes_body(marker)?),
            0x90..=0x9f | 0xdc | 0xdd => {
                let count = self.cursor.list_body(marker)?;
                Node::List(self.enter(u64::from(count), count, None, at)?)
            }
            0x80..=0x8f | 0xde | 0xdf => {
                let count = self.cursor.map_body(marker)?;
                Node::Map(self.enter(u64::from(count) * 2, count, None, at)?)
            }
            0xc7..=0xc9 | 0xd4..=0xd8 => self.extension(marker, at)?,
            0xc1 => {
                return Err(FormatError::HeaderSyntax {
                    at,
                    what: "marker 0xc1",
                });
            }
        })
    }

    fn extension(&mut self, marker: u8, at: u64) -> Result<Node<'a>, FormatError> {
        let declared = match marker {
            0xc7 => u64::from(self.cursor.byte()?),
            0xc8 => u64::from(u16::from_be_bytes(self.cursor.chunk()?)),
            0xc9 => u64::from(u32::from_be_bytes(self.cursor.chunk()?)),
            _ => 1 << (marker - 0xd4),
        };
        let tag = i8::from_be_bytes(self.cursor.chunk()?);
        let content = self.cursor.at();
        if declared > self.cursor.left() {
            return Err(FormatError::HeaderTruncated { at });
        }
        let extension = Extension {
            tag,
            at,
            content,
            end: content + declared,
        };
        let kind = Tag::from_code(tag).ok_or(FormatError::UnknownTag { tag, at })?;
        let node = match kind {
            Tag::Tensor => self.tensor()?,
            Tag::Array => self.array()?,
            Tag::FrameText => Node::FrameText(self.frame()?),
            Tag::FrameBytes => Node::FrameBytes(self.frame()?),
            Tag::FrameByteArray => Node::FrameByteArray(self.frame()?),
            Tag::Tuple => return self.elements(extension).map(Node::Tuple),
            Tag::Set => return self.elements(extension).map(Node::Set),
            Tag::FrozenSet => return self.elements(extension).map(Node::FrozenSet),
            Tag::ByteArray => Node::ByteArray(self.cursor.bytes_value()?),
            Tag::BigInt => Node::BigInt(self.cursor.bytes_value()?),
            Tag::SurrogateText => Node::SurrogateText(self.cursor.bytes_value()?),
            Tag::Complex => Node::Complex(self.cursor.float_value()?, self.cursor.float_value()?),
            Tag::Named => {
                let name = self.cursor.text_value()?;
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
        let at = self.cursor.at();
        let marker = self.cursor.byte()?;
        if !matches!(marker, 0x90..=0x9f | 0xdc | 0xdd) {
            return Err(FormatError::HeaderSyntax {
                at,
                what: "a list was expected",
            });
        }
        let count = self.cursor.list_body(marker)?;
        self.enter(u64::from(count), count, Some(extension), at)
    }

    fn tensor(&mut self) -> Result<Node<'a>, FormatError> {
        let code = self.cursor.uint_value()?;
        let dtype = u8::try_from(code)
            .ok()
            .and_then(DType::from_code)
            .ok_or(FormatError::UnknownDType { code })?;
        let flags_at = self.cursor.at();
        let flags = u8::try_from(self.cursor.uint_value()?)
            .ok()
            .filter(|flags| flags & !tensor_flags::KNOWN == 0)
            .ok_or(FormatError::HeaderSyntax {
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
        let descr = self.cursor.text_value()?;
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
        let at = self.cursor.at();
        let dimensions = self.cursor.uint_value()?;
        self.check_count(dimensions, at)?;
        self.shape.clear();
        for _ in 0..dimensions {
            let dim = self.cursor.uint_value()?;
            self.shape.push(dim);
        }
        Ok(found)
    }

    fn frame(&mut self) -> Result<u32, FormatError> {
        Ok(self.next_frame()?.0)
    }

    fn next_frame(&mut self) -> Result<(u32, u64), FormatError> {
        let found = self.cursor.uint_value()?;
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
        at: u64,
    ) -> Result<u32, FormatError> {
        self.check_count(values, at)?;
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
        if self.cursor.at() == extension.end {
            return Ok(());
        }
        Err(FormatError::TagLength {
            tag: extension.tag,
            at: extension.at,
            declared: extension.end - extension.content,
            found: self.cursor.at() - extension.content,
        })
    }

    /// Each value takes a byte at least, so a larger count is a lie.
    fn check_count(&self, count: u64, at: u64) -> Result<(), FormatError> {
        if count > self.cursor.left() {
            return Err(FormatError::CountTooLarge { count, at });
        }
        Ok(())
    }
}
