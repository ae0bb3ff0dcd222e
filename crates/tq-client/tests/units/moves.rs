//! Rows that are put again elsewhere.

use tq_engine::units::host_id;

use crate::cluster::*;
use crate::common::*;

const ROW: u64 = 100_000;

#[test]
fn rows_put_again_in_another_unit_leave_the_former_one() {
    let cluster = Cluster::new(&[(64 << 20, "a"), (64 << 20, "b")]);
    let (a, b) = (cluster.guest("a"), cluster.guest("b"));
    put(&a, "p", &keys(0..4), "x", ROW, 1).unwrap();
    put(&b, "p", &keys(2..6), "x", ROW, 30).unwrap();
    eventually("the former rows' end", || cluster.samples_at(0) == 2);
    assert_eq!(cluster.samples_at(1), 4);
    assert!(is_filled(&a, &keys(0..2), "x", ROW as usize, 1));
    assert!(is_filled(&a, &keys(2..6), "x", ROW as usize, 30));
    // Home, as a batch small enough to be sent along.
    put(&b, "p", &keys(0..6), "x", 100, 50).unwrap();
    eventually("the former rows' end", || {
        cluster.samples_at(0) + cluster.samples_at(1) == 0
    });
    assert!(is_filled(&a, &keys(0..6), "x", 100, 50));
    // And away again.
    put(&a, "p", &keys(0..3), "x", ROW, 70).unwrap();
    assert!(is_filled(&b, &keys(0..3), "x", ROW as usize, 70));
    assert_eq!(cluster.head.engine.usage().unwrap().storage.samples, 3);
}

#[test]
fn readers_and_writers_of_the_same_rows_see_whole_rows() {
    let cluster = Cluster::new(&[(64 << 20, host_id()), (64 << 20, "b")]);
    let guests = [cluster.guest(host_id()), cluster.guest("b")];
    let all = keys(0..4);
    put(&guests[0], "p", &all, "x", ROW, 0).unwrap();
    std::thread::scope(|scope| {
        for (number, guest) in guests.iter().enumerate() {
            let all = &all;
            scope.spawn(move || {
                for round in 0..15 {
                    put(guest, "p", all, "x", ROW, (round * 8 + number) as u8).unwrap();
                }
            });
        }
        let reader = cluster.guest("c");
        for _ in 0..20 {
            let bytes = get(&reader, "p", &all, "x").unwrap();
            for row in bytes.chunks(ROW as usize) {
                assert!(row.iter().all(|byte| *byte == row[0]), "a row of two puts");
            }
        }
    });
}
