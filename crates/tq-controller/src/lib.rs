//! The controller state machine: which samples exist, under which key and global index, which
//! fields of them are produced, what they are tagged with and which task has consumed them. It owns all status and no tensor
//! bytes; it opens no socket, reads no clock and starts no thread. The caller puts a lock around
//! it.
//!
//! A put has two halves, so that bytes are stored between them and nothing half-done is visible:
//! [`Controller::reserve`] gives every key its global index in an invisible, pending state;
//! [`Controller::publish`] makes the batch visible at once, or [`Controller::abandon`] undoes it.
//! A clear hides its samples at once and names the global indexes whose storage may be dropped.
//!
//! Each task consumes on its own: [`Controller::fetch`] has a sampler choose among the samples that
//! are ready for it and marks what it chose, in one step.
//!
//! A global index is never handed out twice. It therefore serves as the generation of whatever
//! slot a sample occupies: a stale holder finds another number there and misses.
//!
//! ```
//! use tq_controller::{Controller, FieldSchemaUpdate, FieldUpdate};
//! use tq_proto::DType;
//!
//! # fn main() -> tq_proto::Result<()> {
//! let mut controller = Controller::new();
//! let reservation = controller.reserve("train", &["a", "b"])?;
//! // Store the bytes for `reservation.global_indexes()` here; abandon the reservation if it fails.
//! let schema = FieldSchemaUpdate::Dense { dtype: DType::Float32, row_shape: [8].into() };
//! let fields = [FieldUpdate { name: "rewards".into(), schema }];
//! controller.publish(reservation, &fields, None)?;
//!
//! let found = controller.resolve("train", &["b", "missing"]);
//! assert_eq!((found.positions, found.missing), (vec![0], vec![1]));
//! assert_eq!(found.fields, ["rewards".into()]);
//!
//! let ticket = controller.begin_clear_keys("train", &["a"]);
//! // Drop what is stored for `ticket.global_indexes()` here.
//! controller.finish_clear(&ticket);
//! # Ok(())
//! # }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`reserve`] | reserve, abandon: global indexes for a put under way |
//! | [`put`] | publish: a batch becomes visible |
//! | [`insert`] | samples before their data: inserted, registered, pre-allocated |
//! | [`resolve`] | keys to global indexes and the fields ready for them |
//! | [`batch`] | metadata of a batch by column |
//! | [`retag`] | tags set and read by global index |
//! | [`parcels`] | rows that lie in a storage backend, and what it may delete |
//! | [`placement`] | which storage unit has which rows |
//! | [`receipts`] | what a storage backend left beside fields of samples |
//! | [`claim`] | ready samples become consumed by a task |
//! | [`ready`] | which samples are ready for a task |
//! | [`sampler`] | which of the ready samples a task gets next |
//! | [`status_report`] | production and consumption status by column |
//! | [`list`] | keys and tags in creation order, without copies |
//! | [`overview`] | how far each partition is, in counts |
//! | [`clear`] | clears by key, by global index, of a whole partition |
//! | [`schema`] | dtype and shapes of a field, over all rows and per row |
//! | [`tags`] | tag values and their key-wise merge |
//! | `controller` | the state: partitions by name, the counters |
//! | `partition` | one partition: its samples, keys, fields and consumption |
//! | `consumption` | what each task has consumed |
//! | `slots` | the dense table of samples, their states and order |
//! | `pages` | slots in pages of 64, their order and reuse |
//! | `index_table` | global index to slot |
//! | `field` | one field: produced bits and row schemas |
//! | `status` | growing bitmaps over slots |
//! | `row_values` | a value per row, stored once while rows agree |
//! | `kv_index` | key to slot |
//! | `wording` | what error messages share |

pub mod batch;
pub mod changes;
pub mod claim;
pub mod clear;
mod consumption;
mod controller;
mod field;
mod index_table;
pub mod insert;
mod kv_index;
pub mod list;
pub mod overview;
mod pages;
pub mod parcels;
mod partition;
pub mod placement;
pub mod predicate;
pub mod put;
pub mod ready;
pub mod receipts;
pub mod reserve;
pub mod resolve;
pub mod retag;
mod row_values;
pub mod sampler;
pub mod schema;
pub mod select;
mod slots;
mod status;
pub mod status_report;
pub mod tags;
mod wording;

pub use batch::{BatchColumns, FieldColumns, FieldSelection};
pub use changes::{Changes, KeyChange};
pub use claim::FetchRequest;
pub use clear::ClearTicket;
pub use controller::Controller;
pub use list::{Keys, Listed};
pub use overview::PartitionOverview;
pub use parcels::{RowBytes, Stored, StoredColumn, StoredRow, StoredRows};
pub use placement::PlacedRows;
pub use predicate::{Comparison, Matcher, Predicate};
pub use put::{FieldUpdate, Published, Refused};
pub use receipts::Receipts;
pub use reserve::Reservation;
pub use resolve::Resolved;
pub use schema::{FieldSchema, FieldSchemaUpdate, RowSchema, Shape};
pub use select::{Selected, Selection, SelectionCounts};
pub use status_report::StatusColumns;
pub use tags::{TagName, TagValue, Tags};
pub use tq_proto::RowShapes;
