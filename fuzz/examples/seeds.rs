//! Writes the seed corpora to `seeds/`: valid buffers, one per kind of node, and a few near misses.
//! What is there under the same name is replaced.

use std::fs;
use std::io;
use std::path::Path;

use tq_codec::{PackedView, Value};
use tq_fuzz::join_header_input;
use tq_proto::DType;
use tq_wire::direct::Frame;
use tq_wire::proto::CallHead;

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for target in ["view", "view_sealed", "header", "roundtrip", "direct"] {
        fs::create_dir_all(root.join(target))?;
    }
    for (name, value) in values() {
        for checksum in [false, true] {
            let Ok(buffer) = value.pack(checksum) else {
                return Err(io::Error::other(format!(
                    "the seed {name} cannot be packed"
                )));
            };
            let suffix = if checksum { "-checksum" } else { "" };
            fs::write(root.join("view").join(format!("{name}{suffix}")), &buffer)?;
            fs::write(
                root.join("view_sealed").join(format!("{name}{suffix}")),
                &buffer,
            )?;
        }
        fs::write(root.join("header").join(name), header_input(&value)?)?;
    }
    for (name, header) in near_misses() {
        fs::write(
            root.join("header").join(name),
            join_header_input(&[8], &header),
        )?;
    }
    for (name, frame) in direct_calls()? {
        fs::write(root.join("direct").join(name), [&[17], &frame[..]].concat())?;
    }
    // Bytes that choose each variant of a tree in turn; the fuzzer finds the rest.
    for variant in 0u8..23 {
        let bytes: Vec<u8> = (0..32)
            .map(|at: u8| at.wrapping_mul(variant * 11 + 7))
            .collect();
        fs::write(
            root.join("roundtrip").join(format!("variant-{variant:02}")),
            bytes,
        )?;
    }
    Ok(())
}

fn header_input(value: &Value) -> io::Result<Vec<u8>> {
    let buffer = value.pack(false).map_err(io::Error::other)?;
    let view = PackedView::parse(&buffer).map_err(io::Error::other)?;
    let ranges = (0..view.frame_count()).filter_map(|frame| view.frame_range(frame));
    let lengths: Vec<u64> = ranges.map(|range| range.len() as u64).collect();
    Ok(join_header_input(&lengths, view.header()))
}

fn values() -> Vec<(&'static str, Value)> {
    let tensor = |dtype: DType, shape: &[u64]| Value::Tensor {
        dtype,
        flags: 1,
        shape: shape.to_vec(),
        bytes: vec![1; dtype.byte_len(shape).unwrap_or(0) as usize],
    };
    let array = Value::Array {
        descr: "<f2".into(),
        shape: vec![2, 1],
        bytes: vec![1; 4],
    };
    let leaves = vec![
        Value::Null,
        Value::Bool(true),
        Value::Int(-1),
        Value::Int(i64::MIN),
        Value::UInt(300),
        Value::UInt(u64::MAX),
        Value::Float(1.5),
        Value::Complex(0.0, -1.0),
        Value::Text("é".repeat(20)),
        Value::Bytes(vec![0xff; 3]),
        Value::ByteArray(vec![4]),
        Value::BigInt(vec![0; 9]),
        Value::SurrogateText(vec![0xed, 0xa0, 0x80]),
    ];
    let frames = vec![
        Value::FrameText(b"text".to_vec()),
        Value::FrameBytes(Vec::new()),
        Value::FrameByteArray(vec![1; 65]),
    ];
    vec![
        ("null", Value::Null),
        ("leaves", Value::List(leaves)),
        ("frames", Value::Tuple(frames)),
        (
            "dtypes",
            Value::List(
                DType::ALL
                    .iter()
                    .map(|dtype| tensor(*dtype, &[1]))
                    .collect(),
            ),
        ),
        ("scalar", tensor(DType::Float64, &[])),
        ("empty-tensor", tensor(DType::Int8, &[3, 0, 5])),
        ("array", array.clone()),
        (
            "map",
            Value::Map(vec![
                (Value::Text("ids".into()), tensor(DType::Int32, &[2, 3])),
                (Value::UInt(7), array),
            ]),
        ),
        (
            "sets",
            Value::Set(vec![
                Value::FrozenSet(vec![]),
                Value::Tuple(vec![Value::Null]),
            ]),
        ),
        (
            "named",
            Value::Named("date".into(), Box::new(Value::UInt(7))),
        ),
        (
            "pickle",
            Value::Pickle(
                Box::new(Value::FrameBytes(b"\x80\x05N.".to_vec())),
                Box::new(Value::List(vec![tensor(DType::Bool, &[2])])),
            ),
        ),
        (
            "deep",
            (0..1000).fold(Value::Null, |inner, _| Value::List(vec![inner])),
        ),
    ]
}

fn direct_calls() -> io::Result<Vec<(&'static str, Vec<u8>)>> {
    let head = |path: &str, headers: &[(&str, &str)]| CallHead {
        path: path.into(),
        names: headers.iter().map(|(name, _)| (*name).into()).collect(),
        values: headers.iter().map(|(_, value)| (*value).into()).collect(),
    };
    let path = "/transferqueue.v1.Gateway/Put";
    let calls = [
        (
            "request",
            head(path, &[("tq-request", "1.2.2")]),
            &[0, 0, 0, 0, 2, 8, 1][..],
        ),
        ("answer", head("", &[]), &[0; 5]),
        (
            "refusal",
            head("", &[("grpc-status", "3"), ("grpc-message", "no")]),
            &[],
        ),
        ("lie-header", head("", &[("a b", "\n")]), &[]),
    ];
    calls
        .into_iter()
        .map(|(name, head, message)| {
            let frame = Frame::write(&head, message).map_err(io::Error::other)?;
            Ok((name, frame))
        })
        .collect()
}

/// Headers with one lie each; the one frame has eight bytes.
fn near_misses() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("lie-count", vec![0xdd, 0xff, 0xff, 0xff, 0xff]),
        ("lie-deep", vec![0x91; 1001]),
        ("lie-frame-twice", vec![0x92, 0xc7, 1, 4, 0, 0xc7, 1, 4, 0]),
        ("lie-shape", vec![0xc7, 5, 1, 12, 0, 0, 1, 3]),
        ("lie-tag-length", vec![0xd6, 6, 0x91, 0xc0, 0xc0, 0xc0]),
        ("lie-utf8", vec![0xa1, 0xff]),
    ]
}
