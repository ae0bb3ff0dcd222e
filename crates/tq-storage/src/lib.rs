//! The storage-unit engine: columns of samples in arena extents, (field, global index) → bytes.
//!
//! A put describes its columns first ([`ColumnPlan`]), is loaned one contiguous range for all of
//! them ([`PendingPut`]), fills it, and commits the batch at once. A read ([`ColumnRead`]) holds
//! leases, not copies. No sockets, no tokio, no Python, no unsafe.
//!
//! | module | holds |
//! |---|---|
//! | [`layout`] | what a put says about its columns |
//! | [`unit`](mod@unit) | [`StorageUnit`]: the lock, capacity, and the calls that enter it |
//! | [`put`] | [`PendingPut`]: loaned, filled, committed or given back |
//! | [`read`] | [`ColumnRead`]: the rows a read found, and how they lie in memory |
//! | [`description`] | [`ColumnDescription`]: a read as plain data, for another process |
//! | [`read_layout`] | [`ReadLayout`]: what these rows are as one column |
//! | `read_builder` | putting such a read together under the lock |
//! | `rebuild` | putting a described read together again |
//! | `merge` | reads of several units put together to one |
//! | `batch` | where each column of a put lies in the loaned range |
//! | `groups` | where a column is cut into groups of rows that are freed on their own |
//! | `rows` | the stored description of a column's rows: dtype, shapes, byte ranges |
//! | `column` | a stored column: its rows, its groups, who of them is alive |
//! | `index` | all that lies under the lock: commit, resolve, clear |
//! | `paged` | table from global index to a cell, in pages |
//! | `field_sets` | which fields a sample has, one interned set for all samples alike |
//! | `admission` | samples in use and samples promised to puts in flight |
//! | `slab` | numbered slots that are reused |
//! | `runs` | merging rows that lie behind each other |
//! | `gather` | copying merged pieces, in parallel where it pays |
//! | `error` | the errors of this crate, worded in one place |
//!
//! Memory is given back group by group: a group's extent is dropped with its last live row, so
//! clearing most of a batch frees most of its bytes. Nothing is copied and no extent is dropped
//! while the lock is held.

mod admission;
mod batch;
mod column;
pub mod description;
mod error;
mod field_sets;
mod gather;
mod groups;
mod index;
pub mod layout;
mod merge;
mod paged;
pub mod put;
pub mod read;
mod read_builder;
pub mod read_layout;
mod rebuild;
mod rows;
mod runs;
mod slab;
pub mod unit;

pub use description::{ColumnDescription, RowsPart};
pub use gather::{copy_bytes, gather};
pub use layout::{ColumnLayout, ColumnPlan};
pub use put::PendingPut;
pub use read::{ColumnRead, PlacedRun, Run};
pub use read_layout::{ReadLayout, RowLayout, TensorRow};
pub use tq_proto::RowShapes;
pub use unit::{StorageConfig, StorageUnit, StorageUsage};
