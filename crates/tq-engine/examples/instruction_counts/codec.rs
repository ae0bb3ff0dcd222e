//! Packing and viewing.

use std::hint::black_box;

use tq_codec::{HeaderWriter, PackedView, Plan, Slot, write_batch};
use tq_proto::DType;

use crate::count;

const SMALL: usize = 1000;

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

fn small(bytes: &[u8]) -> Vec<Described<'_>> {
    let one = |_| {
        planned(vec![bytes], |writer| {
            writer.tensor(DType::Float32, 0, 0, &[256]);
        })
    };
    (0..SMALL).map(one).collect()
}

fn image(pixels: &[u8]) -> Described<'_> {
    planned(vec![pixels], |writer| {
        writer.map(3);
        writer.text("pixel_values");
        writer.tensor(DType::Float32, 0, 0, &[pixels.len() as u64 / 4]);
        writer.text("size");
        writer.list(2);
        writer.int(1024);
        writer.int(768);
        writer.text("source");
        writer.text("a picture of a lighthouse");
    })
}

fn buffer(values: &[Described<'_>]) -> Vec<u8> {
    let bytes = values.iter().map(|value| value.plan.total_len as usize);
    vec![1; bytes.sum()]
}

fn write(values: &[Described<'_>], mut rest: &mut [u8], checksum: bool) {
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

fn walk(buffer: &[u8]) -> usize {
    let mut reader = PackedView::parse(buffer).unwrap().reader();
    let mut nodes = 0;
    while let Some(node) = reader.step().unwrap() {
        black_box(node);
        nodes += 1;
    }
    nodes
}

pub(crate) fn plan_small() {
    let source = [7; 1 << 10];
    count(|| small(&source));
}

pub(crate) fn write_small() {
    let source = [7; 1 << 10];
    let values = small(&source);
    let mut buffer = buffer(&values);
    count(|| write(&values, &mut buffer, false));
}

pub(crate) fn view_small() {
    let source = [7; 1 << 10];
    let values = small(&source);
    let mut buffer = buffer(&values);
    write(&values, &mut buffer, false);
    let each = buffer.len() / SMALL;
    count(|| buffer.chunks_exact(each).map(walk).sum::<usize>());
}

pub(crate) fn write_image() {
    let pixels = vec![7; 1 << 20];
    let values = [image(&pixels)];
    let mut buffer = buffer(&values);
    count(|| write(&values, &mut buffer, true));
}
