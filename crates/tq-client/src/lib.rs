//! The engine of another process, used as if it were here.
//!
//! [`Remote`] has the calls of [`tq_engine::Embedded`], which go to the host as messages over a Unix
//! or TCP socket. Payload takes no part in that, except where it is small: it is written to and read
//! from the host's own shared memory, which is mapped here, or goes over connections of its own where
//! the host is another machine. [`Engine`] is either of the two.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | deadlines and names |
//! | [`remote`] | connect, close, and how every call is made |
//! | `requests` | numbers of requests, so that each is carried out once |
//! | `link` | one connection and its session |
//! | `direct` | calls that the caller's thread carries itself |
//! | [`interrupt`] | waits that a signal ends |
//! | `tether` | segments of the host, and what keeps them ours |
//! | `tcp`, `bulk` | the way to another machine, and payload on it |
//! | `chores` | what the host is told without waiting for an answer |
//! | [`put`], `filling` | one batch on its way in |
//! | `get` | one batch on its way out |
//! | `samples`, `consume`, `listing`, `stored` | the other calls |
//! | `target` | the samples that a call is about |
//! | `units` | storage units of the host's cluster |
//! | [`membership`] | this process as one of them |
//! | [`wait`] | woken by a change at the host |
//! | [`engine`] | an engine here or there |

mod bulk;
mod chores;
pub mod config;
mod consume;
mod direct;
pub mod engine;
mod filling;
mod get;
pub mod interrupt;
mod link;
mod listing;
pub mod membership;
pub mod put;
pub mod remote;
mod requests;
mod samples;
mod stored;
mod target;
mod tcp;
mod tether;
mod units;
pub mod wait;

pub use config::ConnectConfig;
pub use engine::{Engine, Put, Subscription};
pub use interrupt::Interrupt;
pub use membership::Membership;
pub use put::RemotePut;
pub use remote::Remote;
pub use wait::RemoteSubscription;
