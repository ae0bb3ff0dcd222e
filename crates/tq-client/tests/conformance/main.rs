//! What an engine does, it does here and there: every test runs on both.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
mod consumption;
mod payload;
mod samples;
mod selections;
mod stored;
mod waiting;
