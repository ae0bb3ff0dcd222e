//! What the accounting of loans and leases costs, and from which size on a streamed copy pays. Run
//! it with `make bench-micro`.
#![allow(missing_docs, reason = "criterion's macro makes the functions")]
#![allow(clippy::unwrap_used, reason = "a program that measures")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tq_arena::{Arena, ArenaConfig, Extent, copy_streamed};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

fn cycles(criterion: &mut Criterion) {
    let arena = Arena::new(ArenaConfig::default()).unwrap();
    let mut group = criterion.benchmark_group("arena");
    for len in [64, 4 * KIB, MIB] {
        group.bench_function(
            BenchmarkId::new("loan, commit, lease, drop", len),
            |bencher| {
                bencher.iter(|| {
                    let extents = arena.loan(black_box(len)).unwrap().commit(&[]).unwrap();
                    let lease = arena.lease(extents[0].id()).unwrap();
                    drop(extents);
                    black_box(lease.as_slice().len())
                });
            },
        );
    }
    // A batch of many fields is one loan with a cut for each.
    let cuts: Vec<u64> = (1..32).map(|field| field * 4 * KIB).collect();
    group.bench_function("loan, commit into 32 extents, drop", |bencher| {
        bencher.iter(|| arena.loan(128 * KIB).unwrap().commit(&cuts).unwrap());
    });
    // Among holes: every second of 10,000 small extents is gone.
    let live: Vec<Extent> = (0..10_000)
        .map(|_| arena.loan(KIB).unwrap().commit(&[]).unwrap().remove(0))
        .enumerate()
        .filter_map(|(number, extent)| (number % 2 == 0).then_some(extent))
        .collect();
    group.bench_function("loan and give back among 5,000 holes", |bencher| {
        bencher.iter(|| drop(arena.loan(black_box(2 * KIB)).unwrap()));
    });
    let mut ids = live.iter().map(Extent::id).cycle();
    group.bench_function("lease by name and drop", |bencher| {
        bencher.iter(|| drop(arena.lease(ids.next().unwrap()).unwrap()));
    });
    group.finish();
}

fn copies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("copy");
    group.sample_size(20);
    for len in [64 * KIB, MIB, 8 * MIB, 64 * MIB] {
        let source = vec![7u8; len as usize];
        let mut target = vec![1u8; len as usize];
        group.throughput(Throughput::Bytes(len));
        group.bench_function(BenchmarkId::new("copy_from_slice", len), |bencher| {
            bencher.iter(|| black_box(&mut target).copy_from_slice(black_box(&source)));
        });
        group.bench_function(BenchmarkId::new("copy_streamed", len), |bencher| {
            bencher.iter(|| copy_streamed(black_box(&source), black_box(&mut target)));
        });
    }
    group.finish();
}

criterion_group!(benches, cycles, copies);
criterion_main!(benches);
