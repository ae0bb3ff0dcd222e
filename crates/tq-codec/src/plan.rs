//! Sizes and offsets, exact before a byte is written.

use crate::error::PlanError;
use crate::layout::{TABLE_ENTRY_LEN, align64, small_len};

/// Where everything of one packed buffer will stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Entries of the frame table.
    pub frame_count: u32,
    /// Bytes of the header.
    pub header_len: u64,
    /// Offset of the first frame (of the end, where there is none): a multiple of 64.
    pub frames_at: u64,
    /// Bytes of the whole buffer: a multiple of 64.
    pub total_len: u64,
}

impl Plan {
    /// Plans a buffer of a header of `header_len` bytes and frames of these lengths in bytes.
    ///
    /// # Errors
    /// [`PlanError::TooManyFrames`], [`PlanError::SizeOverflow`].
    pub fn new(
        header_len: u64,
        frame_lens: impl ExactSizeIterator<Item = u64>,
    ) -> Result<Self, PlanError> {
        let frame_count = u32::try_from(frame_lens.len()).map_err(|_| PlanError::TooManyFrames)?;
        let frames_at = small_len(frame_count, header_len)
            .and_then(align64)
            .ok_or(PlanError::SizeOverflow)?;
        let mut end = frames_at;
        for len in frame_lens {
            end = end
                .checked_add(len)
                .and_then(align64)
                .ok_or(PlanError::SizeOverflow)?;
        }
        Ok(Self {
            frame_count,
            header_len,
            frames_at,
            total_len: end,
        })
    }

    /// Bytes of preamble, table and header together.
    #[must_use]
    pub fn small_len(&self) -> u64 {
        crate::layout::PREAMBLE_LEN as u64
            + u64::from(self.frame_count) * TABLE_ENTRY_LEN as u64
            + self.header_len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_start_on_64_and_the_total_is_a_multiple_of_64() {
        let plan = Plan::new(10, [1u64, 64, 0].into_iter()).unwrap();
        assert_eq!(plan.frames_at, 128);
        assert_eq!(plan.total_len, 128 + 64 + 64);
        assert_eq!(plan.small_len(), 64 + 48 + 10);
    }

    #[test]
    fn sizes_beyond_64_bits_are_refused() {
        assert_eq!(
            Plan::new(u64::MAX, std::iter::empty()),
            Err(PlanError::SizeOverflow)
        );
        assert_eq!(
            Plan::new(0, [u64::MAX / 2, u64::MAX / 2].into_iter()),
            Err(PlanError::SizeOverflow)
        );
    }
}
