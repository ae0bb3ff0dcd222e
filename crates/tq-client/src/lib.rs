//! The engine of another process of this host, used as if it were here.
//!
//! [`Remote`] has the calls of [`tq_engine::Embedded`], which go to the host as messages over a Unix
//! socket. Payload takes no part in that, except where it is small: it is written to and read from
//! the host's own shared memory, which is mapped here. [`Engine`] is either of the two.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | deadlines and names |
//! | [`remote`] | connect, close, and how every call is made |
//! | `link` | one connection and its session |
//! | `tether` | segments of the host, and what keeps them ours |
//! | `chores` | what the host is told without waiting for an answer |
//! | [`put`] | one batch on its way in |
//! | `get` | one batch on its way out |
//! | `samples`, `consume`, `listing`, `stored` | the other calls |
//! | [`wait`] | woken by a change at the host |
//! | [`engine`] | an engine here or there |

mod chores;
pub mod config;
mod consume;
pub mod engine;
mod get;
mod link;
mod listing;
pub mod put;
pub mod remote;
mod samples;
mod stored;
mod tether;
pub mod wait;

pub use config::ConnectConfig;
pub use engine::{Engine, Put, Subscription};
pub use put::RemotePut;
pub use remote::Remote;
pub use wait::RemoteSubscription;
