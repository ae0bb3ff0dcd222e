//! A value comes back as it went in.

use proptest::prelude::*;
use rstest::rstest;
use tq_codec::{FRAME_ALIGNMENT, Node, PackedView, Value};
use tq_proto::DType;

use crate::strategy;
use crate::support::same;

fn assert_round_trip(value: &Value) {
    for checksum in [false, true] {
        let buffer = value.pack(checksum).unwrap();
        assert!(
            same(&Value::unpack(&buffer).unwrap(), value),
            "checksum {checksum}"
        );
    }
}

proptest! {
    #[test]
    fn any_value_comes_back(value in strategy::value(), checksum: bool) {
        let buffer = value.pack(checksum).unwrap();
        let back = Value::unpack(&buffer).unwrap();
        prop_assert!(same(&value, &back), "{value:?}\ncame back as\n{back:?}");
        let view = PackedView::parse(&buffer).unwrap();
        prop_assert_eq!(view.has_frames_checksum(), checksum);
        prop_assert!(!view.is_empty());
        prop_assert_eq!(back.pack(checksum).unwrap(), buffer);
    }

    #[test]
    fn what_lies_after_a_buffer_does_not_matter(value in strategy::value(), more in 1usize..200) {
        let mut buffer = value.pack(true).unwrap();
        let len = buffer.len();
        buffer.resize(len + more, 0xee);
        prop_assert!(same(&Value::unpack(&buffer).unwrap(), &value));
        prop_assert_eq!(PackedView::parse(&buffer).unwrap().total_len(), len);
    }

    #[test]
    fn frames_are_aligned_disjoint_and_padded_with_zeros(value in strategy::value()) {
        let buffer = value.pack(false).unwrap();
        prop_assert_eq!(buffer.len() as u64 % FRAME_ALIGNMENT, 0);
        let view = PackedView::parse(&buffer).unwrap();
        let mut covered = 64 + 16 * view.frame_count() as usize + view.header().len();
        for frame in 0..view.frame_count() {
            let range = view.frame_range(frame).unwrap();
            prop_assert_eq!(range.start as u64 % FRAME_ALIGNMENT, 0);
            prop_assert!(range.start >= covered && range.start - covered < 64);
            prop_assert!(buffer[covered..range.start].iter().all(|byte| *byte == 0));
            covered = range.end;
        }
        prop_assert!(buffer.len() - covered < 64);
        prop_assert!(buffer[covered..].iter().all(|byte| *byte == 0));
        prop_assert_eq!(view.frame_range(view.frame_count()), None);
    }
}

#[rstest]
fn every_dtype_in_every_kind_of_shape(
    #[values(&[], &[0], &[1], &[7], &[3, 0, 5], &[2, 3, 4], &[1, 1, 1, 1, 1, 1, 1, 1])]
    shape: &[u64],
) {
    let tensors = DType::ALL.iter().map(|dtype| Value::Tensor {
        dtype: *dtype,
        flags: dtype.code() % 4,
        shape: shape.to_vec(),
        bytes: (0..dtype.byte_len(shape).unwrap())
            .map(|at| at as u8)
            .collect(),
    });
    assert_round_trip(&Value::List(tensors.collect()));
}

/// Numbers on both sides of each border between two forms of msgpack.
#[test]
fn integers_at_the_borders_of_their_forms() {
    let bits = [5u32, 7, 8, 15, 16, 31, 32, 63];
    let around = bits.iter().flat_map(|bits| {
        let border = 1u64 << bits;
        [border - 1, border, border + 1]
    });
    let mut values: Vec<Value> = around.clone().map(Value::UInt).collect();
    values.extend(
        around.filter_map(|magnitude| Some(Value::Int(0i64.checked_sub_unsigned(magnitude)?))),
    );
    values.extend([Value::UInt(0), Value::UInt(u64::MAX), Value::Int(-1)]);
    assert_round_trip(&Value::List(values));
}

#[test]
fn an_integer_that_is_not_negative_comes_back_unsigned() {
    for value in [0, 1, i64::MAX] {
        let back = Value::unpack(&Value::Int(value).pack(false).unwrap());
        assert_eq!(back, Ok(Value::UInt(value.unsigned_abs())));
    }
}

/// Lengths on both sides of each border between two forms of msgpack.
#[rstest]
fn lengths_at_the_borders_of_their_forms(
    #[values(0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536)] len: usize,
) {
    let nulls = vec![Value::Null; len];
    assert_round_trip(&Value::Text("é".repeat(len / 2) + &"e".repeat(len % 2)));
    assert_round_trip(&Value::Bytes(vec![0xc1; len]));
    assert_round_trip(&Value::BigInt(vec![0xff; len]));
    assert_round_trip(&Value::FrameText(vec![b'x'; len]));
    assert_round_trip(&Value::Named("n".repeat(len), Box::new(Value::Null)));
    assert_round_trip(&Value::Map(
        nulls.iter().cloned().zip(nulls.clone()).collect(),
    ));
    assert_round_trip(&Value::FrozenSet(nulls.clone()));
    assert_round_trip(&Value::List(nulls));
}

#[test]
fn the_bits_of_a_nan_survive() {
    let signalling = f64::from_bits(0x7ff0_0000_dead_beef);
    let quiet = f64::from_bits(0xfff8_0000_0000_0001);
    assert_round_trip(&Value::Tuple(vec![
        Value::Float(signalling),
        Value::Complex(quiet, -0.0),
    ]));
}

#[test]
fn a_tensor_is_walked_with_its_shape_and_frame() {
    let tensor = Value::Tensor {
        dtype: DType::BFloat16,
        flags: 3,
        shape: vec![2, 2],
        bytes: (1..9).collect(),
    };
    let buffer = Value::List(vec![Value::FrameBytes(vec![]), tensor])
        .pack(false)
        .unwrap();
    let view = PackedView::parse(&buffer).unwrap();
    let mut reader = view.reader();
    assert_eq!(reader.step(), Ok(Some(Node::List(2))));
    assert_eq!(reader.step(), Ok(Some(Node::FrameBytes(0))));
    let Ok(Some(Node::Tensor(node))) = reader.step() else {
        panic!("the tensor was not found");
    };
    assert_eq!(
        (node.dtype, node.flags, node.frame),
        (DType::BFloat16, 3, 1)
    );
    assert_eq!(reader.shape(), [2, 2]);
    assert_eq!(
        buffer[view.frame_range(1).unwrap()],
        [1, 2, 3, 4, 5, 6, 7, 8]
    );
    assert_eq!(reader.step(), Ok(None));
}
