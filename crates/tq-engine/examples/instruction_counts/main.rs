//! Fixed work, one operation per run, for a tool that counts instructions; without an argument it
//! names the operations. `make check-instructions` runs each under callgrind, which counts what
//! happens inside [`counted`], and compares it with `benches/record/instructions.json`.
//!
//! No clock, no thread of ours and no random number has a part in it, so that two runs count the
//! same.
#![allow(clippy::print_stdout, reason = "it names its operations")]
#![allow(
    clippy::unwrap_used,
    reason = "a program that is counted, on data of its own"
)]

mod arena;
mod codec;
mod controller;
mod engine;
mod samples;

use std::error::Error;
use std::hint::black_box;

/// Prepares, does its work inside [`counted`], and cleans up.
type Operation = fn();

/// Names are those of the record: to change what an operation does, give it another one.
const OPERATIONS: &[(&str, Operation)] = &[
    ("arena: 1000 x loan, commit, lease, drop", arena::cycles),
    ("arena: 1 MiB past the cache", arena::streamed),
    ("codec: plan 1000 tensors", codec::plan_small),
    ("codec: write 1000 tensors of 1 KiB", codec::write_small),
    ("codec: view 1000 tensors", codec::view_small),
    (
        "codec: write an image dict with checksum",
        codec::write_image,
    ),
    ("controller: put 1024 new keys", controller::put_new),
    ("controller: put 1024 known keys", controller::put_known),
    ("controller: resolve 1024 keys", controller::resolve),
    ("controller: fetch 1024 samples", controller::fetch),
    ("controller: list 8192 keys", controller::list),
    ("controller: select 1024 of 8192", controller::select),
    ("controller: clear 1024 keys", controller::clear),
    ("engine: 256 x put of one sample", engine::put_single),
    ("engine: 256 x get of one sample", engine::get_single),
    ("engine: put of 1024 x 4 fields", engine::put_batch),
    ("engine: get of 1024 x 4 fields", engine::get_batch),
];

/// Callgrind counts from the entry of this function, which it knows by name, to its return.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
    // Not in tail position, or the work would be jumped to and this function never returned from.
    black_box(());
}

/// Counts `work`, whose result is dropped outside.
fn count<T>(work: impl FnOnce() -> T) -> T {
    let mut work = Some(work);
    let mut result = None;
    counted(&mut || result = work.take().map(|work| black_box(work())));
    result.unwrap()
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(wanted) = std::env::args().nth(1) else {
        for (name, _) in OPERATIONS {
            println!("{name}");
        }
        return Ok(());
    };
    let found = OPERATIONS.iter().find(|(name, _)| *name == wanted);
    let (_, operation) = found.ok_or_else(|| format!("there is no operation {wanted:?}"))?;
    operation();
    Ok(())
}
