//! Each lie a frame table can tell. The buffer is that of `preamble_lies`: entry 0 at 64 says
//! (128, 70), entry 1 at 80 says (256, 1), the buffer ends at 320.

use rstest::rstest;
use tq_codec::FormatError as Lie;

use crate::preamble_lies::two_frames;
use crate::support::{lie_found, seal};

const OFFSET_0: usize = 64;
const LEN_0: usize = 72;
const OFFSET_1: usize = 80;
const LEN_1: usize = 88;
const TOTAL: usize = 24;
/// The last multiple of 64 there is.
const LAST: u64 = u64::MAX - 63;

#[rstest]
#[case::odd_offset(OFFSET_0, 129, Lie::FrameMisaligned { frame: 0, offset: 129 })]
#[case::offset_of_a_cache_line_half(OFFSET_1, 288, Lie::FrameMisaligned { frame: 1, offset: 288 })]
#[case::misaligned_beyond_the_buffer(
    OFFSET_1, u64::MAX, Lie::FrameMisaligned { frame: 1, offset: u64::MAX }
)]
#[case::frame_in_the_preamble(OFFSET_0, 0, Lie::FrameOverlap { frame: 0, offset: 0 })]
#[case::frame_in_the_table(OFFSET_0, 64, Lie::FrameOverlap { frame: 0, offset: 64 })]
#[case::frame_in_another(OFFSET_1, 192, Lie::FrameOverlap { frame: 1, offset: 192 })]
#[case::frame_that_is_another(OFFSET_1, 128, Lie::FrameOverlap { frame: 1, offset: 128 })]
#[case::frame_that_swallows_the_next(LEN_0, 129, Lie::FrameOverlap { frame: 1, offset: 256 })]
#[case::gap_before_the_first_frame(
    OFFSET_0, 192, Lie::FrameGap { frame: 0, offset: 192, expected: 128 }
)]
#[case::gap_between_frames(LEN_0, 64, Lie::FrameGap { frame: 1, offset: 256, expected: 192 })]
#[case::gap_after_an_empty_frame(LEN_0, 0, Lie::FrameGap { frame: 1, offset: 256, expected: 128 })]
#[case::one_byte_beyond(
    LEN_1, 65, Lie::FrameOutOfBounds { frame: 1, offset: 256, len: 65, total: 320 }
)]
#[case::frame_after_the_end(
    OFFSET_1, 320, Lie::FrameOutOfBounds { frame: 1, offset: 320, len: 1, total: 320 }
)]
#[case::length_beyond_64_bits(
    LEN_0, u64::MAX, Lie::FrameOutOfBounds { frame: 0, offset: 128, len: u64::MAX, total: 320 }
)]
#[case::offset_beyond_64_bits(
    OFFSET_1, LAST, Lie::FrameOutOfBounds { frame: 1, offset: LAST, len: 1, total: 320 }
)]
#[case::total_before_the_last_frame(
    TOTAL, 256, Lie::FrameOutOfBounds { frame: 1, offset: 256, len: 1, total: 256 }
)]
#[case::total_without_the_last_padding(
    TOTAL, 257, Lie::FrameOutOfBounds { frame: 1, offset: 256, len: 1, total: 257 }
)]
#[case::total_beyond_the_last_padding(
    TOTAL, 321, Lie::TotalMismatch { declared: 321, expected: 320 }
)]
#[case::total_with_room_for_something_hidden(
    TOTAL, 384, Lie::TotalMismatch { declared: 384, expected: 320 }
)]
#[case::empty_last_frame(LEN_1, 0, Lie::TotalMismatch { declared: 320, expected: 256 })]
fn a_place_that_cannot_be_is_named(#[case] at: usize, #[case] lie: u64, #[case] expected: Lie) {
    let mut buffer = two_frames(false);
    // Bytes after the buffer are none of its business, and keep the total from being too long.
    buffer.resize(384, 0);
    buffer[at..at + 8].copy_from_slice(&lie.to_le_bytes());
    seal(&mut buffer);
    assert_eq!(lie_found(&buffer), expected);
}

#[test]
fn frames_out_of_order_leave_a_gap() {
    let mut buffer = two_frames(false);
    for (at, entry) in [(OFFSET_0, [256u64, 1]), (OFFSET_1, [128, 70])] {
        buffer[at..at + 8].copy_from_slice(&entry[0].to_le_bytes());
        buffer[at + 8..at + 16].copy_from_slice(&entry[1].to_le_bytes());
    }
    seal(&mut buffer);
    assert_eq!(
        lie_found(&buffer),
        Lie::FrameGap {
            frame: 0,
            offset: 256,
            expected: 128
        }
    );
}
