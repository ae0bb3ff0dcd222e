//! What a header consists of, one step of the walk at a time.

use tq_proto::DType;

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
    /// A tensor; its shape is [`HeaderReader::shape`](super::HeaderReader::shape) until the next step.
    Tensor(TensorNode),
    /// A NumPy array: frame and dtype text; its shape is [`HeaderReader::shape`](super::HeaderReader::shape).
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
