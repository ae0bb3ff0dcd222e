//! The calls of the controller that users wait for, on a partition of 100,000 samples. Run it with
//! `make bench-micro`.
#![allow(missing_docs, reason = "criterion's macro makes the functions")]
#![allow(clippy::unwrap_used, reason = "a program that measures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tq_controller::sampler::{Sampler, SamplerConfig};
use tq_controller::{
    Comparison, Controller, FetchRequest, FieldSchemaUpdate, FieldSelection, FieldUpdate,
    Predicate, Selection, TagValue, Tags,
};
use tq_proto::{DType, FieldName};

const SAMPLES: usize = 100_000;
const PARTITION: &str = "train";
const FIELDS: [&str; 4] = ["prompts", "responses", "rewards", "values"];
const SIZES: [usize; 3] = [1, 32, 1024];

fn updates() -> Vec<FieldUpdate> {
    let field = |name: &str| FieldUpdate {
        name: name.into(),
        schema: FieldSchemaUpdate::Dense {
            dtype: DType::Float32,
            row_shape: [128].into(),
        },
    };
    FIELDS.map(field).to_vec()
}

fn names() -> Vec<FieldName> {
    FIELDS.map(FieldName::from).to_vec()
}

fn keys(first: usize, count: usize) -> Vec<String> {
    let numbers = first..first + count;
    numbers.map(|number| format!("sample_{number}")).collect()
}

fn tags(first: usize, count: usize) -> Vec<Tags> {
    let numbers = first..first + count;
    let of = |number: usize| {
        let pairs = [
            ("step".into(), TagValue::Int(3)),
            ("length".into(), TagValue::Int(number as i64 % 4096)),
        ];
        Tags::from_iter(pairs)
    };
    numbers.map(of).collect()
}

fn put(controller: &mut Controller, keys: &[String], fields: &[FieldUpdate], tags: Vec<Tags>) {
    let reservation = controller.reserve(PARTITION, keys).unwrap();
    black_box(controller.publish(reservation, fields, Some(tags)).unwrap());
}

fn filled() -> Controller {
    let mut controller = Controller::new();
    let fields = updates();
    for first in (0..SAMPLES).step_by(10_000) {
        let (keys, tags) = (keys(first, 10_000), tags(first, 10_000));
        put(&mut controller, &keys, &fields, tags);
    }
    controller
}

fn puts(criterion: &mut Criterion) {
    let mut controller = filled();
    let fields = updates();
    let mut group = criterion.benchmark_group("controller/put");
    for count in SIZES {
        group.throughput(Throughput::Elements(count as u64));
        let (known, new) = (keys(500, count), keys(SAMPLES, count));
        let given = tags(0, count);
        group.bench_function(BenchmarkId::new("known keys", count), |bencher| {
            bencher.iter(|| put(&mut controller, &known, &fields, given.clone()));
        });
        // The clear keeps the partition at its size; it is measured along.
        group.bench_function(BenchmarkId::new("new keys, then clear", count), |bencher| {
            bencher.iter(|| {
                put(&mut controller, &new, &fields, given.clone());
                let ticket = controller.begin_clear_keys(PARTITION, &new);
                controller.finish_clear(&ticket);
            });
        });
    }
    group.finish();
}

fn resolves(criterion: &mut Criterion) {
    let controller = filled();
    let mut group = criterion.benchmark_group("controller/resolve");
    for count in SIZES {
        group.throughput(Throughput::Elements(count as u64));
        // Spread over the partition, as a shuffled batch is.
        let asked: Vec<_> = (0..count)
            .map(|number| format!("sample_{}", number * 7919 % SAMPLES))
            .collect();
        group.bench_function(BenchmarkId::new("keys", count), |bencher| {
            bencher.iter(|| controller.resolve(PARTITION, black_box(&asked)));
        });
    }
    group.finish();
}

fn fetches(criterion: &mut Criterion) {
    let mut controller = filled();
    let mut sampler = Sampler::new(SamplerConfig::Sequential).unwrap();
    let mut group = criterion.benchmark_group("controller/fetch with metadata");
    let selection = FieldSelection::Named(names());
    for count in SIZES {
        group.throughput(Throughput::Elements(count as u64));
        let request = FetchRequest {
            partition: PARTITION.into(),
            task: "train".into(),
            fields: names(),
            batch_size: count,
            dp_rank: None,
            batch_index: None,
        };
        group.bench_function(BenchmarkId::new("samples", count), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut took = Duration::ZERO;
                for _ in 0..rounds {
                    let start = Instant::now();
                    let fetched = controller.fetch(&mut sampler, &request).unwrap().unwrap();
                    black_box(controller.batch(PARTITION, &fetched, &selection).unwrap());
                    took += start.elapsed();
                    // Given back outside the measurement, so that there is always a next batch.
                    controller.reset_consumption(PARTITION, Some("train"), Some(&fetched));
                }
                took
            });
        });
    }
    group.finish();
}

fn looks(criterion: &mut Criterion) {
    let mut controller = filled();
    let mut group = criterion.benchmark_group("controller/100,000 samples");
    group.sample_size(20);
    group.bench_function("list keys and tags", |bencher| {
        bencher.iter(|| {
            let listed = controller.list(Some(PARTITION));
            let pairs = listed.flat_map(|listed| listed.keys);
            pairs
                .map(|(key, tags)| (key.clone(), tags.clone()))
                .collect::<Vec<_>>()
        });
    });
    let selection = Selection {
        predicate: Predicate::Compare {
            tag: "length".into(),
            op: Comparison::Less,
            value: TagValue::Int(1024),
        },
        fields: names(),
        order_by: vec![("length".into(), false)],
        limit: Some(1024),
        ..Selection::default()
    };
    group.bench_function("select 1,024 by a tag, ordered", |bencher| {
        bencher.iter(|| controller.select(PARTITION, &selection).unwrap());
    });
    group.finish();
}

criterion_group!(benches, puts, resolves, fetches, looks);
criterion_main!(benches);
