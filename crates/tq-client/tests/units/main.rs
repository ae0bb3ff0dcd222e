//! A cluster of several storage units: batches are placed, read from where they lie, cleared there,
//! and lost with them.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod cluster;
mod losses;
mod moves;
mod places;
#[path = "../tcp/proxy.rs"]
mod proxy;
