//! Guests that reach their host over TCP alone: payload in stripes, strangers, losses.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod losses;
mod payload;
mod proxy;
mod strangers;
