//! A plain Rust tree of what a packed buffer can hold, for tools, tests and Rust clients. The
//! Python binding does not use it: it walks its own objects.

use tq_proto::DType;

use crate::error::{FormatError, PlanError};
use crate::header::{HeaderWriter, Node, Tag};
use crate::layout::MAX_DEPTH;
use crate::plan::Plan;
use crate::view::PackedView;
use crate::write::{Slot, write_value};

/// One value.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs, reason = "named after the nodes of a header")]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Tuple(Vec<Value>),
    Set(Vec<Value>),
    FrozenSet(Vec<Value>),
    Tensor {
        dtype: DType,
        flags: u8,
        shape: Vec<u64>,
        bytes: Vec<u8>,
    },
    Array {
        descr: String,
        shape: Vec<u64>,
        bytes: Vec<u8>,
    },
    FrameText(Vec<u8>),
    FrameBytes(Vec<u8>),
    FrameByteArray(Vec<u8>),
    ByteArray(Vec<u8>),
    BigInt(Vec<u8>),
    Complex(f64, f64),
    SurrogateText(Vec<u8>),
    Named(String, Box<Value>),
    Pickle(Box<Value>, Box<Value>),
}

impl Value {
    /// The packed buffer of this value.
    ///
    /// # Errors
    /// [`PlanError`] where it nests too deep or is too large.
    pub fn pack(&self, checksum: bool) -> Result<Vec<u8>, PlanError> {
        let mut header = Vec::new();
        let mut frames: Vec<&[u8]> = Vec::new();
        let mut writer = HeaderWriter::new(&mut header);
        self.describe(&mut writer, &mut frames, 0)?;
        writer.check()?;
        let plan = Plan::new(
            header.len() as u64,
            frames.iter().map(|frame| frame.len() as u64),
        )?;
        let mut buffer = vec![0; plan.total_len as usize];
        let slot = Slot {
            plan,
            header: &header,
            frames: &frames,
            buffer: &mut buffer,
            checksum,
            empty: false,
        };
        write_value(slot)?;
        Ok(buffer)
    }

    fn is_container(&self) -> bool {
        matches!(
            self,
            Self::List(_)
                | Self::Map(_)
                | Self::Tuple(_)
                | Self::Set(_)
                | Self::FrozenSet(_)
                | Self::Named(..)
                | Self::Pickle(..)
        )
    }

    fn describe<'a>(
        &'a self,
        out: &mut HeaderWriter<'_>,
        frames: &mut Vec<&'a [u8]>,
        depth: usize,
    ) -> Result<(), PlanError> {
        if depth >= MAX_DEPTH && self.is_container() {
            return Err(PlanError::TooDeep);
        }
        let mut frame = |bytes: &'a [u8]| -> Result<u32, PlanError> {
            let number = u32::try_from(frames.len()).map_err(|_| PlanError::TooManyFrames)?;
            frames.push(bytes);
            Ok(number)
        };
        match self {
            Self::Null => out.null(),
            Self::Bool(value) => out.bool(*value),
            Self::Int(value) => out.int(*value),
            Self::UInt(value) => out.uint(*value),
            Self::Float(value) => out.float(*value),
            Self::Text(value) => out.text(value),
            Self::Bytes(value) => out.bytes(value),
            Self::Tensor {
                dtype,
                flags,
                shape,
                bytes,
            } => {
                out.tensor(*dtype, *flags, frame(bytes)?, shape);
            }
            Self::Array {
                descr,
                shape,
                bytes,
            } => out.array(descr, frame(bytes)?, shape),
            Self::FrameText(bytes) => out.in_frame(Tag::FrameText, frame(bytes)?),
            Self::FrameBytes(bytes) => out.in_frame(Tag::FrameBytes, frame(bytes)?),
            Self::FrameByteArray(bytes) => out.in_frame(Tag::FrameByteArray, frame(bytes)?),
            Self::ByteArray(bytes) => out.tagged_bytes(Tag::ByteArray, bytes),
            Self::BigInt(bytes) => out.tagged_bytes(Tag::BigInt, bytes),
            Self::SurrogateText(bytes) => out.tagged_bytes(Tag::SurrogateText, bytes),
            Self::Complex(real, imaginary) => out.complex(*real, *imaginary),
            Self::List(values) => {
                out.list(values.len());
                for value in values {
                    value.describe(out, frames, depth + 1)?;
                }
            }
            Self::Map(pairs) => {
                out.map(pairs.len());
                for (key, value) in pairs {
                    key.describe(out, frames, depth + 1)?;
                    value.describe(out, frames, depth + 1)?;
                }
            }
            Self::Tuple(values) => Self::elements(Tag::Tuple, values, out, frames, depth)?,
            Self::Set(values) => Self::elements(Tag::Set, values, out, frames, depth)?,
            Self::FrozenSet(values) => Self::elements(Tag::FrozenSet, values, out, frames, depth)?,
            Self::Named(name, value) => {
                let mark = out.begin_named(name);
                value.describe(out, frames, depth + 1)?;
                out.end(mark);
            }
            Self::Pickle(bytes, values) => {
                let mark = out.begin_pickle();
                bytes.describe(out, frames, depth + 1)?;
                values.describe(out, frames, depth + 1)?;
                out.end(mark);
            }
        }
        Ok(())
    }

    fn elements<'a>(
        tag: Tag,
        values: &'a [Value],
        out: &mut HeaderWriter<'_>,
        frames: &mut Vec<&'a [u8]>,
        depth: usize,
    ) -> Result<(), PlanError> {
        let mark = out.begin_elements(tag, values.len());
        for value in values {
            value.describe(out, frames, depth + 1)?;
        }
        out.end(mark);
        Ok(())
    }

    /// Reads a packed buffer back, its frames' checksum included. An empty one is [`Value::Null`].
    ///
    /// # Errors
    /// [`FormatError`] naming what is wrong.
    pub fn unpack(buffer: &[u8]) -> Result<Self, FormatError> {
        let view = PackedView::parse(buffer)?;
        view.verify_frames(buffer)?;
        if view.is_empty() {
            return Ok(Self::Null);
        }
        Builder { buffer, view }.build()
    }
}

/// A container whose elements are still coming. `first` is what stands before them.
struct Pending {
    kind: Value,
    left: usize,
    values: Vec<Value>,
}

struct Builder<'a> {
    buffer: &'a [u8],
    view: PackedView<'a>,
}

impl Builder<'_> {
    fn frame(&self, frame: u32) -> Vec<u8> {
        self.view
            .frame_range(frame)
            .map_or_else(Vec::new, |range| self.buffer[range].to_vec())
    }

    fn build(&self) -> Result<Value, FormatError> {
        let mut reader = self.view.reader();
        let mut stack: Vec<Pending> = Vec::new();
        let mut done = Value::Null;
        while let Some(node) = reader.step()? {
            let (kind, left) = self.open(node, reader.shape());
            if left > 0 {
                stack.push(Pending {
                    kind,
                    left,
                    values: Vec::new(),
                });
                continue;
            }
            let mut value = close(kind, Vec::new());
            loop {
                let Some(parent) = stack.last_mut() else {
                    done = value;
                    break;
                };
                parent.values.push(value);
                parent.left -= 1;
                if parent.left > 0 {
                    break;
                }
                let Some(Pending { kind, values, .. }) = stack.pop() else {
                    break;
                };
                value = close(kind, values);
            }
        }
        Ok(done)
    }

    /// The value of a node without its elements, and how many of these follow.
    fn open(&self, node: Node<'_>, shape: &[u64]) -> (Value, usize) {
        let value = match node {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(value),
            Node::Int(value) => Value::Int(value),
            Node::UInt(value) => Value::UInt(value),
            Node::Float(value) => Value::Float(value),
            Node::Text(value) => Value::Text(value.to_owned()),
            Node::Bytes(value) => Value::Bytes(value.to_vec()),
            Node::Tensor(tensor) => Value::Tensor {
                dtype: tensor.dtype,
                flags: tensor.flags,
                shape: shape.to_vec(),
                bytes: self.frame(tensor.frame),
            },
            Node::Array { frame, descr } => Value::Array {
                descr: descr.to_owned(),
                shape: shape.to_vec(),
                bytes: self.frame(frame),
            },
            Node::FrameText(frame) => Value::FrameText(self.frame(frame)),
            Node::FrameBytes(frame) => Value::FrameBytes(self.frame(frame)),
            Node::FrameByteArray(frame) => Value::FrameByteArray(self.frame(frame)),
            Node::ByteArray(value) => Value::ByteArray(value.to_vec()),
            Node::BigInt(value) => Value::BigInt(value.to_vec()),
            Node::SurrogateText(value) => Value::SurrogateText(value.to_vec()),
            Node::Complex(real, imaginary) => Value::Complex(real, imaginary),
            Node::List(count) => return (Value::List(Vec::new()), count as usize),
            Node::Map(count) => return (Value::Map(Vec::new()), count as usize * 2),
            Node::Tuple(count) => return (Value::Tuple(Vec::new()), count as usize),
            Node::Set(count) => return (Value::Set(Vec::new()), count as usize),
            Node::FrozenSet(count) => return (Value::FrozenSet(Vec::new()), count as usize),
            Node::Named(name) => return (Value::Named(name.to_owned(), Box::new(Value::Null)), 1),
            Node::Pickle => {
                return (
                    Value::Pickle(Box::new(Value::Null), Box::new(Value::Null)),
                    2,
                );
            }
        };
        (value, 0)
    }
}

fn close(kind: Value, values: Vec<Value>) -> Value {
    let mut values = values.into_iter();
    match kind {
        Value::List(_) => Value::List(values.collect()),
        Value::Tuple(_) => Value::Tuple(values.collect()),
        Value::Set(_) => Value::Set(values.collect()),
        Value::FrozenSet(_) => Value::FrozenSet(values.collect()),
        Value::Map(_) => {
            let mut pairs = Vec::new();
            while let (Some(key), Some(value)) = (values.next(), values.next()) {
                pairs.push((key, value));
            }
            Value::Map(pairs)
        }
        Value::Named(name, _) => Value::Named(name, Box::new(values.next().unwrap_or(Value::Null))),
        Value::Pickle(..) => {
            let bytes = values.next().unwrap_or(Value::Null);
            Value::Pickle(
                Box::new(bytes),
                Box::new(values.next().unwrap_or(Value::Null)),
            )
        }
        leaf => leaf,
    }
}
