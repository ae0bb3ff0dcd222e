//! Each lie a preamble can tell.

use rstest::rstest;
use tq_codec::FormatError as Lie;
use tq_codec::{PackedView, Plan, Slot, Value, write_value};

use crate::support::{lie_found, seal};

/// 64 bytes of preamble, 2 table entries, 19 bytes of header, padding to 128; frame 0 at 128 of 70
/// bytes, frame 1 at 256 of 1 byte, 320 bytes in all.
pub(crate) fn two_frames(checksum: bool) -> Vec<u8> {
    let tensor = Value::Tensor {
        dtype: tq_proto::DType::UInt8,
        flags: 0,
        shape: vec![70],
        bytes: vec![7; 70],
    };
    let buffer = Value::List(vec![tensor, Value::FrameBytes(vec![9])])
        .pack(checksum)
        .unwrap();
    assert_eq!(buffer.len(), 320);
    buffer
}

const SMALL: u64 = 115;

#[rstest]
#[case::magic(0, b"X", Lie::BadMagic)]
#[case::magic_after_text_mode_transfer(6, b"\n\n", Lie::BadMagic)]
#[case::version_0(8, &[0], Lie::UnknownVersion { found: 0 })]
#[case::version_2(8, &[2], Lie::UnknownVersion { found: 2 })]
#[case::version_of_two_bytes(9, &[1], Lie::UnknownVersion { found: 0x101 })]
#[case::lowest_unknown_flag(10, &[4], Lie::UnknownFlags { found: 4 })]
#[case::highest_unknown_flag(11, &[0x80], Lie::UnknownFlags { found: 0x8000 })]
#[case::unknown_beside_known_flag(10, &[5], Lie::UnknownFlags { found: 5 })]
#[case::first_reserved_byte(48, &[1], Lie::ReservedNotZero)]
#[case::last_reserved_byte(63, &[0x80], Lie::ReservedNotZero)]
#[case::checksum_without_flag(47, &[1], Lie::UnflaggedChecksum)]
#[case::empty_with_items(10, &[2], Lie::EmptyWithItems)]
#[case::longer_than_given(24, &384u64.to_le_bytes(), Lie::Truncated { declared: 384, found: 320 })]
#[case::as_long_as_can_be(
    24, &u64::MAX.to_le_bytes(), Lie::Truncated { declared: u64::MAX, found: 320 }
)]
#[case::no_room_for_the_preamble(
    24, &[0, 0], Lie::SmallPartsTooLong { needed: SMALL, declared: 0 }
)]
#[case::no_room_for_the_header(
    24, &114u64.to_le_bytes(), Lie::SmallPartsTooLong { needed: SMALL, declared: 114 }
)]
#[case::header_beyond_64_bits(
    16, &u64::MAX.to_le_bytes(), Lie::SmallPartsTooLong { needed: u64::MAX, declared: 320 }
)]
#[case::header_of_320_bytes(
    16, &320u64.to_le_bytes(), Lie::SmallPartsTooLong { needed: 64 + 32 + 320, declared: 320 }
)]
#[case::most_frames_there_can_be(
    12,
    &u32::MAX.to_le_bytes(),
    Lie::SmallPartsTooLong { needed: 64 + 16 * (u32::MAX as u64) + 19, declared: 320 }
)]
fn a_preamble_field_that_lies_is_named(
    #[case] at: usize,
    #[case] lie: &[u8],
    #[case] expected: Lie,
) {
    let mut buffer = two_frames(false);
    buffer[at..at + lie.len()].copy_from_slice(lie);
    seal(&mut buffer);
    assert_eq!(lie_found(&buffer), expected);
}

#[rstest]
#[case::nothing(0)]
#[case::magic_only(8)]
#[case::one_byte_less_than_a_preamble(63)]
fn a_buffer_shorter_than_a_preamble_is_too_short(#[case] len: usize) {
    let found = len as u64;
    assert_eq!(
        lie_found(&two_frames(false)[..len]),
        Lie::TooShort { found, needed: 64 }
    );
}

#[rstest]
#[case::checksum_field(32)]
#[case::frame_table(72)]
#[case::first_byte_of_the_header(96)]
#[case::last_byte_of_the_header(114)]
fn altered_small_parts_are_found(#[case] at: usize) {
    let mut buffer = two_frames(false);
    buffer[at] ^= 1;
    assert_eq!(lie_found(&buffer), Lie::SmallChecksum);
}

#[rstest]
#[case::first_byte(128)]
#[case::padding_between(198)]
#[case::last_frame(256)]
#[case::padding_after_the_last(319)]
fn altered_frames_are_found_where_they_are_checksummed(#[case] at: usize) {
    let mut buffer = two_frames(true);
    buffer[at] ^= 1;
    assert_eq!(lie_found(&buffer), Lie::FramesChecksum);
}

#[test]
fn a_frames_checksum_that_lies_is_found() {
    let mut buffer = two_frames(true);
    buffer[40] ^= 1;
    seal(&mut buffer);
    assert_eq!(lie_found(&buffer), Lie::FramesChecksum);
}

#[test]
fn verifying_another_and_shorter_buffer_is_an_error() {
    let buffer = two_frames(true);
    let view = PackedView::parse(&buffer).unwrap();
    let expected = Lie::TooShort {
        found: 319,
        needed: 320,
    };
    assert_eq!(view.verify_frames(&buffer[..319]), Err(expected));
}

#[test]
fn a_buffer_of_no_items_reads_as_null_and_has_no_header() {
    let plan = Plan::new(0, std::iter::empty()).unwrap();
    let mut buffer = [0xff; 64];
    let frames: &[&[u8]] = &[];
    write_value(Slot {
        plan,
        header: &[],
        frames,
        buffer: &mut buffer,
        checksum: true,
        empty: true,
    })
    .unwrap();
    let view = PackedView::parse(&buffer).unwrap();
    assert!(view.is_empty() && view.has_frames_checksum());
    assert_eq!(
        (view.total_len(), view.header(), view.frame_count()),
        (64, &[][..], 0)
    );
    assert_eq!(view.frame_range(0), None);
    assert_eq!(view.reader().step(), Err(Lie::HeaderTruncated { at: 0 }));
    assert_eq!(Value::unpack(&buffer), Ok(Value::Null));
}
