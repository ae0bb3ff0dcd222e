//! Lengths of the frames, wherever they are known from.

use crate::error::FormatError;
use crate::layout::{TABLE_ENTRY_LEN, read_u64};

/// Lengths of the frames a header may refer to.
#[derive(Clone, Copy, Debug)]
pub enum FrameLengths<'a> {
    /// A validated frame table.
    Table(&'a [u8]),
    /// One length per frame.
    Given(&'a [u64]),
}

impl FrameLengths<'_> {
    /// Number of frames.
    #[must_use]
    pub fn count(&self) -> u32 {
        match self {
            Self::Table(table) => (table.len() / TABLE_ENTRY_LEN) as u32,
            Self::Given(lengths) => lengths.len() as u32,
        }
    }

    /// Number and length of frame `frame`, if there is one.
    pub(super) fn get(&self, frame: u64) -> Result<(u32, u64), FormatError> {
        if frame >= u64::from(self.count()) {
            return Err(FormatError::NoSuchFrame {
                frame,
                count: self.count(),
            });
        }
        let len = match self {
            Self::Table(table) => read_u64(table, frame as usize * TABLE_ENTRY_LEN + 8),
            Self::Given(lengths) => lengths[frame as usize],
        };
        Ok((frame as u32, len))
    }
}
