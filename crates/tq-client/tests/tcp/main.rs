//! Guests that reach their host over TCP alone: payload in stripes, TLS, strangers, losses.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod encrypted;
mod losses;
mod payload;
mod proxy;
mod strangers;
