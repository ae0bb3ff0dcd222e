use proptest::prelude::*;

use super::*;

const PAGE: u64 = 4096;

fn ledger(capacity: u64, retain: u64) -> Ledger {
    let mut ledger = Ledger::new(capacity, retain, PAGE);
    ledger.add_segment(0, 64 * PAGE);
    ledger
}

#[test]
fn large_loans_have_pages_of_their_own() {
    let mut ledger = ledger(u64::MAX, u64::MAX);
    let small = ledger.reserve(1).unwrap();
    let large = ledger.reserve(LARGE + 1).unwrap();
    let next = ledger.reserve(65).unwrap();
    assert_eq!(small.range(), 0..64);
    assert_eq!(large.range(), PAGE..PAGE + LARGE + PAGE);
    assert_eq!(next.range(), 64..192);
}

#[test]
fn warm_bytes_are_preferred_to_lower_cold_ones() {
    let mut ledger = ledger(u64::MAX, u64::MAX);
    ledger.add_segment(1, 64 * PAGE);
    let whole = ledger.reserve(64 * PAGE).unwrap();
    let second = ledger.reserve(PAGE).unwrap();
    ledger.free(&whole, Use::Loaned);
    // Cold again, as after a trim.
    ledger.retain = 0;
    let trim = ledger.trim();
    assert_eq!(trim.segments.len(), 1);
    assert_eq!(trim.segments[0].range(), 0..64 * PAGE);
    ledger.add_segment(0, 64 * PAGE);
    ledger.free(&second, Use::Loaned);
    assert_eq!(ledger.reserve(PAGE).unwrap().segment(), 1);
}

#[test]
fn a_full_ledger_says_so_and_takes_nothing() {
    let mut ledger = ledger(2 * PAGE, u64::MAX);
    let first = ledger.reserve(PAGE + 1).unwrap();
    let refused = ledger.reserve(PAGE).unwrap_err();
    assert_eq!(refused, Refusal::Full { in_use: PAGE + 64 });
    assert_eq!(
        ledger.reserve(u64::MAX).unwrap_err(),
        Refusal::Full { in_use: PAGE + 64 }
    );
    ledger.free(&first, Use::Loaned);
    assert_eq!(ledger.in_use(), InUse::default());
    assert!(ledger.reserve(2 * PAGE).is_ok());
}

#[test]
fn no_room_names_the_segment_that_is_needed() {
    let mut ledger = ledger(u64::MAX, u64::MAX);
    let refused = ledger.reserve(65 * PAGE - 1).unwrap_err();
    assert_eq!(refused, Refusal::NoRoom { need: 65 * PAGE });
    ledger.add_segment(3, 65 * PAGE);
    assert_eq!(ledger.reserve(65 * PAGE - 1).unwrap().segment(), 3);
}

#[test]
fn a_trim_takes_the_highest_free_pages_down_to_the_limit() {
    let mut ledger = ledger(u64::MAX, 4 * PAGE);
    let kept = ledger.reserve(100).unwrap();
    let pieces: Vec<_> = (0..3).map(|_| ledger.reserve(16 * PAGE).unwrap()).collect();
    for piece in &pieces {
        ledger.free(piece, Use::Loaned);
    }
    assert_eq!(ledger.warm(), 48 * PAGE);
    let trim = ledger.trim();
    assert!(trim.segments.is_empty(), "one loan is still out");
    let [piece] = trim.pieces.as_slice() else {
        panic!("one range: {trim:?}")
    };
    assert_eq!(piece.range(), 5 * PAGE..49 * PAGE);
    assert_eq!(ledger.warm(), 4 * PAGE);
    assert!(!ledger.wants_care());
    ledger.trimmed(trim.pieces);
    ledger.free(&kept, Use::Loaned);
    assert!(
        ledger.reserve(64 * PAGE).is_ok(),
        "trimmed memory can be loaned again"
    );
}

#[test]
fn free_bytes_that_share_a_page_with_used_ones_are_not_trimmed() {
    let mut ledger = ledger(u64::MAX, 0);
    let _used = ledger.reserve(64).unwrap();
    let free = ledger.reserve(128).unwrap();
    ledger.free(&free, Use::Loaned);
    let trim = ledger.trim();
    assert!(trim.segments.is_empty() && trim.pieces.is_empty());
    assert_eq!(ledger.warm(), 128);
}

#[test]
fn a_chunk_is_recycled_once_and_only_when_all_of_it_was_used() {
    let mut ledger = Ledger::new(u64::MAX, u64::MAX, PAGE);
    ledger.add_segment(7, 3 * CHUNK);
    let pieces: Vec<_> = (0..5).map(|_| ledger.reserve(CHUNK / 2).unwrap()).collect();
    for at in [1, 2, 4] {
        ledger.free(&pieces[at], Use::Loaned);
        assert_eq!(ledger.next_recycled(), None);
    }
    ledger.free(&pieces[0], Use::Loaned);
    assert!(ledger.wants_care());
    assert_eq!(ledger.next_recycled(), Some((7, 0..CHUNK)));
    let again = ledger.reserve(CHUNK).unwrap();
    ledger.free(&again, Use::Loaned);
    ledger.free(&pieces[3], Use::Loaned);
    assert_eq!(ledger.next_recycled(), Some((7, CHUNK..2 * CHUNK)));
    assert_eq!(
        ledger.next_recycled(),
        None,
        "half of the third was never used"
    );
}

proptest! {
    /// Loans, frees and trims in any order: no two pieces overlap, the sums are right, and in the
    /// end all the bytes of the segment are free again.
    #[test]
    fn nothing_overlaps_and_nothing_is_lost(
        steps in prop::collection::vec((0u8..3, 0u64..80_000, any::<prop::sample::Index>()), 1..80),
        retain in 0u64..200_000,
    ) {
        let mut ledger = Ledger::new(u64::MAX, retain, PAGE);
        let len = 1 << 20;
        ledger.add_segment(0, len);
        let mut out: Vec<Piece> = Vec::new();
        for (what, bytes, which) in steps {
            match what {
                0 | 1 if out.is_empty() || what == 0 => {
                    if let Ok(piece) = ledger.reserve(bytes) {
                        let large = bytes >= LARGE;
                        prop_assert_eq!(piece.offset() % if large { PAGE } else { SMALL_ALIGN }, 0);
                        prop_assert!(piece.len() >= bytes.max(1));
                        let clash = |other: &Piece| {
                            other.range().start < piece.range().end
                                && piece.range().start < other.range().end
                        };
                        prop_assert!(!out.iter().any(clash));
                        out.push(piece);
                    }
                }
                1 => {
                    let piece = out.swap_remove(which.index(out.len()));
                    ledger.free(&piece, Use::Loaned);
                }
                _ => {
                    let before = ledger.warm();
                    let trim = ledger.trim();
                    for piece in &trim.pieces {
                        prop_assert_eq!((piece.offset() % PAGE, piece.len() % PAGE), (0, 0));
                    }
                    // Never much below the limit: what was warm beyond it goes, and a page per
                    // piece.
                    let slack = PAGE * (trim.pieces.len() as u64 + 1);
                    if trim.segments.is_empty() {
                        prop_assert!(ledger.warm() + slack >= before.min(retain));
                        ledger.trimmed(trim.pieces);
                    } else {
                        ledger.add_segment(0, len);
                    }
                }
            }
            let sum: u64 = out.iter().map(Piece::len).sum();
            prop_assert_eq!(ledger.in_use().loaned, sum);
            prop_assert_eq!(ledger.spaces[&0].free.total() + sum, len);
            prop_assert_eq!(ledger.spaces[&0].warm.total(), ledger.warm());
        }
    }
}
