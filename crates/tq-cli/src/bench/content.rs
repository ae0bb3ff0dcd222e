//! Bytes that are told from all others: a function of a seed and of their place, so that whoever reads
//! them knows what they have to be without having written them.

/// A run of bytes, as long as it is read or written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    seed: u64,
}

/// Bytes that are made at once.
const WORD: usize = 8;

impl Content {
    /// The content of one put of one client.
    pub(crate) fn of(run: u64, client: u64, round: u64) -> Self {
        Self {
            seed: mixed(mixed(mixed(run) ^ client) ^ round),
        }
    }

    pub(crate) fn write(self, bytes: &mut [u8]) {
        for (place, word) in bytes.chunks_mut(WORD).enumerate() {
            let length = word.len();
            word.copy_from_slice(&self.word(place)[..length]);
        }
    }

    /// Where `slices`, laid end to end, first differ from this content of `length` bytes; where they end,
    /// if that is too early or too late.
    pub(crate) fn first_wrong<'a>(
        self,
        slices: impl IntoIterator<Item = &'a [u8]>,
        length: usize,
    ) -> Option<usize> {
        let mut at = 0;
        for slice in slices {
            let mut rest = slice;
            while !rest.is_empty() {
                let skip = at % WORD;
                let (part, after) = rest.split_at(rest.len().min(WORD - skip));
                let wanted = &self.word(at / WORD)[skip..skip + part.len()];
                if at + part.len() > length || part != wanted {
                    let right = part.iter().zip(wanted).take_while(|(a, b)| a == b).count();
                    return Some((at + right).min(length));
                }
                at += part.len();
                rest = after;
            }
        }
        (at < length).then_some(at)
    }

    fn word(self, place: usize) -> [u8; WORD] {
        mixed(self.seed.wrapping_add(place as u64)).to_le_bytes()
    }
}

/// SplitMix64's step: each bit of the result depends on each of `value`.
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_recognised_however_it_is_cut() {
        let content = Content::of(1, 2, 3);
        let mut bytes = vec![0; 1003];
        content.write(&mut bytes);
        for cut in [0, 1, 7, 8, 500, 1002] {
            let (left, right) = bytes.split_at(cut);
            assert_eq!(content.first_wrong([left, right], bytes.len()), None);
        }
    }

    #[test]
    fn one_wrong_byte_is_found() {
        let content = Content::of(1, 2, 3);
        let mut bytes = vec![0; 100];
        content.write(&mut bytes);
        for place in [0, 13, 99] {
            let mut wrong = bytes.clone();
            wrong[place] ^= 1;
            assert_eq!(content.first_wrong([&wrong[..]], 100), Some(place));
        }
        assert_eq!(content.first_wrong([&bytes[..99]], 100), Some(99));
        assert_eq!(content.first_wrong([&bytes[..]], 99), Some(99));
        for other in [
            Content::of(2, 2, 3),
            Content::of(1, 3, 3),
            Content::of(1, 2, 4),
        ] {
            assert!(other.first_wrong([&bytes[..]], 100).is_some());
        }
    }
}
