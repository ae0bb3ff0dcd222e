//! Memory files that somebody else has mapped, found by address and mapped again.
#![allow(clippy::unwrap_used)]

mod common;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::*;
use tq_arena::{Extent, MappedFiles, View};

const LEN: u64 = 4 * PAGE;

/// This program, which has the files of its arenas open.
fn this_program() -> String {
    let name = std::fs::read_to_string("/proc/self/comm").unwrap();
    name.trim_end().to_owned()
}

fn addresses(extent: &Extent) -> Range<u64> {
    let bytes = extent.lease();
    let bytes = bytes.as_slice().as_ptr_range();
    bytes.start.addr() as u64..bytes.end.addr() as u64
}

fn counted(count: &Arc<AtomicUsize>) -> Box<dyn FnOnce() + Send> {
    let count = Arc::clone(count);
    Box::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    })
}

#[test]
fn a_view_of_mapped_bytes_is_private() {
    let arena = arena();
    let (first, second) = (extent(&arena, LEN, 1), extent(&arena, LEN, 2));
    let files = MappedFiles::new(&this_program());
    let released = Arc::new(AtomicUsize::new(0));
    let lease = files.lease(addresses(&second), counted(&released)).unwrap();
    assert_eq!(lease.as_slice(), second.lease().as_slice());
    assert_ne!(lease.as_slice(), first.lease().as_slice());
    // Another mapping of the same bytes, of which the stored ones cannot be reached.
    assert_ne!(
        lease.as_slice().as_ptr(),
        second.lease().as_slice().as_ptr()
    );
    let before = second.lease().as_slice().to_vec();
    if let Ok(view) = View::of(vec![lease.clone()], 8, 16) {
        write(&view, 3, !before[11]);
        assert_eq!(second.lease().as_slice(), before);
        assert_eq!(lease.as_slice(), before);
        drop(lease);
        assert_eq!(released.load(Ordering::SeqCst), 0, "the view holds it");
        drop(view);
        let begun = std::time::Instant::now();
        while released.load(Ordering::SeqCst) == 0 {
            assert!(begun.elapsed() < std::time::Duration::from_secs(30));
            std::thread::yield_now();
        }
    }
}

#[test]
fn what_is_forgotten_stays_leased_and_is_found_again() {
    let arena = arena();
    let extent = extent(&arena, LEN, 3);
    let files = MappedFiles::new(&this_program());
    let released = Arc::new(AtomicUsize::new(0));
    let old = files.lease(addresses(&extent), counted(&released)).unwrap();
    files.forget();
    let new = files.lease(addresses(&extent), counted(&released)).unwrap();
    assert_ne!(old.range().segment, new.range().segment);
    assert_eq!(old.as_slice(), new.as_slice());
    drop((old, new));
    assert_eq!(released.load(Ordering::SeqCst), 2);
}

#[test]
fn other_memory_is_not_leased() {
    let arena = arena();
    let extent = extent(&arena, LEN, 4);
    let released = Arc::new(AtomicUsize::new(0));
    let others = MappedFiles::new("no such program");
    let own = MappedFiles::new(&this_program());
    let heap = vec![0u8; 1 << 20];
    let heap = heap.as_ptr_range();
    let heap = heap.start.addr() as u64..heap.end.addr() as u64;
    let inside = addresses(&extent);
    for _ in 0..2 {
        assert!(others.lease(inside.clone(), counted(&released)).is_none());
        assert!(own.lease(heap.clone(), counted(&released)).is_none());
        let beyond = inside.start..inside.end + (1 << 40);
        assert!(own.lease(beyond, counted(&released)).is_none());
    }
    assert_eq!(released.load(Ordering::SeqCst), 0);
    assert_eq!(Arc::strong_count(&released), 1, "a release was kept");
}
