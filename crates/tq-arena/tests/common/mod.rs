//! Helpers of the tests. Writing into a view is what a tensor library does, by raw pointer, so
//! `unsafe` is needed for it here too.
#![allow(unsafe_code, clippy::unwrap_used, dead_code, unreachable_pub)]

use std::thread;
use std::time::{Duration, Instant};

use tq_arena::{Arena, ArenaConfig, ArenaUsage, Extent, View, ViewError};

pub const PAGE: u64 = 4096;

/// Small segments, so that several are needed.
pub fn arena() -> Arena {
    arena_with(ArenaConfig {
        segment_bytes: 2 << 20,
        ..ArenaConfig::default()
    })
}

pub fn arena_with(config: ArenaConfig) -> Arena {
    Arena::new(config).unwrap()
}

/// Bytes that tell their offset and their seed.
pub fn pattern(seed: u64, at: u64) -> u8 {
    (seed
        .wrapping_mul(0x9E37_79B9)
        .wrapping_add(at.wrapping_mul(31) ^ (at >> 8))
        >> 3) as u8
}

pub fn fill(bytes: &mut [u8], seed: u64) {
    for (at, byte) in (0..).zip(bytes) {
        *byte = pattern(seed, at);
    }
}

/// Whether `bytes` are those that `fill` wrote from offset `from` on.
pub fn is_filled(bytes: &[u8], seed: u64, from: u64) -> bool {
    (from..)
        .zip(bytes)
        .all(|(at, byte)| *byte == pattern(seed, at))
}

/// One committed extent filled with a pattern.
pub fn extent(arena: &Arena, len: u64, seed: u64) -> Extent {
    let mut loan = arena.loan(len).unwrap();
    fill(loan.as_mut_slice(), seed);
    loan.commit(&[]).unwrap().remove(0)
}

pub fn read(view: &View) -> Vec<u8> {
    let mut bytes = vec![0; view.len() as usize];
    // SAFETY: `as_ptr` is valid for `len` bytes while the view lives, and no other thread writes
    // it.
    unsafe { std::ptr::copy_nonoverlapping(view.as_ptr(), bytes.as_mut_ptr(), bytes.len()) };
    bytes
}

pub fn write(view: &View, at: u64, byte: u8) {
    assert!(at < view.len());
    // SAFETY: inside the view, and no other thread uses it.
    unsafe { view.as_ptr().add(at as usize).write(byte) };
}

/// False where the kernel cannot scan pages; then there are no views to test. Where it should be able
/// to, views that are off are a failure, not something to skip.
pub fn views_supported() -> bool {
    let arena = arena();
    let extent = extent(&arena, 1, 0);
    let off = matches!(
        arena.view(vec![extent.lease()], 0, 1),
        Err(ViewError::Unsupported)
    );
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|part| part.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    assert!(!off || version < (6, 7), "no views on Linux {release}");
    !off
}

/// Waits until the background thread has brought the usage to where `expected` holds. The limit
/// only keeps a failing test from hanging.
pub fn settle(arena: &Arena, expected: impl Fn(&ArenaUsage) -> bool) {
    let begun = Instant::now();
    while !expected(&arena.usage()) {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "never settled: {:?}",
            arena.usage()
        );
        thread::yield_now();
    }
}
