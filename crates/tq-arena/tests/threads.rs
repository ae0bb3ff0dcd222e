//! Many threads on one arena.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::mpsc;
use std::thread;

use common::*;
use tq_arena::{ArenaConfig, ViewError};

#[test]
fn producers_and_readers_share_an_arena() {
    let arena = arena_with(ArenaConfig {
        segment_bytes: 2 << 20,
        retain_bytes: 256 << 10,
        ..ArenaConfig::default()
    });
    let (sender, receiver) = mpsc::sync_channel(16);
    let views = views_supported();
    thread::scope(|scope| {
        for producer in 0..4u64 {
            let (arena, sender) = (arena.clone(), sender.clone());
            scope.spawn(move || {
                for round in 0..60 {
                    let seed = producer * 1000 + round;
                    let extent = extent(&arena, seed * 37 % 90_000, seed);
                    let lease = arena.lease(extent.id()).unwrap();
                    sender.send((extent, lease, seed)).unwrap();
                }
            });
        }
        drop(sender);
        let arena = &arena;
        let reader = move |(extent, lease, seed): (tq_arena::Extent, tq_arena::Lease, u64)| {
            let len = extent.len();
            let view = arena.view(vec![extent.lease()], 0, len);
            drop(extent);
            assert!(is_filled(lease.as_slice(), seed, 0));
            match view {
                Ok(view) => {
                    assert!(is_filled(&read(&view), seed, 0));
                    (0..len)
                        .step_by(5000)
                        .for_each(|at| write(&view, at, !pattern(seed, at)));
                }
                // A small neighbour's view may cover the same page.
                Err(ViewError::Busy { .. }) => {}
                Err(error) => assert!(!views, "{error}"),
            }
            assert!(is_filled(lease.as_slice(), seed, 0));
        };
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let (to_worker, work) = mpsc::sync_channel(1);
                scope.spawn(move || work.into_iter().for_each(reader));
                to_worker
            })
            .collect();
        for (turn, job) in receiver.into_iter().enumerate() {
            workers[turn % workers.len()].send(job).unwrap();
        }
    });
    settle(&arena, |usage| usage.in_use() == 0 && usage.live_views == 0);
}

#[test]
fn threads_fight_for_one_view() {
    if !views_supported() {
        return;
    }
    let arena = arena();
    let len = 20 * PAGE;
    let extent = extent(&arena, len, 4);
    let granted: usize = thread::scope(|scope| {
        let rounds = || {
            let mut granted = 0;
            for _ in 0..200 {
                if let Ok(view) = arena.view(vec![extent.lease()], 0, len) {
                    granted += 1;
                    assert!(is_filled(&read(&view), 4, 0), "a stranger's writes show");
                    write(&view, 3 * PAGE, 0);
                    write(&view, 9 * PAGE, 0);
                }
            }
            granted
        };
        let fighters: Vec<_> = (0..4).map(|_| scope.spawn(rounds)).collect();
        fighters
            .into_iter()
            .map(|fighter| fighter.join().unwrap())
            .sum()
    });
    assert!(granted > 0);
    assert!(is_filled(extent.lease().as_slice(), 4, 0));
}

#[test]
fn arenas_close_while_views_are_dropped_elsewhere() {
    if !views_supported() {
        return;
    }
    for _ in 0..30 {
        let arena = arena();
        let extents: Vec<_> = (0..4)
            .map(|seed| extent(&arena, 2 * PAGE * 16, seed))
            .collect();
        let views: Vec<_> = extents
            .iter()
            .map(|extent| arena.view(vec![extent.lease()], 0, extent.len()).unwrap())
            .collect();
        thread::scope(|scope| {
            scope.spawn(move || {
                views.iter().for_each(|view| write(view, 0, 1));
                drop(views);
            });
            drop(extents);
            drop(arena);
        });
    }
}
