//! Messages and service, as generated from `proto/gateway.proto`.
#![allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    unreachable_pub
)]

tonic::include_proto!("transferqueue.v1");
