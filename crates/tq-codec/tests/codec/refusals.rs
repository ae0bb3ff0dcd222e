//! What cannot be planned or written is refused before a byte is touched.

use std::error::Error as _;

use rstest::rstest;
use tq_codec::header::HeaderWriter;
use tq_codec::{FormatError, Plan, PlanError, Slot, Value, write_batch};
use tq_proto::{Error as TqError, ErrorKind};

use crate::support::Pattern;

/// More than 32 bits can count.
const TOO_MANY: usize = 1 << 32;

#[rstest]
#[case::a_list("a list", |out: &mut HeaderWriter<'_>| out.list(TOO_MANY))]
#[case::a_map("a map", |out: &mut HeaderWriter<'_>| out.map(TOO_MANY))]
fn a_count_beyond_32_bits_is_remembered(
    #[case] what: &'static str,
    #[case] write: fn(&mut HeaderWriter<'_>),
) {
    let mut header = Vec::new();
    let mut writer = HeaderWriter::new(&mut header);
    writer.null();
    assert_eq!(writer.check(), Ok(()));
    write(&mut writer);
    writer.null();
    assert_eq!(writer.check(), Err(PlanError::HeaderTooLarge { what }));
}

#[test]
fn more_frames_than_32_bits_count_are_refused() {
    let lens = std::iter::repeat_n(0, TOO_MANY);
    assert_eq!(Plan::new(0, lens), Err(PlanError::TooManyFrames));
}

#[rstest]
#[case::header(u64::MAX, &[])]
#[case::header_and_preamble(u64::MAX - 63, &[])]
#[case::padding_of_the_header(u64::MAX - 64, &[])]
#[case::frame(0, &[u64::MAX])]
#[case::padding_of_a_frame(0, &[u64::MAX - 128])]
#[case::sum_of_frames(0, &[1 << 63, 1 << 63])]
fn a_size_beyond_64_bits_is_refused(#[case] header_len: u64, #[case] frame_lens: &[u64]) {
    let plan = Plan::new(header_len, frame_lens.iter().copied());
    assert_eq!(plan, Err(PlanError::SizeOverflow));
}

#[test]
fn the_largest_size_there_is_can_be_planned() {
    let plan = Plan::new(0, [u64::MAX - 63 - 128].into_iter()).unwrap();
    assert_eq!(plan.total_len, u64::MAX - 63);
}

#[rstest]
#[case::one_byte_short(1)]
#[case::no_byte_at_all(256)]
fn a_buffer_too_small_leaves_the_whole_batch_unwritten(#[case] short: usize) {
    let frames = [Pattern { len: 100, seed: 0 }];
    let plan = Plan::new(1, [100].into_iter()).unwrap();
    let mut first = vec![0xaa; 256];
    let mut second = vec![0xaa; 256 - short];
    let slots = [&mut first, &mut second].map(|buffer| Slot {
        plan,
        header: &[0xc0],
        frames: &frames,
        buffer,
        checksum: true,
        empty: false,
    });
    let expected = PlanError::BufferTooSmall {
        found: 256 - short as u64,
        needed: 256,
    };
    assert_eq!(write_batch(slots.into(), 2), Err(expected));
    assert!(
        first.iter().chain(&second).all(|byte| *byte == 0xaa),
        "something was written"
    );
}

#[test]
fn a_batch_of_nothing_is_written() {
    assert_eq!(write_batch(Vec::<Slot<'_, Pattern>>::new(), 4), Ok(()));
}

#[test]
fn the_public_error_tells_whose_fault_it_is_and_keeps_the_cause() {
    let corrupt = TqError::from(Value::unpack(b"TQ").unwrap_err());
    assert_eq!(corrupt.kind(), ErrorKind::Corrupt);
    let cause = corrupt.source().unwrap().downcast_ref::<FormatError>();
    assert_eq!(
        cause,
        Some(&FormatError::TooShort {
            found: 2,
            needed: 64
        })
    );

    let refused = TqError::from(Plan::new(u64::MAX, std::iter::empty()).unwrap_err());
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    let cause = refused.source().unwrap().downcast_ref::<PlanError>();
    assert_eq!(cause, Some(&PlanError::SizeOverflow));
}
