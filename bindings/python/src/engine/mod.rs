//! The engine as Python sees it, that of this process or another's.
//!
//! | module | holds |
//! |---|---|
//! | [`class`] | `_core.Engine`: put, get, list, clear |
//! | [`metadata`] | ... metadata, production status, tags, backend meta |
//! | [`consumption`] | ... what each task consumes |
//! | [`selection`] | ... samples chosen by their tags |
//! | [`waiting`] | ... changes, and a call back at the next one |
//! | [`planned`] | puts and gets that are planned first and carried out later |
//! | [`arguments`] | lists of names and of global indexes |
//! | [`source`] | a TensorDict's columns, described without copying |
//! | [`fill`] | their bytes into the loaned memory, in parallel |
//! | [`result`] | columns that were read, as tensors and values |
//! | [`packing`] | columns written object by object for a storage backend |
//! | [`writing`] | ... and their checksums along with it |
//! | [`fetching`] | samples on their way in from a storage backend |
//! | [`arriving`] | ... of which those that are whole are made into values |
//! | [`taking`] | objects in this host's memory, copied or used where they are |
//! | [`region`] | memory that a storage backend's client reads from and writes to |
//! | [`schema`] | fields that a backend has stored in its own way |
//! | [`batches`] | metadata and statuses, column by column |
//! | [`hosting`] | a sampler written in Python, for fetches of other processes |
//! | [`unit`] | `_core.StorageUnit`; where a process serves |
//! | [`listing`] | keys and tags as dicts, the keys kept between listings |
//! | [`tags`] | tag dicts to the controller's tags and back |
//! | [`receipts`] | backend meta to the controller's receipts and back |
//!
//! Every call into the engine runs detached from the interpreter, so that no thread ever waits for
//! one lock while it holds the other.

mod arguments;
mod arriving;
mod batches;
pub(crate) mod class;
mod consumption;
pub(crate) mod fetching;
mod fill;
mod hosting;
mod listing;
mod metadata;
pub(crate) mod packing;
pub(crate) mod planned;
mod receipts;
pub(crate) mod region;
mod result;
mod schema;
mod selection;
mod source;
mod tags;
pub(crate) mod taking;
pub(crate) mod unit;
pub(crate) mod waiting;
mod writing;
