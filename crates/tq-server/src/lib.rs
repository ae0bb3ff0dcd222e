//! Serves an engine to the other processes of the host.
//!
//! Calls come over a Unix socket as gRPC, or over another one without HTTP/2 in between; segments of
//! shared memory are handed out over a third, as file descriptors. Payload is written and read by the guests themselves, in those segments. Only
//! processes of the same user are let in.
//!
//! What a guest holds (loans of puts under way, leases of what it reads) is held for it by its
//! session, and given back when the guest's process ends, by its connections and not by a clock.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | where to listen |
//! | [`server`] | start, stop |
//! | `direct` | calls without HTTP/2 in between |
//! | `directory` | the directory of the sockets: checked, locked, left clean |
//! | `incoming` | connections, of the same user only |
//! | `tcp` | connections of other hosts, which know the secret |
//! | `session`, `held` | what a guest holds |
//! | `replies` | requests that are made again are carried out once |
//! | `bulk` | payload of guests on other hosts |
//! | `bell` | wakes on their way to a guest |
//! | `door` | segments handed out |
//! | `deaths` | word of the end of guests' processes |
//! | `gateway` | one call per operation of the engine |

mod bell;
mod bulk;
pub mod config;
mod deaths;
mod direct;
mod directory;
mod door;
mod gateway;
mod held;
mod incoming;
mod replies;
pub mod server;
mod session;
mod tcp;

pub use config::{HostedSampler, ServerConfig, TcpConfig};
pub use server::Server;
