//! The engine as its users see it: controller and storage unit behind one call each for put, get,
//! list and clear, and for metadata, consumption and waits. It opens no socket: who hosts it calls it.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | settings of the embedded engine |
//! | [`embedded`] | the engine: open, closed, or on the wrong side of a fork |
//! | [`put`] | one batch on its way in: reserved, loaned, filled, published |
//! | [`get`] | one batch on its way out: resolved, leased, delivered |
//! | [`deliver`] | columns as bytes of their own: a view or one copy |
//! | [`clear`] | samples that are to go |
//! | [`list`] | keys and tags at one instant |
//! | [`metadata`] | what is known of samples: schema, statuses, tags |
//! | [`consume`] | each task's own consumption: fetched, claimed, given back |
//! | [`select`] | samples chosen by their tags, claimed or evicted |
//! | [`layout`] | how columns are laid out in objects of a storage backend |
//! | [`in_place`] | ... and which of them may stay where they are |
//! | [`landing`] | which bytes of these a read needs, and where they land |
//! | [`arrivals`] | which rows are whole while the bytes come |
//! | [`stored`] | samples whose payload lies in a storage backend |
//! | [`units`] | storage units of other processes: placed, told, lost |
//! | [`wait`] | who lacks something sleeps until a change may have brought it |

pub mod arrivals;
pub mod clear;
pub mod config;
pub mod consume;
pub mod deliver;
pub mod embedded;
pub mod get;
pub mod in_place;
pub mod landing;
pub mod layout;
pub mod list;
pub mod metadata;
pub mod put;
pub mod select;
pub mod stored;
pub mod units;
pub mod wait;

pub use arrivals::Arrivals;
pub use config::EmbeddedConfig;
pub use consume::Claim;
pub use deliver::{Delivered, Delivery, Part};
pub use embedded::{Embedded, Usage};
pub use get::{Batch, Found, Spread};
pub use in_place::ObjectRun;
pub use landing::{Fetch, Landing};
pub use layout::{ColumnBytes, ParcelLayout, lay_out};
pub use list::Listing;
pub use put::Put;
pub use stored::{ColumnPlace, StoredBatch, StoredPut, StoredRead, StoredRun};
pub use units::{Order, Orders, PlacementPolicy, Placing, UnitHello, UnitInfo, UnitSeat};
pub use wait::{Interest, Subscription};
