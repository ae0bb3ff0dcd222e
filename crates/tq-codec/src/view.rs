//! A validated borrow of a packed buffer: everything is checked once, then slices are handed out.

use std::ops::Range;

use crate::checksum;
use crate::error::FormatError;
use crate::header::{FrameLengths, HeaderReader};
use crate::layout::{
    FLAG_EMPTY, FLAG_FRAMES_CHECKSUM, FRAME_ALIGNMENT, PREAMBLE_LEN, Preamble, TABLE_ENTRY_LEN,
    align64, read_u64,
};

/// A packed buffer whose preamble, frame table and checksums are right. The header is checked as it
/// is walked.
#[derive(Clone, Copy, Debug)]
pub struct PackedView<'a> {
    preamble: Preamble,
    table: &'a [u8],
    header: &'a [u8],
    /// Where the frames start: the end of the small parts, rounded up.
    frames_at: u64,
    total_len: usize,
}

impl<'a> PackedView<'a> {
    /// Checks `buffer`, which may be longer than the packed buffer at its start. Of the frames only
    /// their places are looked at; see [`Self::verify_frames`].
    ///
    /// # Errors
    /// [`FormatError`] naming what is wrong.
    pub fn parse(buffer: &'a [u8]) -> Result<Self, FormatError> {
        let preamble = Preamble::parse(buffer)?;
        let found = buffer.len() as u64;
        if preamble.total_len > found {
            return Err(FormatError::Truncated {
                declared: preamble.total_len,
                found,
            });
        }
        let total_len = preamble.total_len as usize;
        let small_len = preamble
            .small_len()
            .filter(|needed| *needed <= preamble.total_len)
            .ok_or(FormatError::SmallPartsTooLong {
                needed: preamble.small_len().unwrap_or(u64::MAX),
                declared: preamble.total_len,
            })?;
        // From here on every number that is used as a bound has been compared with what was given.
        let small = &buffer[..small_len as usize];
        if checksum::small_parts(small) != preamble.small_checksum {
            return Err(FormatError::SmallChecksum);
        }
        let table_end = PREAMBLE_LEN + preamble.frame_count as usize * TABLE_ENTRY_LEN;
        let view = Self {
            preamble,
            table: &small[PREAMBLE_LEN..table_end],
            header: &small[table_end..],
            frames_at: align64(small_len).unwrap_or(u64::MAX),
            total_len,
        };
        view.check_table()?;
        Ok(view)
    }

    /// Each frame lies where the one before it ends, rounded up; there is one way only to lay
    /// frames out, so nothing can hide between them.
    fn check_table(&self) -> Result<(), FormatError> {
        let total = self.preamble.total_len;
        let mut expected = self.frames_at;
        for frame in 0..self.preamble.frame_count {
            let (offset, len) = self.entry(frame);
            if offset % FRAME_ALIGNMENT != 0 {
                return Err(FormatError::FrameMisaligned { frame, offset });
            }
            if offset < expected {
                return Err(FormatError::FrameOverlap { frame, offset });
            }
            let end = offset
                .checked_add(len)
                .and_then(align64)
                .filter(|end| *end <= total)
                .ok_or(FormatError::FrameOutOfBounds {
                    frame,
                    offset,
                    len,
                    total,
                })?;
            if offset > expected {
                return Err(FormatError::FrameGap {
                    frame,
                    offset,
                    expected,
                });
            }
            expected = end;
        }
        if expected != total {
            return Err(FormatError::TotalMismatch {
                declared: total,
                expected,
            });
        }
        Ok(())
    }

    fn entry(&self, frame: u32) -> (u64, u64) {
        let at = frame as usize * TABLE_ENTRY_LEN;
        (read_u64(self.table, at), read_u64(self.table, at + 8))
    }

    /// Bytes of the packed buffer; a multiple of 64.
    #[must_use]
    pub fn total_len(&self) -> usize {
        self.total_len
    }

    /// Whether the buffer holds no items at all, not even a header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.preamble.flags & FLAG_EMPTY != 0
    }

    /// Whether the frames' checksum is set.
    #[must_use]
    pub fn has_frames_checksum(&self) -> bool {
        self.preamble.flags & FLAG_FRAMES_CHECKSUM != 0
    }

    /// The header's bytes.
    #[must_use]
    pub fn header(&self) -> &'a [u8] {
        self.header
    }

    /// Where the header lies in the buffer.
    #[must_use]
    pub fn header_range(&self) -> Range<usize> {
        let start = PREAMBLE_LEN + self.table.len();
        start..start + self.header.len()
    }

    /// Number of frames.
    #[must_use]
    pub fn frame_count(&self) -> u32 {
        self.preamble.frame_count
    }

    /// Where frame number `frame` lies in the buffer; `None` where there is none.
    #[must_use]
    pub fn frame_range(&self, frame: u32) -> Option<Range<usize>> {
        if frame >= self.preamble.frame_count {
            return None;
        }
        let (offset, len) = self.entry(frame);
        Some(offset as usize..(offset + len) as usize)
    }

    /// Walks the structure.
    #[must_use]
    pub fn reader(&self) -> HeaderReader<'a> {
        HeaderReader::new(self.header, FrameLengths::Table(self.table))
    }

    /// Compares the frames with their checksum, where it is set. `buffer` is what was parsed.
    ///
    /// # Errors
    /// [`FormatError::FramesChecksum`].
    pub fn verify_frames(&self, buffer: &[u8]) -> Result<(), FormatError> {
        if !self.has_frames_checksum() {
            return Ok(());
        }
        let region =
            buffer
                .get(self.frames_at as usize..self.total_len)
                .ok_or(FormatError::TooShort {
                    found: buffer.len() as u64,
                    needed: self.preamble.total_len,
                })?;
        if checksum::frames(region) == self.preamble.frames_checksum {
            Ok(())
        } else {
            Err(FormatError::FramesChecksum)
        }
    }
}
