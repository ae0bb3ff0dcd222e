//! The embedded engine as Python sees it.
//!
//! | module | holds |
//! |---|---|
//! | [`class`] | `_core.Engine`: put, get, list, clear |
//! | [`source`] | a TensorDict's columns, described without copying |
//! | [`fill`] | their bytes into the loaned memory, in parallel |
//! | [`result`] | columns that were read, as tensors and values |
//! | [`listing`] | keys and tags as dicts, the keys kept between listings |
//! | [`tags`] | tag dicts to the controller's tags and back |
//!
//! Every call into the engine runs detached from the interpreter, so that no thread ever waits for
//! one lock while it holds the other.

pub(crate) mod class;
mod fill;
mod listing;
mod result;
mod source;
mod tags;
