//! The engine as its users see it: controller and storage unit behind one call each for put, get,
//! list and clear. Today both live in this process ([`Embedded`]); the same calls will route to
//! other processes.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | settings of the embedded engine |
//! | [`embedded`] | the engine: open, closed, or on the wrong side of a fork |
//! | [`put`] | one batch on its way in: reserved, loaned, filled, published |
//! | [`get`] | one batch on its way out: resolved, leased, delivered as a view or one copy |
//! | [`clear`] | samples that are to go |
//! | [`list`] | keys and tags at one instant |

pub mod clear;
pub mod config;
pub mod embedded;
pub mod get;
pub mod list;
pub mod put;

pub use config::EmbeddedConfig;
pub use embedded::{Embedded, Usage};
pub use get::{Batch, Delivered, Part};
pub use list::Listing;
pub use put::Put;
