//! Copies that go past the cache, for more bytes than it holds.
//!
//! An ordinary store first reads the line it is about to overwrite, so a copy of much more than the
//! cache moves three bytes over the memory bus for each byte copied; a non-temporal store moves two.
//! The C library does the same from a size on that it takes from the size of the caches (tens of
//! MiB), but it sees single copies only, and a batch of a thousand rows is a thousand copies.

use std::ptr;

/// Copies `from` to `to` without leaving `to` in the cache: for what is too large to be found there
/// later. Visible to other threads like any other write, once this function has returned.
///
/// # Panics
/// Where the lengths differ.
pub fn copy_streamed(from: &[u8], to: &mut [u8]) {
    assert_eq!(
        from.len(),
        to.len(),
        "a copy has as many bytes as its source"
    );
    // SAFETY: `from` is valid for its length, which is that of `to`, and a mutable slice overlaps no
    // other one.
    unsafe { copy_streamed_raw(from.as_ptr(), to) };
}

/// [`copy_streamed`] of `to.len()` bytes at `from`, which other threads may be writing to.
///
/// # Safety
/// `from` must be valid for reads of `to.len()` bytes and must not overlap `to`.
pub unsafe fn copy_streamed_raw(from: *const u8, to: &mut [u8]) {
    // SAFETY: the caller's promise.
    unsafe { copy(from, to) }
}

/// Bytes of a cache line, and of a turn of the loop.
#[cfg(all(target_arch = "x86_64", not(miri)))]
const LINE: usize = 64;
/// How far ahead the source is asked for: measured, 0 to 2 KiB.
#[cfg(all(target_arch = "x86_64", not(miri)))]
const AHEAD: usize = 512;
/// Below this size, lining up costs more than is saved.
#[cfg(all(target_arch = "x86_64", not(miri)))]
const STREAMED_FROM: usize = 4096;

/// # Safety
/// As [`copy_streamed_raw`].
#[cfg(all(target_arch = "x86_64", not(miri)))]
unsafe fn copy(from: *const u8, to: &mut [u8]) {
    use std::arch::x86_64::{
        __m128i, _MM_HINT_NTA, _mm_loadu_si128, _mm_prefetch, _mm_sfence, _mm_stream_si128,
    };

    if to.len() < STREAMED_FROM {
        // SAFETY: the caller's promise.
        unsafe { ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) };
        return;
    }
    // Streaming stores want whole lines; what is left over on both sides is copied as usual.
    let head = to.as_ptr().align_offset(LINE).min(to.len());
    let (first, rest) = to.split_at_mut(head);
    let (lines, last) = rest.split_at_mut(rest.len() / LINE * LINE);
    // SAFETY: `first`, `lines` and `last` are `to` in three parts, so the offsets into `from` stay
    // within the bytes that the caller vouches for, but for the prefetches, which may name any
    // address. `lines` starts on a multiple of 64, as streaming stores need. SSE2 is part of x86-64.
    // The fence orders the streaming stores before all later ones of this thread.
    unsafe {
        ptr::copy_nonoverlapping(from, first.as_mut_ptr(), first.len());
        let source = from.add(first.len());
        for (at, line) in lines.chunks_exact_mut(LINE).enumerate() {
            let source = source.add(at * LINE);
            let target = line.as_mut_ptr().cast::<__m128i>();
            _mm_prefetch::<_MM_HINT_NTA>(source.wrapping_add(AHEAD).cast());
            let source = source.cast::<__m128i>();
            let parts = [0, 1, 2, 3].map(|part| _mm_loadu_si128(source.add(part)));
            for (part, value) in parts.into_iter().enumerate() {
                _mm_stream_si128(target.add(part), value);
            }
        }
        _mm_sfence();
        ptr::copy_nonoverlapping(source.add(lines.len()), last.as_mut_ptr(), last.len());
    }
}

/// # Safety
/// As [`copy_streamed_raw`].
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
unsafe fn copy(from: *const u8, to: &mut [u8]) {
    // SAFETY: the caller's promise.
    unsafe { ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_byte_arrives_and_none_beside(
            len in prop_oneof![0usize..300, 3_900usize..4_400, 4_096usize..20_000],
            from_offset in 0usize..80,
            to_offset in 0usize..80,
        ) {
            let source: Vec<u8> = (0..len + from_offset).map(|at| (at % 251) as u8).collect();
            let mut target = vec![255u8; to_offset + len + 64];
            copy_streamed(&source[from_offset..], &mut target[to_offset..to_offset + len]);
            prop_assert_eq!(&target[to_offset..to_offset + len], &source[from_offset..]);
            prop_assert!(target[..to_offset].iter().all(|byte| *byte == 255));
            prop_assert!(target[to_offset + len..].iter().all(|byte| *byte == 255));
        }
    }

    #[test]
    #[should_panic(expected = "as many bytes")]
    fn another_length_is_refused() {
        copy_streamed(&[1, 2], &mut [0; 3]);
    }
}
