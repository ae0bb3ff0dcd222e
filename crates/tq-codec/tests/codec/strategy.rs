//! Random values: every variant, every dtype, empty and 0-dimensional tensors, floats of any bits.

use proptest::prelude::*;
use proptest::sample::select;
use tq_codec::Value;
use tq_proto::DType;

/// Trees up to six containers deep.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(6, 48, 4, |inner| {
        let values = prop::collection::vec(inner.clone(), 0..4);
        let pairs = prop::collection::vec((inner.clone(), inner.clone()), 0..3);
        prop_oneof![
            values.clone().prop_map(Value::List),
            values.clone().prop_map(Value::Tuple),
            values.clone().prop_map(Value::Set),
            values.prop_map(Value::FrozenSet),
            pairs.prop_map(Value::Map),
            (any::<String>(), inner.clone())
                .prop_map(|(name, value)| Value::Named(name, Box::new(value))),
            (inner.clone(), inner)
                .prop_map(|(bytes, values)| Value::Pickle(Box::new(bytes), Box::new(values))),
        ]
    })
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        // An integer that is not negative has one form only, `UInt`.
        (i64::MIN..0).prop_map(Value::Int),
        (-300i64..0).prop_map(Value::Int),
        any::<u64>().prop_map(Value::UInt),
        (0u64..300).prop_map(Value::UInt),
        float().prop_map(Value::Float),
        any::<String>().prop_map(Value::Text),
        bytes(300).prop_map(Value::Bytes),
        tensor(),
        array(),
        bytes(200).prop_map(Value::FrameText),
        bytes(200).prop_map(Value::FrameBytes),
        bytes(200).prop_map(Value::FrameByteArray),
        bytes(20).prop_map(Value::ByteArray),
        bytes(20).prop_map(Value::BigInt),
        bytes(20).prop_map(Value::SurrogateText),
        (float(), float()).prop_map(|(real, imaginary)| Value::Complex(real, imaginary)),
    ]
}

fn float() -> impl Strategy<Value = f64> {
    const SPECIAL: &[f64] = &[
        0.0,
        -0.0,
        f64::NAN,
        -f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    prop_oneof![select(SPECIAL), any::<u64>().prop_map(f64::from_bits)]
}

fn bytes(below: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..below)
}

fn shape() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(0u64..5, 0..4)
}

fn tensor() -> impl Strategy<Value = Value> {
    (select(DType::ALL), 0u8..=3, shape()).prop_flat_map(|(dtype, flags, shape)| {
        let len = dtype.byte_len(&shape).unwrap() as usize;
        prop::collection::vec(any::<u8>(), len).prop_map(move |bytes| Value::Tensor {
            dtype,
            flags,
            shape: shape.clone(),
            bytes,
        })
    })
}

fn array() -> impl Strategy<Value = Value> {
    let descr = "[<>|][biufcSUVMm][0-9]{1,2}";
    (descr, 0usize..9, shape()).prop_flat_map(|(descr, item_size, shape)| {
        let len = shape.iter().product::<u64>() as usize * item_size;
        prop::collection::vec(any::<u8>(), len).prop_map(move |bytes| Value::Array {
            descr: descr.clone(),
            shape: shape.clone(),
            bytes,
        })
    })
}
