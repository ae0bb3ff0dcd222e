//! The deepest value is read on a small stack, and one deeper is refused, in both directions.

use std::thread;

use rstest::rstest;
use tq_codec::FormatError as Lie;
use tq_codec::header::FrameLengths;
use tq_codec::{HeaderReader, MAX_DEPTH, PackedView, PlanError, Value};

use crate::support::with_header;

const SMALL_STACK: usize = 256 << 10;

/// `depth` lists, one in the other, around `innermost`.
fn nested_header(depth: usize, innermost: &[u8]) -> Vec<u8> {
    let mut header = vec![0x91; depth];
    header.extend_from_slice(innermost);
    header
}

fn wrapped(depth: usize, mut value: Value, wrap: fn(Value) -> Value) -> Value {
    for _ in 0..depth {
        value = wrap(value);
    }
    value
}

fn steps(header: &[u8]) -> Result<usize, Lie> {
    let buffer = with_header(header, &[]);
    let walk = move || {
        let mut reader = PackedView::parse(&buffer)?.reader();
        let mut steps = 0;
        while reader.step()?.is_some() {
            steps += 1;
        }
        Ok(steps)
    };
    thread::Builder::new()
        .stack_size(SMALL_STACK)
        .spawn(walk)
        .unwrap()
        .join()
        .unwrap()
}

#[rstest]
#[case::around_a_leaf(MAX_DEPTH, &[0xc0], Ok(MAX_DEPTH + 1))]
#[case::around_nothing(MAX_DEPTH - 1, &[0x90], Ok(MAX_DEPTH))]
#[case::one_deeper_around_a_leaf(MAX_DEPTH + 1, &[0xc0], Err(Lie::TooDeep))]
#[case::one_deeper_around_nothing(MAX_DEPTH, &[0x90], Err(Lie::TooDeep))]
#[case::far_deeper(1_000_000, &[0xc0], Err(Lie::TooDeep))]
fn lists_are_read_down_to_the_limit(
    #[case] depth: usize,
    #[case] innermost: &[u8],
    #[case] expected: Result<usize, Lie>,
) {
    assert_eq!(steps(&nested_header(depth, innermost)), expected);
}

fn list(value: Value) -> Value {
    Value::List(vec![value])
}
fn map(value: Value) -> Value {
    Value::Map(vec![(Value::Null, value)])
}
fn map_key(value: Value) -> Value {
    Value::Map(vec![(value, Value::Null)])
}
fn tuple(value: Value) -> Value {
    Value::Tuple(vec![value])
}
fn named(value: Value) -> Value {
    Value::Named(String::new(), Box::new(value))
}
fn pickle(value: Value) -> Value {
    Value::Pickle(Box::new(Value::Bytes(vec![])), Box::new(value))
}

/// Every container counts, whatever its kind and whether or not anything is in it.
#[rstest]
fn writer_and_reader_agree_on_the_limit(
    #[values(list, map, map_key, tuple, named, pickle)] wrap: fn(Value) -> Value,
    #[values(Value::Null, Value::List(vec![]), Value::Set(vec![]), Value::Map(vec![]))]
    innermost: Value,
) {
    // Packing and dropping a tree recurse; only reading a hostile one must do with a small stack.
    let test = move || {
        let own = usize::from(innermost != Value::Null);
        let deepest = wrapped(MAX_DEPTH - own, innermost.clone(), wrap);
        let buffer = deepest.pack(false).unwrap();
        assert!(Value::unpack(&buffer).unwrap() == deepest);
        let deeper = wrapped(MAX_DEPTH - own + 1, innermost, wrap);
        assert_eq!(deeper.pack(false), Err(PlanError::TooDeep));
    };
    thread::Builder::new()
        .stack_size(16 << 20)
        .spawn(test)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn siblings_do_not_add_up() {
    let header: Vec<u8> = [0xdc, 0x10, 0]
        .into_iter()
        .chain([0x91, 0xc0].repeat(0x1000))
        .collect();
    let mut reader = HeaderReader::new(&header, FrameLengths::Given(&[]));
    let mut steps = 0;
    while reader.step().unwrap().is_some() {
        steps += 1;
    }
    assert_eq!(steps, 1 + 2 * 0x1000);
}
