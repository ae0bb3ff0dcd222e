//! What the two checksums of the preamble cover. Both are XXH3-64 (Yann Collet, xxHash 0.8).
//!
//! The small parts (preamble, frame table, header): the preamble is hashed with its first checksum
//! field zero, and that digest seeds the hash of the rest, so that nothing has to be copied but 64
//! bytes. The frames are hashed in blocks of [`BLOCK`] bytes, counted from the end of the small
//! parts, rounded up to a multiple of 64 (where the first frame lies, if there is one), to the end
//! of the buffer, padding between and after the frames included; the checksum is the hash of the
//! concatenated little-endian digests. Blocks can be hashed in any order and right after they were
//! copied, while they are still in the cache.

use std::hash::Hasher;

use twox_hash::XxHash3_64;

use crate::layout::{FRAMES_CHECKSUM_AT, PREAMBLE_LEN, SMALL_CHECKSUM_AT};

/// Bytes of one block: a multiple of 64 and small enough to stay in a core's own cache.
pub const BLOCK: usize = 256 << 10;

/// Checksum of preamble, table and header. `small` is exactly these bytes; what stands in the field
/// of this checksum does not matter.
#[must_use]
pub fn small_parts(small: &[u8]) -> u64 {
    let (preamble, rest) = small.split_at(PREAMBLE_LEN.min(small.len()));
    let mut copy = [0u8; PREAMBLE_LEN];
    copy[..preamble.len()].copy_from_slice(preamble);
    copy[SMALL_CHECKSUM_AT..FRAMES_CHECKSUM_AT].fill(0);
    XxHash3_64::oneshot_with_seed(XxHash3_64::oneshot(&copy), rest)
}

/// Digest of one block of the frames.
#[must_use]
pub fn block(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

/// The digest of a block that comes piece by piece.
#[derive(Default)]
pub struct BlockHasher(XxHash3_64);

impl BlockHasher {
    /// Takes the next bytes of the block.
    pub fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// What [`block`] gives for all of them.
    #[must_use]
    pub fn finish(&self) -> u64 {
        self.0.finish()
    }
}

/// Checksum of the frames from the digests of their blocks, in order.
#[must_use]
pub fn of_digests(digests: &[u64]) -> u64 {
    let bytes: Vec<u8> = digests
        .iter()
        .flat_map(|digest| digest.to_le_bytes())
        .collect();
    XxHash3_64::oneshot(&bytes)
}

/// Checksum of the frames of a whole region: from the rounded end of the small parts to the
/// end of the buffer.
#[must_use]
pub fn frames(region: &[u8]) -> u64 {
    let digests: Vec<u64> = region.chunks(BLOCK).map(block).collect();
    of_digests(&digests)
}
