//! Host and guests in processes of their own: what one writes the others read, and what one leaves
//! behind when it is killed.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
mod ends;
mod guest;
mod together;
