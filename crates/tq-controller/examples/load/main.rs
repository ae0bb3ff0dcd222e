//! What the calls of the API cost the controller, and a load of thousands of simulated clients.
//!
//! ```text
//! cargo run --release -p tq-controller --example load points warm    cost by batch size and fields
//! cargo run --release -p tq-controller --example load points cold    the same with empty caches
//! cargo run --release -p tq-controller --example load samples N      the same and memory, of N samples
//! cargo run --release -p tq-controller --example load clients        8,192 clients, two steps in flight
//! ```
//!
//! Each line is a JSON object. `benches/scaling.py` fits the model of `docs/scaling.md` to them.
//! Requests are applied directly, one after the other, as the lock around the controller has it.
#![allow(clippy::print_stdout, reason = "prints its figures")]

mod calls;
mod clients;
mod clock;
mod log;
mod points;
mod queue;
mod random;

use std::error::Error;

use crate::points::Caches;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["points", "warm"] => points::by_batch(Caches::Warm)?,
        ["points", "cold"] => points::by_batch(Caches::Cold)?,
        ["samples", held] => points::by_samples(held.parse()?)?,
        ["clients"] => clients::run()?,
        _ => println!("usage: load points warm | points cold | samples N | clients"),
    }
    Ok(())
}
