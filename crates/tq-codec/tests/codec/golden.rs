//! The bytes of version 1. A failure here means that buffers others have written are no longer
//! read, or that what we write is no longer read by them: raise the version instead.

use rstest::rstest;
use tq_codec::{Value, checksum};
use tq_proto::DType;

fn one_of_everything() -> Value {
    Value::Map(vec![
        (
            Value::Text("ids".into()),
            Value::Tensor {
                dtype: DType::Int32,
                flags: 1,
                shape: vec![2, 1],
                bytes: vec![1, 0, 0, 0, 2, 0, 0, 0],
            },
        ),
        (
            Value::Int(-1),
            Value::Array {
                descr: "<f2".into(),
                shape: vec![],
                bytes: vec![0, 0x3c],
            },
        ),
        (
            Value::UInt(300),
            Value::Tuple(vec![
                Value::Null,
                Value::Bool(true),
                Value::Float(1.5),
                Value::Complex(0.0, -1.0),
            ]),
        ),
        (
            Value::Bytes(vec![0xff]),
            Value::Set(vec![Value::BigInt(vec![0; 9])]),
        ),
        (
            Value::FrozenSet(vec![]),
            Value::List(vec![
                Value::FrameText(b"text".to_vec()),
                Value::FrameBytes(vec![]),
                Value::FrameByteArray(vec![3]),
                Value::ByteArray(vec![4]),
                Value::SurrogateText(vec![0xed, 0xa0, 0x80]),
            ]),
        ),
        (
            Value::Named("date".into(), Box::new(Value::UInt(7))),
            Value::Pickle(
                Box::new(Value::Bytes(b"\x80\x05N.".to_vec())),
                Box::new(Value::List(vec![])),
            ),
        ),
    ])
}

/// The hexadecimal digits of `text` as bytes; everything after a `|` is a remark.
fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text
        .lines()
        .flat_map(|line| line.split('|').next())
        .collect();
    let digits: Vec<char> = digits.chars().filter(|c| !c.is_whitespace()).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

const GOLDEN: &str = r#"
    54515041434b0d0a                       | magic
    0100                                   | version
    0100                                   | flags: frames checksum
    05000000                               | 5 frames
    b000000000000000                       | header length 176
    4002000000000000                       | total length 576
    29ca25bafe9e0984                       | checksum of the small parts
    45931260afa6e09f                       | checksum of the frames
    00000000000000000000000000000000       | reserved
    40010000000000000800000000000000       | frame 0: offset, length
    80010000000000000200000000000000       | frame 1: offset, length
    c0010000000000000400000000000000       | frame 2: offset, length
    00020000000000000000000000000000       | frame 3: offset, length
    00020000000000000100000000000000       | frame 4: offset, length
    86                                     | map of 6
    a3696473                               | "ids"
    c90000000601                           | tensor
    070100020201                           | int32, flags, frame 0, 2 dimensions: 2, 1
    ff                                     | -1
    c90000000602                           | array
    0100a33c6632                           | frame 1, no dimension, "<f2"
    cd012c                                 | 300
    c9000000240694                         | tuple of 4
    c0c3cb3ff8000000000000                 | none, true, 1.5
    c9000000120b                           | complex
    cb0000000000000000cbbff0000000000000   | 0, -1
    c401ff                                 | bytes
    c9000000120791                         | set of 1
    c90000000b0a                           | big integer
    c409000000000000000000                 | nine bytes
    c9000000010890                         | empty frozenset
    95                                     | list of 5
    c9000000010302                         | text in frame 2
    c9000000010403                         | bytes in frame 3
    c9000000010504                         | bytearray in frame 4
    c90000000309c40104                     | bytearray
    c9000000050cc403eda080                 | text with a lone surrogate
    c9000000060da46461746507               | named "date": 7
    c9000000070ec40480054e2e90             | pickle: bytes, empty list
    0100000002000000                       | frame 0
    0000000000000000000000000000000000000000000000000000000000000000 | padding
    000000000000000000000000000000000000000000000000 | padding
    003c                                   | frame 1
    0000000000000000000000000000000000000000000000000000000000000000 | padding
    000000000000000000000000000000000000000000000000000000000000 | padding
    74657874                               | frame 2
    0000000000000000000000000000000000000000000000000000000000000000 | padding
    00000000000000000000000000000000000000000000000000000000 | padding
    03                                     | frame 4, at the place of the empty frame 3
    0000000000000000000000000000000000000000000000000000000000000000 | padding
    00000000000000000000000000000000000000000000000000000000000000 | padding
"#;

#[test]
fn the_bytes_are_those_of_version_1() {
    let golden = unhex(GOLDEN);
    let packed = one_of_everything().pack(true).unwrap();
    let hex: String = packed.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(packed == golden, "packed to {hex}");
    assert_eq!(Value::unpack(&golden), Ok(one_of_everything()));
}

/// Made up so that no two lengths share a prefix of equal bytes only.
fn reference_input(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * i * 31 + i * 7 + 3) as u8).collect()
}

/// XXH3-64 of the reference implementation (libxxhash 0.8), one length per branch of the algorithm.
#[rstest]
#[case(0, 0x2d06_8005_38d3_94c2)]
#[case(1, 0x13e6_08bc_156d_efed)]
#[case(3, 0xb739_1e01_8153_d37a)]
#[case(4, 0xfdf4_80d4_13c1_4ab0)]
#[case(8, 0xec39_ab64_bbdd_3e16)]
#[case(9, 0xb72b_2752_3903_82d5)]
#[case(16, 0x2866_d967_71d1_2b4e)]
#[case(17, 0x385c_21b5_9bf6_407d)]
#[case(128, 0xa4b9_dca2_ee00_ce72)]
#[case(129, 0xfb9e_35f2_7424_9234)]
#[case(240, 0x4ed2_e5c5_62ea_e4c1)]
#[case(241, 0x6819_923e_2201_397d)]
#[case(1024, 0xefbb_20e8_7adc_204c)]
#[case(1025, 0x9924_4ee5_5b2f_ae5d)]
#[case(262_144, 0x95b1_9418_535e_c6af)]
fn a_block_is_hashed_like_the_reference(#[case] len: usize, #[case] expected: u64) {
    assert_eq!(checksum::block(&reference_input(len)), expected);
}

#[test]
fn the_frames_checksum_is_the_hash_of_the_digests_of_its_blocks() {
    let region = reference_input(checksum::BLOCK + 1);
    let digests = [
        checksum::block(&region[..checksum::BLOCK]),
        checksum::block(&region[checksum::BLOCK..]),
    ];
    assert_eq!(digests[0], 0x95b1_9418_535e_c6af);
    let bytes: Vec<u8> = digests
        .iter()
        .flat_map(|digest| digest.to_le_bytes())
        .collect();
    assert_eq!(checksum::frames(&region), checksum::block(&bytes));
    assert_eq!(checksum::of_digests(&digests), checksum::frames(&region));
    // No frames at all: no digests at all.
    assert_eq!(checksum::frames(&[]), 0x2d06_8005_38d3_94c2);
}

#[test]
fn the_small_checksum_does_not_see_its_own_field() {
    let mut small = reference_input(100);
    let before = checksum::small_parts(&small);
    small[32..40].fill(0xff);
    assert_eq!(checksum::small_parts(&small), before);
    for outside in [31, 40, 63, 64, 99] {
        let mut other = small.clone();
        other[outside] ^= 1;
        assert_ne!(
            checksum::small_parts(&other),
            before,
            "byte {outside} is not covered"
        );
    }
}
