//! Who waits is woken by the change that can satisfy him, and by nothing less.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tq_controller::{FetchRequest, TagValue, Tags};
use tq_engine::{Claim, Embedded, EmbeddedConfig, Interest, Subscription};
use tq_proto::{DType, ErrorKind, GlobalIndex};
use tq_storage::{ColumnLayout, ColumnPlan};

/// Long enough that only a wake that never comes reaches it.
const LIMIT: Duration = Duration::from_secs(20);

fn engine() -> Embedded {
    Embedded::new(EmbeddedConfig {
        threads: 1,
        ..EmbeddedConfig::default()
    })
    .unwrap()
}

fn put(engine: &Embedded, keys: &[String]) {
    let plan = ColumnPlan {
        field: "f".into(),
        layout: ColumnLayout::Dense {
            dtype: DType::UInt8,
            row_shape: vec![8],
        },
    };
    let mut put = engine.begin_put("p", keys, vec![plan]).unwrap();
    put.columns_mut()
        .into_iter()
        .for_each(|bytes| bytes.fill(1));
    put.publish(None).unwrap();
}

fn keys(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("k{number}")).collect()
}

fn request(task: &str, batch_size: usize) -> FetchRequest {
    FetchRequest {
        partition: "p".into(),
        task: task.into(),
        fields: vec!["f".into()],
        batch_size,
        dp_rank: None,
        batch_index: None,
    }
}

fn counting(engine: &Embedded, rows: u64, consumption: bool) -> (Arc<AtomicUsize>, Subscription) {
    let woken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&woken);
    let wake = Box::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let interest = Interest { rows, consumption };
    let subscription = engine.subscribe("p", interest, wake).unwrap();
    (woken, subscription)
}

#[test]
fn a_waiter_is_woken_once_by_the_put_that_completes_its_rows() {
    let engine = engine();
    let (woken, _subscription) = counting(&engine, 5, false);
    put(&engine, &keys(0..2));
    put(&engine, &keys(2..4));
    assert_eq!(woken.load(Ordering::SeqCst), 0);
    put(&engine, &keys(4..7));
    assert_eq!(woken.load(Ordering::SeqCst), 1);
    put(&engine, &keys(7..20));
    assert_eq!(woken.load(Ordering::SeqCst), 1);
}

#[test]
fn clears_resets_and_new_tags_wake_everybody() {
    type Action = fn(&Embedded);
    let changes: [(&str, Action); 5] = [
        ("clear by key", |engine| {
            engine.clear("p", &["k0"]).unwrap();
        }),
        ("clear by index", |engine| {
            engine.clear_indexes("p", &[GlobalIndex(0)]).unwrap();
        }),
        ("dropped partition", |engine| {
            engine.clear_partition("p").unwrap();
        }),
        ("reset", |engine| {
            engine.reset_consumption("p", Some("t"), None).unwrap();
        }),
        ("tags", |engine| {
            let tags: Tags = [("n".into(), TagValue::Int(1))].into_iter().collect();
            engine
                .set_tags("p", &[GlobalIndex(1)], vec![tags], true)
                .unwrap();
        }),
    ];
    for (what, change) in changes {
        let engine = engine();
        put(&engine, &keys(0..3));
        engine.fetch(&request("t", 2)).unwrap().unwrap();
        let (woken, _subscription) = counting(&engine, 1000, false);
        change(&engine);
        assert_eq!(woken.load(Ordering::SeqCst), 1, "{what}");
    }
}

#[test]
fn what_changes_nothing_wakes_nobody() {
    let engine = engine();
    put(&engine, &keys(0..3));
    let (woken, _subscription) = counting(&engine, 1, true);
    engine.clear("p", &["unknown"]).unwrap();
    engine.clear_partition("other").unwrap();
    engine.reset_consumption("p", None, None).unwrap();
    assert!(engine.fetch(&request("t", 9)).unwrap().is_none());
    assert_eq!(woken.load(Ordering::SeqCst), 0);
}

#[test]
fn consumption_wakes_only_those_who_ask_for_it() {
    let engine = engine();
    put(&engine, &keys(0..4));
    let (asked, _asked) = counting(&engine, 1, true);
    let (did_not, _did_not) = counting(&engine, 1, false);
    engine.fetch(&request("t", 2)).unwrap().unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(did_not.load(Ordering::SeqCst), 0);

    let (again, _again) = counting(&engine, 1, true);
    let left = engine
        .ready_indexes("p", "t", &["f".into()], 1)
        .unwrap()
        .unwrap();
    let claim = Claim {
        partition: "p",
        task: "t",
        fields: vec!["f".into()],
        sampled: &left,
        consumed: &left,
        again: false,
    };
    engine.claim(claim).unwrap();
    assert_eq!(again.load(Ordering::SeqCst), 1);
    assert!(engine.is_consumed("p", "t").unwrap());
}

#[test]
fn a_dropped_subscription_is_not_woken_and_frees_what_it_held() {
    let engine = engine();
    let held = Arc::new(());
    let holder = Arc::clone(&held);
    let wake = Box::new(move || {
        let _held = &holder;
        panic!("nobody waits any more");
    });
    let interest = Interest {
        rows: 1,
        consumption: true,
    };
    drop(engine.subscribe("p", interest, wake).unwrap());
    assert_eq!(Arc::strong_count(&held), 1);
    put(&engine, &keys(0..1));
}

#[test]
fn closing_wakes_everybody_and_later_subscriptions_are_refused() {
    let engine = engine();
    let (woken, _subscription) = counting(&engine, 9, false);
    engine.close();
    assert_eq!(woken.load(Ordering::SeqCst), 1);
    let interest = Interest {
        rows: 1,
        consumption: false,
    };
    let refused = engine
        .subscribe("p", interest, Box::new(|| ()))
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed);
}

#[test]
fn a_wake_may_call_the_engine() {
    let engine = engine();
    let (sender, receiver) = mpsc::sync_channel(1);
    let caller = engine.clone();
    let wake = Box::new(move || {
        let interest = Interest {
            rows: 1,
            consumption: false,
        };
        let again = caller.subscribe("p", interest, Box::new(|| ())).unwrap();
        drop(again);
        sender
            .send(caller.fetch(&request("t", 1)).unwrap())
            .unwrap();
    });
    let interest = Interest {
        rows: 1,
        consumption: false,
    };
    let _subscription = engine.subscribe("p", interest, wake).unwrap();
    put(&engine, &keys(0..1));
    let batch = receiver.recv_timeout(LIMIT).unwrap().unwrap();
    assert_eq!(batch.global_indexes, [GlobalIndex(0)]);
}

#[test]
fn activity_tells_every_change_apart() {
    let engine = engine();
    assert_eq!(engine.activity("p").unwrap(), 0);
    let mut seen = BTreeSet::from([0]);
    let mut step = |engine: &Embedded| assert!(seen.insert(engine.activity("p").unwrap()));
    put(&engine, &keys(0..2));
    step(&engine);
    engine.fetch(&request("t", 1)).unwrap().unwrap();
    step(&engine);
    engine.reset_consumption("p", None, None).unwrap();
    step(&engine);
    engine.clear("p", &["k0"]).unwrap();
    step(&engine);
    engine.clear_partition("p").unwrap();
    put(&engine, &keys(0..1));
    step(&engine);
}

/// Consumers that sleep until a batch is complete, among producers of uneven puts.
#[test]
fn sixteen_waiting_consumers_get_every_sample_once() {
    const SAMPLES: usize = 1600;
    const BATCH: usize = 10;
    let engine = engine();
    let consume = |engine: Embedded| {
        let mut mine = Vec::new();
        loop {
            let lacking = || {
                let fields = ["f".into()];
                (BATCH - engine.ready_count("p", "t", &fields, BATCH).unwrap()) as u64
            };
            let rows = lacking();
            let (sender, receiver) = mpsc::sync_channel(1);
            let interest = Interest {
                rows,
                consumption: true,
            };
            let wake = Box::new(move || sender.send(()).unwrap_or(()));
            let _subscription = engine.subscribe("p", interest, wake).unwrap();
            if let Some(batch) = engine.fetch(&request("t", BATCH)).unwrap() {
                mine.extend(batch.global_indexes);
                continue;
            }
            if lacking() < rows {
                continue;
            }
            let status = engine.consumption_status("p", "t").unwrap();
            let consumed = status.map_or(0, |status| {
                status.cells.iter().filter(|cell| **cell == 1).count()
            });
            if consumed == SAMPLES {
                return mine;
            }
            receiver.recv_timeout(LIMIT).unwrap();
        }
    };
    let mut all: Vec<GlobalIndex> = thread::scope(|scope| {
        let consumers: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| consume(engine.clone())))
            .collect();
        for producer in 0..4 {
            let engine = &engine;
            scope.spawn(move || {
                let mut next = producer * SAMPLES / 4;
                let end = next + SAMPLES / 4;
                for size in [1, 7, 2, 30].into_iter().cycle() {
                    let until = end.min(next + size);
                    if until == next {
                        break;
                    }
                    put(engine, &keys(next..until));
                    next = until;
                }
            });
        }
        consumers
            .into_iter()
            .flat_map(|consumer| consumer.join().unwrap())
            .collect()
    });
    all.sort_unstable();
    let expected: Vec<_> = (0..SAMPLES as u64).map(GlobalIndex).collect();
    assert_eq!(all, expected);
}
