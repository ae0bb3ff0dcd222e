//! Run with `RUSTFLAGS="--cfg loom" cargo test -p tq-arena --release --lib loom`.

use std::sync::Arc;

use loom::thread;

use super::*;

const LEN: u64 = 4096;

type Holds = Arc<Hold<()>>;

/// A registry whose one segment is filled by one extent; its first lease is counted.
fn one_extent() -> (Arc<Registry<()>>, Holds) {
    let mut ledger = Ledger::new(u64::MAX, u64::MAX, LEN);
    ledger.add_segment(0, LEN);
    let registry = Registry::new(ledger);
    let piece = registry.reserve(LEN).unwrap();
    let hold = registry.commit(piece, LEN, &[], &()).remove(0);
    hold.count.add_lease();
    (Arc::new(registry), hold)
}

/// What `Lease::drop` does. A second free of the same bytes panics in the ledger.
fn drop_lease(registry: &Registry<()>, hold: &Hold<()>) {
    if hold.count.drop_lease() {
        registry.free_retired(hold);
    }
}

fn is_free(registry: &Registry<()>) -> bool {
    registry.with_ledger(|ledger| ledger.in_use().total() == 0)
}

fn assert_all_free(registry: &Registry<()>) {
    assert!(is_free(registry));
    assert!(
        registry.reserve(LEN).is_ok(),
        "the bytes are there to be loaned again"
    );
}

#[test]
fn owner_and_last_lease_race_and_the_bytes_are_freed_once() {
    loom::model(|| {
        let (registry, hold) = one_extent();
        let lessee = {
            let (registry, hold) = (Arc::clone(&registry), Arc::clone(&hold));
            thread::spawn(move || drop_lease(&registry, &hold))
        };
        registry.retire(&hold);
        lessee.join().unwrap();
        assert_all_free(&registry);
    });
}

#[test]
fn a_lease_by_name_is_stale_or_keeps_the_bytes() {
    loom::model(|| {
        let (registry, hold) = one_extent();
        let lessee = {
            let (registry, hold) = (Arc::clone(&registry), Arc::clone(&hold));
            thread::spawn(move || drop_lease(&registry, &hold))
        };
        let asker = {
            let (registry, id) = (Arc::clone(&registry), hold.id);
            thread::spawn(move || {
                if let Some(hold) = registry.lease(id) {
                    assert!(!is_free(&registry), "freed under a lease");
                    assert!(registry.reserve(1).is_err(), "loaned out under a lease");
                    drop_lease(&registry, &hold);
                }
            })
        };
        registry.retire(&hold);
        lessee.join().unwrap();
        asker.join().unwrap();
        assert!(registry.lease(hold.id).is_none());
        assert_all_free(&registry);
    });
}

#[test]
fn a_clone_keeps_the_bytes_while_the_original_and_the_owner_go() {
    loom::model(|| {
        let (registry, hold) = one_extent();
        let lessee = {
            let (registry, hold) = (Arc::clone(&registry), Arc::clone(&hold));
            thread::spawn(move || {
                // `Lease::clone`, then both are dropped.
                hold.count.add_lease();
                drop_lease(&registry, &hold);
                assert!(!is_free(&registry), "freed under a lease");
                drop_lease(&registry, &hold);
            })
        };
        registry.retire(&hold);
        lessee.join().unwrap();
        assert_all_free(&registry);
    });
}
