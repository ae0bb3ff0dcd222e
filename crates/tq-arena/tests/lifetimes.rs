//! Who keeps bytes alive, and when they are used again.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use tq_arena::{Arena, ArenaConfig, ArenaError, CommitError, LeaseError, LoanError};

#[test]
fn committed_bytes_are_read_back() {
    let arena = arena();
    for len in [1, 64, 65, 4096, 65_535, 65_536, 3 << 20] {
        let extent = extent(&arena, len, len);
        let lease = arena.lease(extent.id()).unwrap();
        assert_eq!(lease.as_slice().len() as u64, len);
        assert!(is_filled(lease.as_slice(), len, 0));
        let align = if len >= 65_536 { PAGE } else { 64 };
        assert_eq!(lease.as_slice().as_ptr() as u64 % align, 0);
        assert_eq!(extent.id().offset % align, 0);
    }
}

#[test]
fn no_bytes_can_be_loaned_and_leased() {
    let arena = arena();
    let mut loan = arena.loan(0).unwrap();
    assert!(loan.is_empty() && loan.as_mut_slice().is_empty());
    let extents = loan.commit(&[]).unwrap();
    let [extent] = extents.as_slice() else {
        panic!("one extent")
    };
    assert!(extent.is_empty());
    assert_eq!(arena.lease(extent.id()).unwrap().as_slice(), [0u8; 0]);
}

#[test]
fn cut_extents_are_freed_one_by_one() {
    let arena = arena();
    let mut loan = arena.loan(1000).unwrap();
    fill(loan.as_mut_slice(), 5);
    let mut extents = loan.commit(&[64, 640]).unwrap();
    let ids: Vec<_> = extents
        .iter()
        .map(|extent| (extent.id().offset, extent.len()))
        .collect();
    assert_eq!(ids, [(0, 64), (64, 576), (640, 360)]);
    assert_eq!(arena.usage().committed, 1024);
    let middle = extents.remove(1);
    let stale = middle.id();
    drop(middle);
    assert_eq!(arena.usage().committed, 1024 - 576);
    assert!(matches!(arena.lease(stale), Err(LeaseError::Stale { asked }) if asked == stale));
    assert!(is_filled(
        arena.lease(extents[1].id()).unwrap().as_slice(),
        5,
        640
    ));
}

#[test]
fn bad_cuts_are_refused_and_the_loan_is_given_back() {
    let arena = arena();
    for (cuts, position) in [
        (&[0][..], 0),
        (&[65], 0),
        (&[128, 128], 1),
        (&[128, 64], 1),
        (&[64, 1024], 1),
    ] {
        let error = arena.loan(1000).unwrap().commit(cuts).unwrap_err();
        let CommitError::BadCut {
            position: found,
            len,
            ..
        } = error;
        assert_eq!((found, len), (position, 1000));
    }
    assert!(
        arena.loan(1024).unwrap().commit(&[1024]).is_err(),
        "an empty last part"
    );
    assert_eq!(arena.usage().in_use(), 0);
}

#[test]
fn a_lease_outlives_its_extent_and_its_bytes_are_not_reused() {
    let arena = arena();
    let first = extent(&arena, 5000, 1);
    let lease = first.lease();
    let copy = lease.clone();
    let id = first.id();
    drop(first);
    assert_eq!((arena.usage().committed, arena.usage().retired), (0, 5056));
    assert!(matches!(arena.lease(id), Err(LeaseError::Stale { .. })));
    let second = extent(&arena, 5000, 2);
    assert_ne!(second.id().offset, id.offset);
    drop(lease);
    assert!(is_filled(copy.as_slice(), 1, 0));
    drop(copy);
    assert_eq!(arena.usage().retired, 0);
    let third = extent(&arena, 5000, 3);
    assert_eq!(
        (third.id().segment, third.id().offset),
        (id.segment, id.offset),
        "warm and lowest"
    );
    assert_ne!(third.id().generation, id.generation);
    assert!(
        matches!(arena.lease(id), Err(LeaseError::Stale { .. })),
        "same place, older generation"
    );
}

#[test]
fn a_name_with_any_part_changed_is_stale() {
    let arena = arena();
    let extent = extent(&arena, 128, 1);
    let id = extent.id();
    let mut forged = [id; 4];
    forged[0].segment += 1;
    forged[1].offset += 64;
    forged[2].len += 1;
    forged[3].generation += 1;
    for forged in forged {
        assert!(
            matches!(arena.lease(forged), Err(LeaseError::Stale { .. })),
            "{forged}"
        );
    }
    let other = Arena::new(ArenaConfig::default()).unwrap();
    assert!(matches!(other.lease(id), Err(LeaseError::Stale { .. })));
    assert!(arena.lease(id).is_ok());
}

#[test]
fn a_full_arena_refuses_and_loses_nothing() {
    let arena = arena_with(ArenaConfig {
        capacity_bytes: 200_000,
        ..ArenaConfig::default()
    });
    let kept = extent(&arena, 100_000, 1);
    let loan = arena.loan(50_000).unwrap();
    let before = arena.usage();
    assert_eq!((before.committed, before.loaned), (102_400, 50_048));
    let error = arena.loan(50_000).unwrap_err();
    assert!(matches!(
        error,
        LoanError::CapacityExceeded {
            asked: 50_048,
            in_use: 152_448,
            capacity: 200_000
        }
    ));
    assert!(matches!(
        arena.loan(u64::MAX),
        Err(LoanError::CapacityExceeded { .. })
    ));
    assert_eq!(arena.usage(), before);
    assert!(is_filled(kept.lease().as_slice(), 1, 0));
    let lease = kept.lease();
    drop(kept);
    assert!(arena.loan(50_000).is_err(), "what is under lease counts");
    drop(lease);
    drop(loan);
    assert!(arena.loan(196_000).is_ok());
}

#[test]
fn an_impossible_loan_is_an_error_of_the_system() {
    let arena = arena();
    let error = arena.loan(1 << 60).unwrap_err();
    assert!(matches!(error, LoanError::System { asked, .. } if asked == 1 << 60));
    assert_eq!(arena.usage().in_use(), 0);
}

#[test]
fn bad_segment_sizes_are_refused() {
    for found in [0, u64::MAX] {
        let config = ArenaConfig {
            segment_bytes: found,
            ..ArenaConfig::default()
        };
        assert!(matches!(
            Arena::new(config),
            Err(ArenaError::SegmentSize { .. })
        ));
    }
}

#[test]
fn bytes_outlive_the_arena() {
    let arena = arena();
    let first = extent(&arena, 100_000, 1);
    let lease = first.lease();
    let loan = arena.loan(100).unwrap();
    drop(arena);
    let second = loan.commit(&[]).unwrap().remove(0);
    drop(first);
    assert!(is_filled(lease.as_slice(), 1, 0));
    assert_eq!(second.lease().as_slice().len(), 100);
}

#[test]
fn free_memory_beyond_the_limit_goes_back_to_the_system() {
    let len = 1 << 20;
    let arena = arena_with(ArenaConfig {
        segment_bytes: 8 << 20,
        retain_bytes: len,
        ..ArenaConfig::default()
    });
    let mut extents: Vec<_> = (0..7).map(|seed| extent(&arena, len, seed)).collect();
    let kept = extents.remove(0);
    drop(extents);
    settle(&arena, |usage| usage.free_resident == len);
    assert_eq!(arena.usage().segments, 1);
    assert!(is_filled(kept.lease().as_slice(), 0, 0));
    // Cold memory is as good as any other.
    let again: Vec<_> = (0..7).map(|seed| extent(&arena, len, seed + 50)).collect();
    for (seed, extent) in (50..).zip(&again) {
        assert!(is_filled(extent.lease().as_slice(), seed, 0));
    }
    drop((kept, again));
    settle(&arena, |usage| {
        usage.free_resident <= len && usage.in_use() == 0
    });
}

#[test]
fn wholly_free_segments_are_unmapped() {
    let arena = arena_with(ArenaConfig {
        segment_bytes: 2 << 20,
        retain_bytes: 0,
        ..ArenaConfig::default()
    });
    let extents: Vec<_> = (0..3).map(|seed| extent(&arena, 3 << 20, seed)).collect();
    assert_eq!(arena.usage().segments, 3);
    let lease = extents[1].lease();
    drop(extents);
    settle(&arena, |usage| {
        usage.segments == 1 && usage.free_resident == 0
    });
    assert!(is_filled(lease.as_slice(), 1, 0));
    drop(lease);
    settle(&arena, |usage| usage.segments == 0);
    drop(extent(&arena, 10, 1));
}
