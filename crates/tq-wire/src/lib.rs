//! The messages between a host and its guests: what is said, and how the engine's types become
//! messages and return. What a socket says is believed only once it is checked: a message that
//! contradicts itself is an error, never a panic, and nothing is allocated by a number in it.
//!
//! | module | holds |
//! |---|---|
//! | [`proto`] | messages and service, generated from `proto/gateway.proto` |
//! | [`texts`] | columns of texts, byte strings and numbers |
//! | [`tags`] | columns of tags and their values |
//! | `receipts` | columns of receipts |
//! | `stored` | samples whose payload lies in a storage backend |
//! | `columns` | what a put says about its columns |
//! | `places` | where bytes lie, and what a read is |
//! | `batch` | metadata of samples |
//! | [`consume`] | consumption, and what a put has brought about |
//! | `listing` | listings, changes, how full the host is |
//! | [`overview`] | what a host is at, in counts |
//! | `select` | selections and conditions |
//! | `units` | storage units, and which rows lie where |
//! | [`error`] | errors in the details of a status |
//! | [`address`] | where a host listens, and who may talk to it |
//! | [`door`] | segments handed over as file descriptors |
//! | [`secret`], [`handshake`] | what a peer on TCP proves before anything else |
//! | [`secret_file`] | the secret in a file of this user alone |
//! | [`direct`] | calls without HTTP/2, on a socket of their own |
//! | [`bulk`] | payload on connections of its own |
//! | [`stream`], [`tls`] | a TCP connection, with TLS or without |
//! | [`request_id`] | numbers of requests that are carried out once |
//! | [`limits`] | sizes and versions that both ends keep to |

pub mod address;
mod batch;
pub mod bulk;
mod columns;
pub mod consume;
pub mod direct;
pub mod door;
pub mod error;
pub mod handshake;
pub mod limits;
mod listing;
mod malformed;
pub mod overview;
mod places;
pub mod proto;
mod receipts;
pub mod request_id;
pub mod secret;
pub mod secret_file;
mod select;
mod stored;
pub mod stream;
pub mod tags;
pub mod texts;
pub mod tls;
mod units;
