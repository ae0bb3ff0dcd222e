//! Packing and viewing: many small tensors, and one large value as image processors make them. Run
//! it with `make bench-micro`.
#![allow(missing_docs, reason = "criterion's macro makes the functions")]
#![allow(clippy::unwrap_used, reason = "a program that measures")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tq_codec::{HeaderWriter, PackedView, Plan, Slot, write_batch};
use tq_proto::DType;

const SMALL: usize = 1000;
const PIXELS: usize = 4 << 20;

/// A value described, not yet written.
struct Described<'a> {
    header: Vec<u8>,
    frames: Vec<&'a [u8]>,
    plan: Plan,
}

fn planned<'a>(
    frames: Vec<&'a [u8]>,
    describe: impl FnOnce(&mut HeaderWriter<'_>),
) -> Described<'a> {
    let mut header = Vec::new();
    let mut writer = HeaderWriter::new(&mut header);
    describe(&mut writer);
    writer.check().unwrap();
    let lengths = frames.iter().map(|frame| frame.len() as u64);
    let plan = Plan::new(header.len() as u64, lengths).unwrap();
    Described {
        header,
        frames,
        plan,
    }
}

/// A float tensor of 1 KiB.
fn small(bytes: &[u8]) -> Described<'_> {
    planned(vec![bytes], |writer| {
        writer.tensor(DType::Float32, 0, 0, &[256]);
    })
}

/// What an image processor leaves of one picture.
fn image_dict<'a>(pixels: &'a [u8], grid: &'a [u8]) -> Described<'a> {
    planned(vec![pixels, grid], |writer| {
        writer.map(4);
        writer.text("pixel_values");
        writer.tensor(
            DType::Float32,
            0,
            0,
            &[pixels.len() as u64 / 4 / 1176, 1176],
        );
        writer.text("image_grid_thw");
        writer.tensor(DType::Int64, 0, 1, &[1, 3]);
        writer.text("size");
        writer.list(2);
        writer.int(1024);
        writer.int(768);
        writer.text("source");
        writer.text("a picture of a lighthouse");
    })
}

fn write(values: &[Described<'_>], buffer: &mut [u8], checksum: bool) {
    let mut rest = buffer;
    let mut slots = Vec::with_capacity(values.len());
    for value in values {
        let (own, after) = rest.split_at_mut(value.plan.total_len as usize);
        rest = after;
        slots.push(Slot {
            plan: value.plan,
            header: &value.header,
            frames: &value.frames,
            buffer: own,
            checksum,
            empty: false,
        });
    }
    write_batch(slots, 1).unwrap();
}

fn bytes_of(values: &[Described<'_>]) -> usize {
    let lengths = values.iter().map(|value| value.plan.total_len as usize);
    lengths.sum()
}

/// Parses, and walks the whole structure.
fn walk(buffer: &[u8]) -> usize {
    let view = PackedView::parse(buffer).unwrap();
    let mut reader = view.reader();
    let mut nodes = 0;
    while let Some(node) = reader.step().unwrap() {
        black_box(node);
        nodes += 1;
    }
    nodes
}

fn small_tensors(criterion: &mut Criterion) {
    let source = vec![7u8; 1 << 10];
    let values: Vec<_> = (0..SMALL).map(|_| small(&source)).collect();
    let mut buffer = vec![1; bytes_of(&values)];
    let mut group = criterion.benchmark_group("codec/1000 tensors of 1 KiB");
    group.throughput(Throughput::Elements(SMALL as u64));
    group.bench_function("plan", |bencher| {
        bencher.iter(|| (0..SMALL).map(|_| small(&source)).collect::<Vec<_>>());
    });
    group.bench_function("plan and write", |bencher| {
        bencher.iter(|| {
            let values: Vec<_> = (0..SMALL).map(|_| small(&source)).collect();
            write(&values, black_box(&mut buffer), false);
        });
    });
    group.bench_function("write with checksum", |bencher| {
        bencher.iter(|| write(&values, black_box(&mut buffer), true));
    });
    let each = bytes_of(&values[..1]);
    group.bench_function("view", |bencher| {
        bencher.iter(|| buffer.chunks_exact(each).map(walk).sum::<usize>());
    });
    group.finish();
}

fn image_dicts(criterion: &mut Criterion) {
    let (pixels, grid) = (vec![7u8; PIXELS / 4704 * 4704], vec![1u8; 24]);
    let values = [image_dict(&pixels, &grid)];
    let mut buffer = vec![1; bytes_of(&values)];
    let mut group = criterion.benchmark_group("codec/image dict of 4 MiB");
    group.throughput(Throughput::Bytes(pixels.len() as u64));
    group.bench_function("plan", |bencher| {
        bencher.iter(|| image_dict(&pixels, &grid));
    });
    for (name, checksum) in [("write", false), ("write with checksum", true)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| write(&values, black_box(&mut buffer), checksum));
        });
    }
    group.bench_function("view", |bencher| bencher.iter(|| walk(black_box(&buffer))));
    group.bench_function("verify checksum", |bencher| {
        bencher.iter_batched_ref(
            || PackedView::parse(&buffer).unwrap(),
            |view| view.verify_frames(&buffer).unwrap(),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, small_tensors, image_dicts);
criterion_main!(benches);
