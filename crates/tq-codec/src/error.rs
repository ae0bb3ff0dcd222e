//! What can be wrong with a packed buffer, and what a plan can refuse. Each variant is one lie or
//! one limit; every one has a test that tells it.

use thiserror::Error;
use tq_proto::{DType, Error as TqError, ErrorKind};

use crate::layout::{FRAME_ALIGNMENT, MAX_DEPTH, VERSION};

/// Bytes that should be a packed buffer are not a valid one.
#[derive(Error, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the messages say what each variant and field means"
)]
pub enum FormatError {
    #[error("buffer of {found} bytes is shorter than the {needed} bytes it must hold")]
    TooShort { found: u64, needed: u64 },
    #[error("magic: the bytes do not start like a packed buffer")]
    BadMagic,
    #[error("version: {found} is not the version {VERSION} this reader knows")]
    UnknownVersion { found: u16 },
    #[error("flags: {found:#06x} has bits this reader does not know")]
    UnknownFlags { found: u16 },
    #[error("reserved: the reserved bytes of the preamble are not zero")]
    ReservedNotZero,
    #[error("frames checksum: set although its flag is not")]
    UnflaggedChecksum,
    #[error("flags: the buffer calls itself empty but declares items")]
    EmptyWithItems,
    #[error("total length: {declared} declared, but {found} bytes given (truncated?)")]
    Truncated { declared: u64, found: u64 },
    #[error("total length: {declared} is not {expected}, where the last frame ends")]
    TotalMismatch { declared: u64, expected: u64 },
    #[error(
        "header length: header and frame table need {needed} bytes, total length is {declared}"
    )]
    SmallPartsTooLong { needed: u64, declared: u64 },
    #[error("small checksum: preamble, frame table or header were altered")]
    SmallChecksum,
    #[error("frames checksum: the frames were altered")]
    FramesChecksum,
    #[error(
        "frame table: frame {frame} starts at {offset}, not on a multiple of {FRAME_ALIGNMENT}"
    )]
    FrameMisaligned { frame: u32, offset: u64 },
    #[error("frame table: frame {frame} starts at {offset}, inside what comes before it")]
    FrameOverlap { frame: u32, offset: u64 },
    #[error(
        "frame table: frame {frame} starts at {offset}, not at {expected}, where what comes before \
         it ends"
    )]
    FrameGap {
        frame: u32,
        offset: u64,
        expected: u64,
    },
    #[error("frame table: frame {frame} ends beyond the buffer ({offset} + {len} > {total})")]
    FrameOutOfBounds {
        frame: u32,
        offset: u64,
        len: u64,
        total: u64,
    },
    #[error("header: not valid msgpack at byte {at}: {what}")]
    HeaderSyntax { at: u64, what: &'static str },
    #[error("header: ends at byte {at}, in the middle of a value")]
    HeaderTruncated { at: u64 },
    #[error("header: {left} bytes after the value")]
    HeaderTrailing { left: u64 },
    #[error("header: unknown tag {tag} at byte {at}")]
    UnknownTag { tag: i8, at: u64 },
    #[error("header: tag {tag} at byte {at} declares {declared} bytes, its content has {found}")]
    TagLength {
        tag: i8,
        at: u64,
        declared: u64,
        found: u64,
    },
    #[error("header: nested deeper than {MAX_DEPTH}")]
    TooDeep,
    #[error("header: {count} elements declared at byte {at}, more than the bytes that are left")]
    CountTooLarge { count: u64, at: u64 },
    #[error("header: text at byte {at} is not UTF-8")]
    NotUtf8 { at: u64 },
    #[error("header: dtype code {code} is unknown")]
    UnknownDType { code: u64 },
    #[error("header: frame {frame} named, but the buffer has {count}")]
    NoSuchFrame { frame: u64, count: u32 },
    #[error("header: names frame {found} where frame {expected} comes next")]
    FrameOrder { found: u64, expected: u32 },
    #[error("header: names {named} of {count} frames")]
    UnusedFrames { named: u32, count: u32 },
    #[error("header: frame {frame} has {found} bytes, {dtype} of shape {shape:?} needs {needed:?}")]
    FrameLength {
        frame: u32,
        found: u64,
        dtype: DType,
        shape: Vec<u64>,
        needed: Option<u64>,
    },
    #[error(
        "header: array of frame {frame} has {found} bytes, its shape {shape:?} needs {needed:?}"
    )]
    ArrayLength {
        frame: u32,
        found: u64,
        shape: Vec<u64>,
        needed: Option<u64>,
    },
}

impl From<FormatError> for TqError {
    fn from(error: FormatError) -> Self {
        Self::new(
            ErrorKind::Corrupt,
            format!("not a valid packed buffer: {error}"),
        )
        .caused_by(error)
    }
}

/// A value or buffer cannot be planned or written.
#[derive(Error, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the messages say what each variant and field means"
)]
pub enum PlanError {
    #[error("the value nests deeper than {MAX_DEPTH} containers, or contains itself")]
    TooDeep,
    #[error("the value's structure is too large for one header ({what})")]
    HeaderTooLarge { what: &'static str },
    #[error("the value has more than {} frames", u32::MAX)]
    TooManyFrames,
    #[error("the packed size exceeds 64 bits")]
    SizeOverflow,
    #[error("buffer of {found} bytes is too small: the packed value needs {needed}")]
    BufferTooSmall { found: u64, needed: u64 },
}

impl From<PlanError> for TqError {
    fn from(error: PlanError) -> Self {
        Self::new(ErrorKind::InvalidArgument, error.to_string()).caused_by(error)
    }
}
