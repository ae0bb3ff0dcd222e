//! The words every crate shares. No I/O, no unsafe, no Python.
//!
//! | module | holds |
//! |---|---|
//! | [`dtype`] | element types of tensors, with their wire codes |
//! | [`error`] | the one public error: kind, retry status, context, source |
//! | [`ids`] | global indexes and the names of partitions, fields, keys, tasks |
//! | [`parcel`] | rows of one put in objects of a storage backend |
//! | [`row_shapes`] | shapes of the rows of a jagged field |

pub mod dtype;
pub mod error;
pub mod ids;
pub mod parcel;
pub mod row_shapes;

pub use dtype::DType;
pub use error::{Error, ErrorKind, Result, Retry};
pub use ids::{FieldName, GlobalIndex, Key, PartitionId, TaskName, UnitId};
pub use parcel::Parcel;
pub use row_shapes::RowShapes;
