//! Every altered or missing byte is found, and none makes the reader panic.

use proptest::prelude::*;
use tq_codec::{FormatError, PackedView, Value};

use crate::preamble_lies::two_frames;
use crate::strategy;
use crate::support::seal;

/// Bytes of preamble, frame table and header.
fn small_len(buffer: &[u8]) -> usize {
    let view = PackedView::parse(buffer).unwrap();
    64 + 16 * view.frame_count() as usize + view.header().len()
}

#[test]
fn each_bit_of_the_small_parts_counts() {
    for checksum in [false, true] {
        let mut buffer = two_frames(checksum);
        for bit in 0..small_len(&buffer) * 8 {
            buffer[bit / 8] ^= 1 << (bit % 8);
            assert!(
                PackedView::parse(&buffer).is_err(),
                "bit {bit} was flipped unnoticed"
            );
            buffer[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn each_bit_of_the_frames_and_their_padding_counts() {
    let mut buffer = two_frames(true);
    for bit in 128 * 8..buffer.len() * 8 {
        buffer[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            Value::unpack(&buffer),
            Err(FormatError::FramesChecksum),
            "bit {bit}"
        );
        buffer[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn frames_are_not_read_where_they_are_not_checksummed() {
    let mut buffer = two_frames(false);
    buffer[128] ^= 1;
    let view = PackedView::parse(&buffer).unwrap();
    assert_eq!(view.verify_frames(&buffer), Ok(()));
    assert!(Value::unpack(&buffer).is_ok());
}

#[test]
fn each_length_short_of_the_whole_is_an_error() {
    for checksum in [false, true] {
        let buffer = two_frames(checksum);
        for len in 0..buffer.len() {
            let expected = if len < 64 {
                FormatError::TooShort {
                    found: len as u64,
                    needed: 64,
                }
            } else {
                FormatError::Truncated {
                    declared: 320,
                    found: len as u64,
                }
            };
            assert_eq!(Value::unpack(&buffer[..len]), Err(expected));
        }
    }
}

proptest! {
    #[test]
    fn a_flipped_bit_of_any_small_parts_is_found(
        value in strategy::value(),
        bit: prop::sample::Index,
    ) {
        let mut buffer = value.pack(false).unwrap();
        let bit = bit.index(small_len(&buffer) * 8);
        buffer[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Value::unpack(&buffer).is_err(), "bit {} of {:?}", bit, value);
    }

    #[test]
    fn a_flipped_bit_of_any_frame_is_found(
        value in strategy::value(),
        more in prop::collection::vec(any::<u8>(), 1..500),
        bit: prop::sample::Index,
    ) {
        let value = Value::List(vec![value, Value::FrameBytes(more)]);
        let mut buffer = value.pack(true).unwrap();
        let frames_at = small_len(&buffer).next_multiple_of(64);
        let bit = frames_at * 8 + bit.index((buffer.len() - frames_at) * 8);
        buffer[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(Value::unpack(&buffer), Err(FormatError::FramesChecksum));
    }

    #[test]
    fn any_truncated_buffer_is_an_error(value in strategy::value(), len: prop::sample::Index) {
        let buffer = value.pack(true).unwrap();
        prop_assert!(Value::unpack(&buffer[..len.index(buffer.len())]).is_err());
    }

    /// A liar seals its lies, so the reader must hold without any help from the checksum. What it
    /// then accepts must be a value like any other.
    #[test]
    fn sealed_garbage_never_panics(
        value in strategy::value(),
        lies in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut buffer = value.pack(false).unwrap();
        let header_at = 64 + 16 * PackedView::parse(&buffer).unwrap().frame_count() as usize;
        let small = small_len(&buffer);
        for (at, byte) in lies {
            buffer[header_at + at.index(small - header_at)] = byte;
        }
        seal(&mut buffer);
        if let Ok(accepted) = Value::unpack(&buffer) {
            prop_assert!(accepted.pack(false).is_ok());
        }
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Value::unpack(&noise).is_err());
    }
}
