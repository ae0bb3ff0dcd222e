//! The accounting of loans and leases, and the copy of our own.

use tq_arena::{Arena, ArenaConfig, copy_streamed};

use crate::count;

pub(crate) fn cycles() {
    let arena = Arena::new(ArenaConfig::default()).unwrap();
    let cycle = |len: u64| {
        let extents = arena.loan(len).unwrap().commit(&[]).unwrap();
        let lease = arena.lease(extents[0].id()).unwrap();
        drop(extents);
        lease.as_slice().len()
    };
    cycle(64);
    count(|| (0..1000).map(|number| cycle(64 + number)).sum::<usize>());
}

pub(crate) fn streamed() {
    let source = vec![7; 1 << 20];
    let mut target = vec![1; 1 << 20];
    count(|| copy_streamed(&source, &mut target));
}
