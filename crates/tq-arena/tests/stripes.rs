//! Loans that several fill at once.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;

#[test]
fn stripes_filled_by_several_threads_are_the_loan_in_order() {
    let arena = arena();
    let stripes = arena.loan(10_000).unwrap().stripes(4096);
    assert_eq!((stripes.count(), stripes.len()), (3, 10_000));
    std::thread::scope(|scope| {
        for number in (0..3).rev() {
            let stripes = stripes.clone();
            scope.spawn(move || {
                let mut stripe = stripes.take(number).unwrap();
                stripe.as_mut_slice().fill(number as u8 + 1);
            });
        }
    });
    let extents = stripes.join().unwrap().commit(&[]).unwrap();
    let lease = arena.lease(extents[0].id()).unwrap();
    let wanted: Vec<u8> = (0..10_000u32).map(|at| (at / 4096) as u8 + 1).collect();
    assert_eq!(lease.as_slice(), wanted);
}

#[test]
fn a_stripe_is_out_once_and_the_loan_waits_for_it() {
    let arena = arena();
    let stripes = arena.loan(200).unwrap().stripes(64);
    let stripe = stripes.take(3).unwrap();
    assert_eq!((stripe.len(), stripe.range().len), (8, 8));
    assert!(stripes.take(3).is_none());
    assert!(stripes.take(4).is_none());
    assert!(stripes.join().is_none());
    drop(stripe);
    drop(stripes.take(3).unwrap());
    let loan = stripes.join().unwrap();
    assert_eq!(loan.len(), 200);
    assert!(stripes.take(0).is_none() && stripes.join().is_none());
}

#[test]
fn what_is_never_joined_is_given_back_with_the_last_stripe() {
    let arena = arena();
    let stripes = arena.loan(1 << 20).unwrap().stripes(1 << 16);
    let stripe = stripes.take(7).unwrap();
    drop(stripes);
    assert_eq!(arena.usage().loaned, 1 << 20);
    drop(stripe);
    assert_eq!(arena.usage().loaned, 0);
}
