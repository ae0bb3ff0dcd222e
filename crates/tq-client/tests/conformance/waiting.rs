//! Woken by the change that was waited for, and by nothing less.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};

use tq_client::{Engine, Subscription};
use tq_engine::Interest;

use crate::common::{LIMIT, keys, on_all, put};

fn wait_for(engine: &Engine, rows: u64) -> (Receiver<()>, Subscription) {
    let (woken, wakes) = sync_channel(8);
    let wake = Box::new(move || woken.send(()).unwrap());
    let interest = Interest {
        rows,
        consumption: false,
    };
    (wakes, engine.subscribe("p", interest, wake).unwrap())
}

#[test]
fn a_put_wakes_once_its_rows_are_complete() {
    on_all(|engine| {
        let (wakes, subscription) = wait_for(engine, 3);
        put(engine, "p", &keys(0..2), "x", 8, 1).unwrap();
        // What a wake of the first put would do, this one does for certain.
        let (first, _other) = wait_for(engine, 1);
        put(engine, "p", &keys(2..3), "x", 8, 1).unwrap();
        first.recv_timeout(LIMIT).unwrap();
        wakes.recv_timeout(LIMIT).unwrap();
        assert!(wakes.try_recv().is_err());
        drop(subscription);
    });
}

#[test]
fn many_wait_and_each_is_woken() {
    on_all(|engine| {
        let waits: Vec<_> = (0..100).map(|_| wait_for(engine, 1)).collect();
        let before = engine.activity("p").unwrap();
        put(engine, "p", &keys(0..1), "x", 8, 1).unwrap();
        assert!(engine.activity("p").unwrap() > before);
        for (wakes, _subscription) in waits {
            wakes.recv_timeout(LIMIT).unwrap();
        }
    });
}

#[test]
fn a_wait_that_was_dropped_does_not_wake() {
    on_all(|engine| {
        let (wakes, subscription) = wait_for(engine, 1);
        drop(subscription);
        put(engine, "p", &keys(0..1), "x", 8, 1).unwrap();
        assert_eq!(
            wakes.recv_timeout(LIMIT),
            Err(RecvTimeoutError::Disconnected)
        );
    });
}

#[test]
fn closing_wakes_everybody() {
    on_all(|engine| {
        let (wakes, _subscription) = wait_for(engine, 1000);
        engine.close();
        wakes.recv_timeout(LIMIT).unwrap();
        assert!(engine.check().is_err());
        assert!(engine.list(None).is_err());
    });
}
