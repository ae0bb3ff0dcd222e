//! The controller state machine: which samples exist, under which key and global index, which
//! fields of them are produced and what they are tagged with. It owns all status and no tensor
//! bytes; it opens no socket, reads no clock and starts no thread. The caller puts a lock around
//! it.
//!
//! A put has two halves, so that bytes are stored between them and nothing half-done is visible:
//! [`Controller::reserve`] gives every key its global index in an invisible, pending state;
//! [`Controller::publish`] makes the batch visible at once, or [`Controller::abandon`] undoes it.
//! A clear hides its samples at once and names the global indexes whose storage may be dropped.
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
//! | [`put`] | reserve, publish, abandon: keys become samples |
//! | [`resolve`] | keys to global indexes and the fields ready for them |
//! | [`list`] | keys and tags in creation order, without copies |
//! | [`clear`] | clears by key, by global index, of a whole partition |
//! | [`schema`] | dtype and shapes of a field, over all rows and per row |
//! | [`tags`] | tag values and their key-wise merge |
//! | `controller` | the state: partitions by name, the counters |
//! | `partition` | one partition: its samples, keys and fields |
//! | `slots` | the dense table of samples, their order and reuse |
//! | `index_table` | global index to slot |
//! | `field` | one field: produced bits and row schemas |
//! | `status` | growing bitmaps over slots |
//! | `row_values` | a value per row, stored once while rows agree |
//! | `kv_index` | key to slot |
//! | `wording` | lists of names in error messages |

pub mod clear;
mod controller;
mod field;
mod index_table;
mod kv_index;
pub mod list;
mod partition;
pub mod put;
pub mod resolve;
mod row_values;
pub mod schema;
mod slots;
mod status;
pub mod tags;
mod wording;

pub use clear::ClearTicket;
pub use controller::Controller;
pub use list::{Keys, Listed};
pub use put::{FieldUpdate, Published, Refused, Reservation};
pub use resolve::Resolved;
pub use schema::{FieldSchema, FieldSchemaUpdate, RowSchema, Shape};
pub use tags::{TagName, TagValue, Tags};
pub use tq_proto::RowShapes;
