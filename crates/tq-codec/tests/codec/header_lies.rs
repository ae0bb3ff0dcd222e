//! Each lie a header can tell, in as few bytes as it takes.

use rstest::rstest;
use tq_codec::FormatError as Lie;
use tq_codec::header::FrameLengths;
use tq_codec::{HeaderReader, Node, Value};
use tq_proto::DType;

use crate::support::{lie_found, with_header};

const TENSOR: u8 = 1;
const ARRAY: u8 = 2;
const FRAME_BYTES: u8 = 4;
const TUPLE: u8 = 6;
const BYTE_ARRAY: u8 = 9;
const BIG_INT: u8 = 10;
const COMPLEX: u8 = 11;
const NAMED: u8 = 13;
const PICKLE: u8 = 14;

/// An extension whose length is right.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xc7, u8::try_from(content.len()).unwrap(), tag];
    bytes.extend_from_slice(content);
    bytes
}

fn syntax(at: u64, what: &'static str) -> Lie {
    Lie::HeaderSyntax { at, what }
}

#[rstest]
#[case::no_header(&[], Lie::HeaderTruncated { at: 0 })]
#[case::the_marker_msgpack_never_uses(&[0xc1], syntax(0, "marker 0xc1"))]
#[case::half_an_integer(&[0xcd, 1], Lie::HeaderTruncated { at: 1 })]
#[case::half_a_float(&[0xcb, 0, 0, 0], Lie::HeaderTruncated { at: 1 })]
#[case::half_a_text(&[0xa2, b'a'], Lie::HeaderTruncated { at: 1 })]
#[case::a_text_of_4_gib(&[0xdb, 0xff, 0xff, 0xff, 0xff], Lie::HeaderTruncated { at: 5 })]
#[case::bytes_of_4_gib(&[0xc6, 0xff, 0xff, 0xff, 0xff], Lie::HeaderTruncated { at: 5 })]
#[case::an_extension_of_4_gib(
    &[0xc9, 0xff, 0xff, 0xff, 0xff, BIG_INT], Lie::HeaderTruncated { at: 0 }
)]
#[case::an_extension_without_a_tag(&[0xd4], Lie::HeaderTruncated { at: 1 })]
#[case::a_second_value(&[0xc0, 0xc0, 0xc0], Lie::HeaderTrailing { left: 2 })]
#[case::the_tag_after_the_last(&[0xd4, 15, 0], Lie::UnknownTag { tag: 15, at: 0 })]
#[case::the_tag_of_a_msgpack_time(&[0x91, 0xd4, 0xff, 0], Lie::UnknownTag { tag: -1, at: 1 })]
#[case::a_list_of_more_than_is_left(&[0x92, 0xc0], Lie::CountTooLarge { count: 2, at: 0 })]
#[case::a_list_of_4_billion(
    &[0xdd, 0xff, 0xff, 0xff, 0xff], Lie::CountTooLarge { count: 0xffff_ffff, at: 0 }
)]
#[case::a_map_of_more_than_is_left(
    &[0x82, 0xc0, 0xc0, 0xc0], Lie::CountTooLarge { count: 4, at: 0 }
)]
#[case::a_map_of_4_billion(
    &[0xdf, 0xff, 0xff, 0xff, 0xff], Lie::CountTooLarge { count: 0x1_ffff_fffe, at: 0 }
)]
#[case::text_that_is_not_utf8(&[0x91, 0xa1, 0xff], Lie::NotUtf8 { at: 2 })]
#[case::text_with_a_surrogate(&[0xa3, 0xed, 0xa0, 0x80], Lie::NotUtf8 { at: 1 })]
fn a_value_that_cannot_be_is_named(#[case] header: &[u8], #[case] expected: Lie) {
    assert_eq!(lie_found(&with_header(header, &[])), expected);
}

#[rstest]
#[case::tuple_of_a_map(TUPLE, &[0x80], syntax(3, "a list was expected"))]
#[case::tuple_of_more_than_is_left(TUPLE, &[0x92, 0xc0], Lie::CountTooLarge { count: 2, at: 3 })]
#[case::bytearray_of_text(BYTE_ARRAY, &[0xa0], syntax(3, "bytes were expected"))]
#[case::big_integer_of_an_integer(BIG_INT, &[1], syntax(3, "bytes were expected"))]
#[case::complex_of_integers(COMPLEX, &[1, 2], syntax(3, "a float was expected"))]
#[case::name_that_is_a_number(NAMED, &[1, 0xc0], syntax(3, "a text was expected"))]
#[case::name_that_is_not_utf8(NAMED, &[0xa1, 0x80, 0xc0], Lie::NotUtf8 { at: 4 })]
#[case::name_without_a_value(NAMED, &[0xa0], Lie::CountTooLarge { count: 1, at: 0 })]
#[case::pickle_without_a_list(PICKLE, &[0xc0], Lie::CountTooLarge { count: 2, at: 0 })]
#[case::frame_number_below_zero(FRAME_BYTES, &[0xff], syntax(3, "an unsigned integer was expected"))]
fn an_extension_of_something_else_is_named(
    #[case] tag: u8,
    #[case] content: &[u8],
    #[case] expected: Lie,
) {
    assert_eq!(
        lie_found(&with_header(&tagged(tag, content), &[])),
        expected
    );
}

#[rstest]
#[case::leaf_ends_early(&[0xd6, BYTE_ARRAY, 0xc4, 0, 0, 0], 9, 4, 2)]
#[case::leaf_runs_over(&[0xd4, BYTE_ARRAY, 0xc4, 0], 9, 1, 2)]
#[case::container_ends_early(&[0xd6, TUPLE, 0x91, 0xc0, 0xc0, 0xc0], 6, 4, 2)]
#[case::container_runs_over(&[0xd4, TUPLE, 0x91, 0xc0], 6, 1, 2)]
#[case::empty_container_ends_early(&[0xd5, TUPLE, 0x90, 0xc0], 6, 2, 1)]
#[case::named_runs_over(&[0xd4, NAMED, 0xa0, 0xc0], 13, 1, 2)]
#[case::pickle_runs_over(&[0xd4, PICKLE, 0xc0, 0x90], 14, 1, 2)]
fn an_extension_of_another_length_is_named(
    #[case] header: &[u8],
    #[case] tag: i8,
    #[case] declared: u64,
    #[case] found: u64,
) {
    let expected = Lie::TagLength {
        tag,
        at: 0,
        declared,
        found,
    };
    assert_eq!(lie_found(&with_header(header, &[])), expected);
}

fn frame_length(shape: &[u64], needed: Option<u64>) -> Lie {
    let shape = shape.to_vec();
    Lie::FrameLength {
        frame: 0,
        found: 8,
        dtype: DType::Float32,
        shape,
        needed,
    }
}

fn array_length(shape: &[u64], needed: Option<u64>) -> Lie {
    Lie::ArrayLength {
        frame: 0,
        found: 8,
        shape: shape.to_vec(),
        needed,
    }
}

/// Content of a tensor: dtype code, flags, frame, number of dimensions, dimensions.
const FLOATS: u8 = 12;

#[rstest]
#[case::dtype_0(TENSOR, &[0, 0, 0, 0], Lie::UnknownDType { code: 0 })]
#[case::dtype_after_the_last(TENSOR, &[23, 0, 0, 0], Lie::UnknownDType { code: 23 })]
#[case::dtype_beyond_a_byte(TENSOR, &[0xcd, 1, 2, 0, 0, 0], Lie::UnknownDType { code: 258 })]
#[case::flags_beyond_a_byte(TENSOR, &[FLOATS, 0xcd, 1, 0, 0, 0], syntax(4, "tensor flags"))]
#[case::flags_without_a_meaning(TENSOR, &[FLOATS, 4, 0, 0], syntax(4, "tensor flags"))]
#[case::dimensions_beyond_the_header(
    TENSOR, &[FLOATS, 0, 0, 3, 1, 1], Lie::CountTooLarge { count: 3, at: 6 }
)]
#[case::dimensions_beyond_32_bits(
    TENSOR,
    &[FLOATS, 0, 0, 0xcf, 1, 0, 0, 0, 0, 0, 0, 0],
    Lie::CountTooLarge { count: 1 << 56, at: 6 }
)]
#[case::no_dimension(TENSOR, &[FLOATS, 0, 0, 0], frame_length(&[], Some(4)))]
#[case::shape_too_small(TENSOR, &[FLOATS, 0, 0, 1, 1], frame_length(&[1], Some(4)))]
#[case::shape_too_large(TENSOR, &[FLOATS, 0, 0, 2, 2, 2], frame_length(&[2, 2], Some(16)))]
#[case::shape_of_no_elements(TENSOR, &[FLOATS, 0, 0, 2, 0, 9], frame_length(&[0, 9], Some(0)))]
#[case::shape_beyond_64_bits(
    TENSOR, &[FLOATS, 0, 0, 1, 0xcf, 0x40, 0, 0, 0, 0, 0, 0, 0], frame_length(&[1 << 62], None)
)]
#[case::array_that_does_not_divide(ARRAY, &[0, 1, 3, 0xa0], array_length(&[3], Some(3)))]
#[case::array_of_no_elements(ARRAY, &[0, 1, 0, 0xa0], array_length(&[0], Some(0)))]
#[case::array_of_half_bytes(ARRAY, &[0, 1, 16, 0xa0], array_length(&[16], Some(16)))]
#[case::array_beyond_64_bits(
    ARRAY,
    &[0, 2, 0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0, 2, 0xa0],
    array_length(&[1 << 63, 2], None)
)]
#[case::array_without_a_dtype(ARRAY, &[0, 0, 0], syntax(5, "a text was expected"))]
#[case::frame_after_the_last(FRAME_BYTES, &[1], Lie::NoSuchFrame { frame: 1, count: 1 })]
#[case::frame_beyond_32_bits(
    FRAME_BYTES,
    &[0xcf, 0, 0, 0, 1, 0, 0, 0, 0],
    Lie::NoSuchFrame { frame: 1 << 32, count: 1 }
)]
fn what_a_frame_cannot_be_is_named(#[case] tag: u8, #[case] content: &[u8], #[case] expected: Lie) {
    assert_eq!(
        lie_found(&with_header(&tagged(tag, content), &[8])),
        expected
    );
}

#[rstest]
#[case::second_frame_first(&[1, 0], Lie::FrameOrder { found: 1, expected: 0 })]
#[case::one_frame_twice(&[0, 0], Lie::FrameOrder { found: 0, expected: 1 })]
#[case::one_frame_not_at_all(&[0], Lie::UnusedFrames { named: 1, count: 2 })]
#[case::no_frame_at_all(&[], Lie::UnusedFrames { named: 0, count: 2 })]
fn frames_are_named_in_order_and_once(#[case] named: &[u8], #[case] expected: Lie) {
    let mut header = vec![0x90 | u8::try_from(named.len()).unwrap()];
    header.extend(
        named
            .iter()
            .flat_map(|frame| tagged(FRAME_BYTES, &[*frame])),
    );
    assert_eq!(lie_found(&with_header(&header, &[1, 1])), expected);
}

/// msgpack has several forms of one number; a reader takes them all.
#[rstest]
#[case::zero_in_eight_bytes(&[0xcf, 0, 0, 0, 0, 0, 0, 0, 0], Value::UInt(0))]
#[case::signed_but_not_negative(&[0xd1, 0x7f, 0xff], Value::UInt(0x7fff))]
#[case::minus_one_in_eight_bytes(&[0xd3, 255, 255, 255, 255, 255, 255, 255, 255], Value::Int(-1))]
#[case::float_of_four_bytes(&[0xca, 0x3f, 0xc0, 0, 0], Value::Float(1.5))]
#[case::text_with_a_long_length(&[0xdb, 0, 0, 0, 1, b'a'], Value::Text("a".into()))]
#[case::empty_list_with_a_long_count(&[0xdd, 0, 0, 0, 0], Value::List(vec![]))]
#[case::empty_map_with_a_long_count(&[0xde, 0, 0], Value::Map(vec![]))]
#[case::extension_of_four_bytes(&[0xd6, BYTE_ARRAY, 0xc5, 0, 1, 7], Value::ByteArray(vec![7]))]
fn longer_forms_are_read_too(#[case] header: &[u8], #[case] expected: Value) {
    assert_eq!(Value::unpack(&with_header(header, &[])), Ok(expected));
}

#[rstest]
#[case::list(&[0x91, 0xc1, 0xc0])]
#[case::nothing_left(&[0x92, 0xc0, 0xcd])]
#[case::wrong_tag_length(&[0xd4, TUPLE, 0x91, 0xc0])]
#[case::trailing(&[0xc0, 0xc0])]
fn a_walk_that_failed_fails_again_the_same_way(#[case] header: &[u8]) {
    let mut reader = HeaderReader::new(header, FrameLengths::Given(&[]));
    let lie = loop {
        match reader.step() {
            Ok(node) => assert_ne!(node, None, "the lie went unnoticed"),
            Err(lie) => break lie,
        }
    };
    for _ in 0..3 {
        assert_eq!(reader.step(), Err(lie.clone()));
    }
}

#[test]
fn a_walk_that_ended_stays_ended() {
    let mut reader = HeaderReader::new(&[0xc0], FrameLengths::Given(&[]));
    assert_eq!(reader.step(), Ok(Some(Node::Null)));
    assert_eq!(reader.step(), Ok(None));
    assert_eq!(reader.step(), Ok(None));
}

/// A variant without a test is a lie nobody has told yet.
#[test]
fn every_lie_has_a_test() {
    let source = include_str!("../../src/error.rs");
    let tests = concat!(
        include_str!("preamble_lies.rs"),
        include_str!("table_lies.rs"),
        include_str!("header_lies.rs"),
        include_str!("depth.rs"),
    );
    let body = source.split("pub enum FormatError {").nth(1).unwrap();
    let body = body.split("\n}").next().unwrap();
    let variants = body.lines().filter_map(|line| {
        let name = line.strip_prefix("    ")?;
        let end = name.find(|c: char| !c.is_ascii_alphanumeric())?;
        name.starts_with(|c: char| c.is_ascii_uppercase())
            .then(|| &name[..end])
    });
    let variants: Vec<&str> = variants.collect();
    assert!(variants.len() > 25, "only {variants:?} were found");
    for variant in variants {
        assert!(
            tests.contains(&format!("Lie::{variant}")),
            "no test tells {variant}"
        );
    }
}
