//! What views and warm memory save: `cargo run --release -p tq-arena --example view_cost`.
#![allow(unsafe_code, clippy::print_stdout)]

use std::error::Error;
use std::time::Instant;

use tq_arena::{Arena, ArenaConfig, View, WarmPool};

const LEN: u64 = 512 << 20;

fn timed<R>(what: &str, work: impl FnOnce() -> R) -> R {
    let begun = Instant::now();
    let result = work();
    let taken = begun.elapsed();
    let rate = LEN as f64 / taken.as_secs_f64() / 1e9;
    println!(
        "{what:<58} {:>9.3} ms  {rate:>8.1} GB/s",
        taken.as_secs_f64() * 1e3
    );
    result
}

fn sum(view: &View) -> u64 {
    // SAFETY: the view is alive, and nobody writes it meanwhile.
    let words =
        unsafe { std::slice::from_raw_parts(view.as_ptr().cast::<u64>(), (LEN / 8) as usize) };
    words.iter().fold(0, |sum, word| sum ^ word)
}

fn main() -> Result<(), Box<dyn Error>> {
    let source = vec![1u8; LEN as usize];
    let arena = Arena::new(ArenaConfig::default())?;

    let mut loan = arena.loan(LEN)?;
    timed("put into a fresh loan", || {
        loan.as_mut_slice().copy_from_slice(&source);
    });
    drop(loan);
    let mut loan = arena.loan(LEN)?;
    timed("put into a warm loan", || {
        loan.as_mut_slice().copy_from_slice(&source);
    });
    let extent = loan.commit(&[])?.remove(0);

    let pool = WarmPool::new(2 * LEN);
    for what in [
        "get by a copy into a fresh buffer",
        "get by a copy into a warm buffer",
    ] {
        let mut buffer = pool.take(LEN)?;
        timed(what, || {
            buffer
                .as_mut_slice()
                .copy_from_slice(extent.lease().as_slice());
        });
    }

    for round in ["first", "second", "third"] {
        let view = timed(&format!("get by a view, {round} time"), || {
            arena.view(vec![extent.lease()], 0, LEN)
        })?;
        timed("  read it all", || std::hint::black_box(sum(&view)));
        timed("  drop it", || drop(view));
    }
    for (what, step) in [("one page in 64", 64), ("every page", 1)] {
        let view = arena.view(vec![extent.lease()], 0, LEN)?;
        timed(&format!("write {what} of a view"), || {
            for at in (0..LEN).step_by(step * 4096) {
                // SAFETY: inside the view.
                unsafe { view.as_ptr().add(at as usize).write(2) };
            }
        });
        timed("  drop it", || drop(view));
        let view = timed("  the next view, waiting for the revert", || {
            arena.view(vec![extent.lease()], 0, LEN)
        })?;
        timed("  read it all", || std::hint::black_box(sum(&view)));
    }
    println!("{:?}", arena.usage());
    small_loans(&arena)
}

/// What the accounting costs for small loans, and with many holes between live extents.
fn small_loans(arena: &Arena) -> Result<(), Box<dyn Error>> {
    const COUNT: u64 = 100_000;
    let per_loan = |what: &str, begun: Instant| {
        println!(
            "{what:<58} {:>9.0} ns each",
            begun.elapsed().as_nanos() as f64 / COUNT as f64
        );
    };
    let begun = Instant::now();
    let mut extents = Vec::new();
    for number in 0..COUNT {
        extents.extend(arena.loan(64 + number % 1500)?.commit(&[])?);
    }
    per_loan("loan and commit about 800 bytes", begun);
    let mut number = 0;
    let begun = Instant::now();
    extents.retain(|_| {
        number += 1;
        number % 2 == 0
    });
    per_loan("  retire every second extent", begun);
    let begun = Instant::now();
    for number in 0..COUNT {
        drop(arena.loan(64 + number % 3000)?);
    }
    per_loan("  loan and give back among the holes", begun);
    let ids: Vec<_> = extents.iter().map(tq_arena::Extent::id).collect();
    let begun = Instant::now();
    for id in ids.iter().cycle().take(COUNT as usize) {
        drop(arena.lease(*id)?);
    }
    per_loan("  lease by name and drop", begun);
    let begun = Instant::now();
    for extent in extents.iter().cycle().take(COUNT as usize) {
        drop(extent.lease());
    }
    per_loan("  lease from the extent and drop", begun);
    Ok(())
}
