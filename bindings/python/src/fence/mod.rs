//! The unsafe fence: raw memory that Python, torch or the arena owns.
//!
//! Everything above works with two safe types: [`OwnedBytes`], a run of bytes together with what
//! keeps it alive, and [`PyFrame`], the bytes of one frame of a value that is being encoded. They
//! are made from Python objects by the buffer protocol ([`buffer`]) and DLPack ([`dlpack`]), never
//! from integers.
//!
//! Memory of Python objects can be written by other threads while it is read here. The functions
//! below therefore copy through raw pointers while detached, and form slices only while attached
//! to the interpreter. As with any extension that reads a buffer, a program that writes to an
//! object while handing it over gets one or the other value of each byte.

#![allow(
    unsafe_code,
    reason = "the one place where Python's memory is touched; see above"
)]

pub(crate) mod buffer;
pub(crate) mod bytes;
mod collector;
pub(crate) mod dlpack;
mod first_touch;
pub(crate) mod frame;
mod loaned;
mod references;
mod unfilled;

pub(crate) use buffer::BufferExport;
pub(crate) use bytes::{ExportedBytes, OwnedBytes};
pub(crate) use collector::CollectorPause;
pub(crate) use frame::PyFrame;
pub(crate) use loaned::LoanedMemory;
pub(crate) use references::reference_count;
pub(crate) use unfilled::{Content, UNFILLED_FROM, Unfilled};
