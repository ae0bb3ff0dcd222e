//! The structure of a value: one msgpack value per packed buffer.
//!
//! `None`, booleans, 64-bit integers, floats, text, bytes, lists and maps are msgpack's own. All
//! else is a msgpack extension; its content is again msgpack, so that any msgpack tool can walk a
//! header:
//!
//! | tag | content |
//! |---|---|
//! | 1 tensor | dtype code, flags, frame number, number of dimensions, dimensions |
//! | 2 array | frame number, number of dimensions, dimensions, NumPy dtype text |
//! | 3, 4, 5 text, bytes, bytearray in a frame | frame number |
//! | 6, 7, 8 tuple, set, frozenset | list of elements |
//! | 9 bytearray | bytes |
//! | 10 big integer | bytes, two's complement, little-endian |
//! | 11 complex | two floats |
//! | 12 text with lone surrogates | bytes, UTF-8 that also encodes surrogates |
//! | 13 named | name, one value: rebuilt by the reader's constructor of that name |
//! | 14 pickle | bytes (or tag 4), list of values the pickle refers to by position |
//!
//! Frames are named in the order of the frame table, each exactly once: two values never share
//! memory, and a short header cannot make a reader copy one frame many times.
//!
//! A map's keys are any values. Integers, counts and lengths are written in their shortest form, but
//! floats in 64 bits and an extension's length in 32; any form msgpack has for them is read. The
//! numbers directly inside a tag are stricter: integers are of an unsigned form (of any width), both
//! parts of a complex number are floats of 64 bits.

mod cursor;
mod frame_lengths;
mod node;
mod reader;
mod writer;

pub use frame_lengths::FrameLengths;
pub use node::{Node, TensorNode};
pub use reader::HeaderReader;
pub use writer::{HeaderWriter, Mark};

/// Extension codes; never reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i8)]
#[allow(missing_docs, reason = "drawn in the module's table")]
pub enum Tag {
    Tensor = 1,
    Array = 2,
    FrameText = 3,
    FrameBytes = 4,
    FrameByteArray = 5,
    Tuple = 6,
    Set = 7,
    FrozenSet = 8,
    ByteArray = 9,
    BigInt = 10,
    Complex = 11,
    SurrogateText = 12,
    Named = 13,
    Pickle = 14,
}

impl Tag {
    const fn from_code(code: i8) -> Option<Self> {
        Some(match code {
            1 => Self::Tensor,
            2 => Self::Array,
            3 => Self::FrameText,
            4 => Self::FrameBytes,
            5 => Self::FrameByteArray,
            6 => Self::Tuple,
            7 => Self::Set,
            8 => Self::FrozenSet,
            9 => Self::ByteArray,
            10 => Self::BigInt,
            11 => Self::Complex,
            12 => Self::SurrogateText,
            13 => Self::Named,
            14 => Self::Pickle,
            _ => return None,
        })
    }
}

/// Bits of a tensor's flags.
pub mod tensor_flags {
    /// The tensor requires grad.
    pub const REQUIRES_GRAD: u8 = 1;
    /// The tensor is an `nn.Parameter`.
    pub const PARAMETER: u8 = 2;
    /// All bits that have a meaning.
    pub const KNOWN: u8 = REQUIRES_GRAD | PARAMETER;
}
