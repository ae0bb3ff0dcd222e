//! Values made of arbitrary bytes. Sizes are kept small: what is looked for are shapes, not masses.

use arbitrary::Arbitrary;
use tq_codec::Value;
use tq_proto::DType;

/// A value, with lengths that always fit.
#[derive(Arbitrary, Debug)]
#[allow(missing_docs, reason = "named after the variants of `Value`")]
pub enum Tree {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(u64),
    Text(String),
    Bytes(Vec<u8>),
    Tensor {
        dtype: u8,
        flags: u8,
        shape: Vec<u8>,
        fill: u8,
    },
    Array {
        descr: String,
        shape: Vec<u8>,
        item_size: u8,
        fill: u8,
    },
    FrameText(Vec<u8>),
    FrameBytes(Vec<u8>),
    FrameByteArray(Vec<u8>),
    ByteArray(Vec<u8>),
    BigInt(Vec<u8>),
    SurrogateText(Vec<u8>),
    Complex(u64, u64),
    List(Vec<Tree>),
    Map(Vec<(Tree, Tree)>),
    Tuple(Vec<Tree>),
    Set(Vec<Tree>),
    FrozenSet(Vec<Tree>),
    Named(String, Box<Tree>),
    Pickle(Box<Tree>, Box<Tree>),
}

impl Tree {
    /// The value this describes.
    #[must_use]
    pub fn into_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::UInt(value) => Value::UInt(value),
            Self::Float(bits) => Value::Float(f64::from_bits(bits)),
            Self::Text(value) => Value::Text(value),
            Self::Bytes(value) => Value::Bytes(value),
            Self::Tensor {
                dtype,
                flags,
                shape,
                fill,
            } => tensor(dtype, flags, &shape, fill),
            Self::Array {
                descr,
                shape,
                item_size,
                fill,
            } => {
                let shape = small(&shape);
                let len = shape.iter().product::<u64>() * u64::from(item_size % 17);
                Value::Array {
                    descr,
                    shape,
                    bytes: vec![fill; len as usize],
                }
            }
            Self::FrameText(value) => Value::FrameText(value),
            Self::FrameBytes(value) => Value::FrameBytes(value),
            Self::FrameByteArray(value) => Value::FrameByteArray(value),
            Self::ByteArray(value) => Value::ByteArray(value),
            Self::BigInt(value) => Value::BigInt(value),
            Self::SurrogateText(value) => Value::SurrogateText(value),
            Self::Complex(real, imaginary) => {
                Value::Complex(f64::from_bits(real), f64::from_bits(imaginary))
            }
            Self::List(values) => Value::List(all(values)),
            Self::Tuple(values) => Value::Tuple(all(values)),
            Self::Set(values) => Value::Set(all(values)),
            Self::FrozenSet(values) => Value::FrozenSet(all(values)),
            Self::Map(pairs) => {
                let pairs = pairs.into_iter();
                Value::Map(
                    pairs
                        .map(|(key, value)| (key.into_value(), value.into_value()))
                        .collect(),
                )
            }
            Self::Named(name, value) => Value::Named(name, Box::new(value.into_value())),
            Self::Pickle(bytes, values) => {
                Value::Pickle(Box::new(bytes.into_value()), Box::new(values.into_value()))
            }
        }
    }
}

fn all(trees: Vec<Tree>) -> Vec<Value> {
    trees.into_iter().map(Tree::into_value).collect()
}

fn tensor(dtype: u8, flags: u8, shape: &[u8], fill: u8) -> Value {
    let dtype = DType::ALL[usize::from(dtype) % DType::ALL.len()];
    let shape = small(shape);
    let len = dtype.byte_len(&shape).expect("the shape is small");
    Value::Tensor {
        dtype,
        flags: flags % 4,
        shape,
        bytes: vec![fill; len as usize],
    }
}

/// At most four dimensions of at most six: below 21 KiB, whatever the dtype.
fn small(shape: &[u8]) -> Vec<u64> {
    shape.iter().take(4).map(|dim| u64::from(dim % 7)).collect()
}
