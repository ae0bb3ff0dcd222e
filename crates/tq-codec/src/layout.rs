//! The bytes of a packed buffer, and its fixed-size start.
//!
//! All integers are little-endian. `align64(x)` rounds up to a multiple of 64.
//!
//! ```text
//! offset  size  preamble (64 bytes)
//!      0     8  magic  "TQPACK\r\n"          (a text-mode transfer breaks it visibly)
//!      8     2  version                       1
//!     10     2  flags                         bit 0: the frames' checksum is set
//!                                             bit 1: no items at all, not even a header
//!     12     4  frame count N
//!     16     8  header length H
//!     24     8  total length T                a multiple of 64
//!     32     8  checksum of the small parts   XXH3-64 of preamble (this field zero), table, header
//!     40     8  checksum of the frames        XXH3-64 over block digests, or 0 (see `checksum`)
//!     48    16  reserved, zero
//!     64  16·N  frame table: N × (offset u64, length u64), offsets from the start of the buffer
//!  64+16N    H  header: msgpack, see `header`
//!           ..  zero padding to align64
//!               frames in table order, each at the end of what comes before it, rounded up by
//!               align64: no other gap; zero padding between them and after the last, up to T
//! ```
//!
//! 64-bit offsets let one value exceed 4 GiB. A packed size is a multiple of 64, so slots laid end
//! to end keep every frame aligned.

use crate::error::FormatError;

/// First eight bytes of every packed buffer.
pub const MAGIC: [u8; 8] = *b"TQPACK\r\n";
/// Format version this crate writes and the only one it reads.
pub const VERSION: u16 = 1;
/// Bytes of the preamble.
pub const PREAMBLE_LEN: usize = 64;
/// Bytes of one entry of the frame table.
pub const TABLE_ENTRY_LEN: usize = 16;
/// Every frame starts on a multiple of this, and the total length is one.
pub const FRAME_ALIGNMENT: u64 = 64;
/// Containers may nest this deep, in both directions; beyond it a value is refused, so that neither
/// a recursive value nor a hostile header can exhaust memory or a stack.
pub const MAX_DEPTH: usize = 1000;

/// Flag: the frames' checksum is set.
pub const FLAG_FRAMES_CHECKSUM: u16 = 1;
/// Flag: the buffer holds no items (`pack_into` of an empty list).
pub const FLAG_EMPTY: u16 = 2;
const KNOWN_FLAGS: u16 = FLAG_FRAMES_CHECKSUM | FLAG_EMPTY;

/// Where the two checksums stand.
pub const SMALL_CHECKSUM_AT: usize = 32;
/// See [`SMALL_CHECKSUM_AT`].
pub const FRAMES_CHECKSUM_AT: usize = 40;

/// Rounds up to a multiple of [`FRAME_ALIGNMENT`]; `None` beyond 64 bits.
#[must_use]
pub const fn align64(offset: u64) -> Option<u64> {
    match offset.checked_add(FRAME_ALIGNMENT - 1) {
        Some(sum) => Some(sum & !(FRAME_ALIGNMENT - 1)),
        None => None,
    }
}

/// The fixed-size start of a packed buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Preamble {
    /// See [`FLAG_FRAMES_CHECKSUM`], [`FLAG_EMPTY`].
    pub flags: u16,
    /// Entries of the frame table.
    pub frame_count: u32,
    /// Bytes of the header.
    pub header_len: u64,
    /// Bytes of the whole buffer, padding included.
    pub total_len: u64,
    /// Checksum of everything but the frames.
    pub small_checksum: u64,
    /// Checksum of the frames, 0 unless flagged.
    pub frames_checksum: u64,
}

impl Preamble {
    /// The 64 bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; PREAMBLE_LEN] {
        let mut bytes = [0; PREAMBLE_LEN];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.flags.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.frame_count.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.header_len.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.total_len.to_le_bytes());
        bytes[SMALL_CHECKSUM_AT..40].copy_from_slice(&self.small_checksum.to_le_bytes());
        bytes[FRAMES_CHECKSUM_AT..48].copy_from_slice(&self.frames_checksum.to_le_bytes());
        bytes
    }

    /// Reads and checks what can be checked without the rest of the buffer.
    ///
    /// # Errors
    /// [`FormatError`] naming the field that cannot be right.
    pub fn parse(buffer: &[u8]) -> Result<Self, FormatError> {
        let bytes: &[u8; PREAMBLE_LEN] = buffer.first_chunk().ok_or(FormatError::TooShort {
            found: buffer.len() as u64,
            needed: PREAMBLE_LEN as u64,
        })?;
        if bytes[0..8] != MAGIC {
            return Err(FormatError::BadMagic);
        }
        let version = u16::from_le_bytes([bytes[8], bytes[9]]);
        if version != VERSION {
            return Err(FormatError::UnknownVersion { found: version });
        }
        let preamble = Self {
            flags: u16::from_le_bytes([bytes[10], bytes[11]]),
            frame_count: read_u32(bytes, 12),
            header_len: read_u64(bytes, 16),
            total_len: read_u64(bytes, 24),
            small_checksum: read_u64(bytes, SMALL_CHECKSUM_AT),
            frames_checksum: read_u64(bytes, FRAMES_CHECKSUM_AT),
        };
        if preamble.flags & !KNOWN_FLAGS != 0 {
            return Err(FormatError::UnknownFlags {
                found: preamble.flags,
            });
        }
        if bytes[48..64] != [0; 16] {
            return Err(FormatError::ReservedNotZero);
        }
        if preamble.flags & FLAG_FRAMES_CHECKSUM == 0 && preamble.frames_checksum != 0 {
            return Err(FormatError::UnflaggedChecksum);
        }
        if preamble.flags & FLAG_EMPTY != 0 && (preamble.frame_count, preamble.header_len) != (0, 0)
        {
            return Err(FormatError::EmptyWithItems);
        }
        Ok(preamble)
    }

    /// Bytes of preamble, frame table and header together; `None` beyond 64 bits.
    #[must_use]
    pub fn small_len(&self) -> Option<u64> {
        small_len(self.frame_count, self.header_len)
    }
}

/// Bytes of preamble, frame table and header together; `None` beyond 64 bits.
#[must_use]
pub fn small_len(frame_count: u32, header_len: u64) -> Option<u64> {
    (PREAMBLE_LEN as u64 + u64::from(frame_count) * TABLE_ENTRY_LEN as u64).checked_add(header_len)
}

/// Little-endian u64 at `at`; the caller has checked the bounds.
pub(crate) fn read_u64(bytes: &[u8], at: usize) -> u64 {
    bytes[at..]
        .first_chunk()
        .map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    bytes[at..]
        .first_chunk()
        .map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preamble_reads_back() {
        let preamble = Preamble {
            flags: FLAG_FRAMES_CHECKSUM,
            frame_count: 3,
            header_len: 17,
            total_len: 640,
            small_checksum: 0x0123_4567_89ab_cdef,
            frames_checksum: u64::MAX,
        };
        assert_eq!(Preamble::parse(&preamble.to_bytes()), Ok(preamble));
    }

    #[test]
    fn align64_rounds_up_and_refuses_overflow() {
        assert_eq!(align64(0), Some(0));
        assert_eq!(align64(1), Some(64));
        assert_eq!(align64(64), Some(64));
        assert_eq!(align64(u64::MAX), None);
    }
}
