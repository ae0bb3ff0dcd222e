//! Private views: isolation, exclusion, and what happens after they are dropped.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use tq_arena::{ArenaConfig, ViewError};

const LEN: u64 = 40 * PAGE;

#[test]
fn writes_stay_in_the_view() {
    if !views_supported() {
        return;
    }
    let arena = arena();
    let extent = extent(&arena, LEN, 1);
    let lease = extent.lease();
    for round in 0..3 {
        let view = arena.view(vec![extent.lease()], 0, LEN).unwrap();
        assert!(
            is_filled(&read(&view), 1, 0),
            "round {round} shows what is stored"
        );
        for at in (0..LEN).step_by(3000) {
            write(&view, at, !pattern(1, at));
        }
        assert!(!is_filled(&read(&view), 1, 0));
        assert!(is_filled(lease.as_slice(), 1, 0));
        drop(view);
    }
    settle(&arena, |usage| usage.live_views == 0);
}

#[test]
fn pages_of_a_live_view_are_busy_and_others_are_not() {
    if !views_supported() {
        return;
    }
    let arena = arena();
    let extent = extent(&arena, LEN, 1);
    let ask = |offset, len| arena.view(vec![extent.lease()], offset, len);
    let view = ask(2 * PAGE + 10, 3 * PAGE).unwrap();
    let id = extent.id();
    for (offset, len) in [
        (0, LEN),
        (2 * PAGE, 1),
        (5 * PAGE + 4000, 1),
        (PAGE, PAGE + 1),
    ] {
        let error = ask(offset, len).unwrap_err();
        assert!(matches!(
            error,
            ViewError::Busy { segment, offset: found, end }
                if segment == id.segment && found == id.offset + offset && end == found + len
        ));
    }
    let below = ask(0, 2 * PAGE).unwrap();
    let above = ask(6 * PAGE, PAGE).unwrap();
    assert!(is_filled(&read(&above), 1, 6 * PAGE));
    assert_eq!(arena.usage().live_views, 3);
    drop((view, below, above));
    assert_eq!(arena.usage().live_views, 0);
    assert!(is_filled(&read(&ask(0, LEN).unwrap()), 1, 0));
}

#[test]
fn adjacent_extents_make_one_view_and_only_those_it_needs_are_kept() {
    if !views_supported() {
        return;
    }
    let arena = arena();
    let mut loan = arena.loan(LEN).unwrap();
    fill(loan.as_mut_slice(), 9);
    let extents = loan.commit(&[8 * PAGE, 8 * PAGE + 64, 20 * PAGE]).unwrap();
    let leases: Vec<_> = extents.iter().map(tq_arena::Extent::lease).collect();
    let view = arena.view(leases, 8 * PAGE - 100, 300).unwrap();
    assert!(is_filled(&read(&view), 9, 8 * PAGE - 100));
    drop(extents);
    assert_eq!(
        arena.usage().retired,
        20 * PAGE,
        "the last extent was not needed"
    );
    drop(view);
    settle(&arena, |usage| usage.in_use() == 0);
}

#[test]
fn leases_that_do_not_lie_end_to_end_are_refused() {
    if !views_supported() {
        return;
    }
    let arena = arena();
    let [a, b, c] = [0, 1, 2].map(|seed| extent(&arena, 128, seed));
    let elsewhere = extent(&common::arena(), 128, 0);
    let refused = |leases, position| {
        let error = arena.view(leases, 0, 1).unwrap_err();
        assert!(matches!(error, ViewError::NotAdjacent { position: found } if found == position));
    };
    refused(vec![], 0);
    refused(vec![a.lease(), c.lease()], 1);
    refused(vec![a.lease(), b.lease(), a.lease()], 2);
    refused(vec![b.lease(), a.lease()], 1);
    refused(vec![elsewhere.lease()], 0);
    let held = vec![a.lease(), b.lease(), c.lease()];
    assert!(arena.view(held.clone(), 0, 384).is_ok());
    for (offset, len) in [(0, 385), (384, 1), (u64::MAX, 2)] {
        let error = arena.view(held.clone(), offset, len).unwrap_err();
        assert!(matches!(error, ViewError::OutOfBounds { held: 384, .. }));
    }
}

#[test]
fn a_view_of_nothing_is_never_busy() {
    if !views_supported() {
        return;
    }
    let arena = arena();
    let empty = extent(&arena, 0, 0);
    let full = extent(&arena, 64, 0);
    let _all = arena.view(vec![full.lease()], 0, 64).unwrap();
    let view = arena.view(vec![empty.lease()], 0, 0).unwrap();
    let other = arena.view(vec![full.lease()], 64, 0).unwrap();
    assert!(view.is_empty() && other.is_empty() && !view.as_ptr().is_null());
}

#[test]
fn a_view_keeps_retired_bytes_and_gives_them_back() {
    if !views_supported() {
        return;
    }
    let arena = arena();
    let first = extent(&arena, LEN, 1);
    let id = first.id();
    let view = arena.view(vec![first.lease()], 0, LEN).unwrap();
    drop(first);
    assert_eq!(arena.usage().retired, LEN);
    assert_ne!(extent(&arena, LEN, 2).id().offset, id.offset);
    assert!(is_filled(&read(&view), 1, 0));
    (0..LEN).step_by(1000).for_each(|at| write(&view, at, 0));
    drop(view);
    settle(&arena, |usage| usage.in_use() == 0);
    // Reused, and viewed again: nothing of the old view shows.
    let again = extent(&arena, LEN, 3);
    assert_eq!(again.id().offset, id.offset);
    let view = arena.view(vec![again.lease()], 0, LEN).unwrap();
    assert!(is_filled(&read(&view), 3, 0));
}

#[test]
fn a_view_shows_fresh_bytes_after_its_pages_were_given_back_to_the_system() {
    if !views_supported() {
        return;
    }
    let arena = arena_with(ArenaConfig {
        retain_bytes: 0,
        ..ArenaConfig::default()
    });
    // Keeps the segment from being unmapped whole.
    let _anchor = extent(&arena, 64, 0);
    for seed in 0..3 {
        let extent = extent(&arena, LEN, seed);
        let view = arena.view(vec![extent.lease()], 0, LEN).unwrap();
        assert!(is_filled(&read(&view), seed, 0));
        write(&view, 5 * PAGE, 77);
        drop((view, extent));
        settle(&arena, |usage| {
            usage.in_use() == 64 && usage.free_resident == 0
        });
    }
}

#[test]
fn a_view_outlives_extent_and_arena() {
    if !views_supported() {
        return;
    }
    let arena = arena();
    let extent = extent(&arena, LEN, 1);
    let view = arena.view(vec![extent.lease()], PAGE, LEN - PAGE).unwrap();
    let waiting = arena.view(vec![extent.lease()], 0, PAGE).unwrap();
    write(&waiting, 0, 1);
    drop(waiting);
    drop(extent);
    drop(arena);
    write(&view, 0, !pattern(1, PAGE));
    assert!(is_filled(&read(&view)[1..], 1, PAGE + 1));
    drop(view);
}

#[test]
fn a_view_may_be_dropped_on_another_thread() {
    if !views_supported() {
        return;
    }
    let arena = arena();
    let extent = extent(&arena, LEN, 1);
    let view = arena.view(vec![extent.lease()], 0, LEN).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            write(&view, 1, 9);
            drop(view);
        });
    });
    let again = arena.view(vec![extent.lease()], 0, LEN).unwrap();
    assert!(is_filled(&read(&again), 1, 0));
}
