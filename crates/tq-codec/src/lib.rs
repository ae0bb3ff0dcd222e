//! The packed buffer: one value becomes one opaque, contiguous run of bytes, and a batch of values
//! becomes one region, without copying a tensor more than once.
//!
//! The life of a value:
//!
//! 1. **plan**: [`HeaderWriter`] describes the value's structure, [`Plan`] adds the frames' lengths;
//!    now every offset and the exact size are known and not a byte has been written;
//! 2. **write**: [`write_value`] (or [`write_batch`], in parallel) fills a caller's buffer, never
//!    beyond it;
//! 3. **view**: [`PackedView`] checks everything once and then hands out slices; [`HeaderReader`]
//!    walks the structure.
//!
//! | module | holds |
//! |---|---|
//! | [`layout`] | the bytes, drawn; constants; the preamble |
//! | [`header`] | the structure of a value as msgpack: writer, reader, tags |
//! | [`plan`] | sizes and offsets before any copy |
//! | [`frame`] | where a frame's bytes come from; strided sources |
//! | [`write`](mod@write) | fills a caller's buffer, serially or in parallel |
//! | [`copy`] | frames to where they belong, without a packed buffer around them |
//! | [`parallel`] | jobs shared out among this thread and helpers |
//! | [`view`] | validated borrow of a packed buffer |
//! | [`checksum`] | what the two checksums of the preamble cover |
//! | [`text`] | UTF-8 as the characters of Python's `str` |
//! | [`value`] | a plain Rust tree for tools, tests and Rust clients |
//! | [`error`] | every lie a buffer can tell, and what a plan can refuse |
//!
//! No unsafe, no threads of its own beyond scoped ones, no Python.

pub mod checksum;
pub mod copy;
pub mod error;
pub mod frame;
pub mod header;
pub mod layout;
pub mod parallel;
pub mod plan;
pub mod text;
pub mod value;
pub mod view;
pub mod write;

pub use copy::{Copy, copy_frames};
pub use error::{FormatError, PlanError};
pub use frame::{FrameSource, Stores, Strided};
pub use header::{HeaderReader, HeaderWriter, Node, TensorNode};
pub use layout::{FRAME_ALIGNMENT, MAX_DEPTH, PREAMBLE_LEN};
pub use plan::Plan;
pub use text::{Text, Width, write_chars};
pub use value::Value;
pub use view::PackedView;
pub use write::{Slot, ValueStream, write_batch, write_value};
