//! A cluster of several storage units: batches are placed, read from where they lie, cleared there,
//! and lost with them.
#![allow(clippy::unwrap_used)]
#![allow(dead_code, reason = "the relay is shared with other tests")]

mod cluster;
#[path = "../common/mod.rs"]
mod common;
mod losses;
mod moves;
mod places;
#[path = "../tcp/proxy.rs"]
mod proxy;
