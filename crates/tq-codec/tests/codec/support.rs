//! Hostile buffers, sources that make their bytes up, and equality that sees the bits of a float.

use tq_codec::{
    FormatError, FrameSource, Plan, Slot, Stores, Value, checksum, layout, write_value,
};

/// Sets the checksum of the small parts right again after a lie, so that the lie gets past it.
pub(crate) fn seal(buffer: &mut [u8]) {
    let frame_count = u32::from_le_bytes(buffer[12..16].try_into().unwrap());
    let header_len = u64::from_le_bytes(buffer[16..24].try_into().unwrap());
    let Some(small) = layout::small_len(frame_count, header_len)
        .and_then(|len| buffer.get(..usize::try_from(len).unwrap()))
    else {
        return;
    };
    let checksum = checksum::small_parts(small);
    buffer[layout::SMALL_CHECKSUM_AT..][..8].copy_from_slice(&checksum.to_le_bytes());
}

/// A buffer whose every part is right but for its header, which is `header`. The frames are zero.
pub(crate) fn with_header(header: &[u8], frame_lens: &[usize]) -> Vec<u8> {
    let zeros = vec![0; frame_lens.iter().copied().max().unwrap_or(0)];
    let frames: Vec<&[u8]> = frame_lens.iter().map(|len| &zeros[..*len]).collect();
    let lens = frame_lens.iter().map(|len| *len as u64);
    let plan = Plan::new(header.len() as u64, lens).unwrap();
    let mut buffer = vec![0; usize::try_from(plan.total_len).unwrap()];
    write_value(Slot {
        plan,
        header,
        frames: &frames,
        buffer: &mut buffer,
        checksum: false,
        empty: false,
    })
    .unwrap();
    buffer
}

/// What is wrong with `buffer`, which must be wrong.
pub(crate) fn lie_found(buffer: &[u8]) -> FormatError {
    Value::unpack(buffer).expect_err("the lie went unnoticed")
}

/// A frame that is computed, not stored. Its period is a prime, so that no block, page or cache
/// line looks like the next, and a piece copied from or to the wrong place shows.
#[derive(Clone, Copy)]
pub(crate) struct Pattern {
    pub(crate) len: u64,
    pub(crate) seed: u64,
}

const PERIOD: usize = 65_521;

fn table() -> &'static [u8] {
    static TABLE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    TABLE.get_or_init(|| {
        let scrambled = |at: u64| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
        (0..PERIOD as u64).map(scrambled).collect()
    })
}

impl FrameSource for Pattern {
    fn len(&self) -> u64 {
        self.len
    }

    fn copy_range(&self, offset: u64, mut dst: &mut [u8], _stores: Stores) {
        let end = offset + dst.len() as u64;
        assert!(
            end <= self.len,
            "asked for bytes up to {end} of {}",
            self.len
        );
        let mut at = ((offset + self.seed) % PERIOD as u64) as usize;
        while !dst.is_empty() {
            let piece = dst.len().min(PERIOD - at);
            let (head, tail) = dst.split_at_mut(piece);
            head.copy_from_slice(&table()[at..at + piece]);
            dst = tail;
            at = 0;
        }
    }
}

/// Equality that compares floats by their bits.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    let all = |left: &[Value], right: &[Value]| {
        left.len() == right.len() && left.iter().zip(right).all(|(l, r)| same(l, r))
    };
    match (left, right) {
        (Value::Float(l), Value::Float(r)) => l.to_bits() == r.to_bits(),
        (Value::Complex(l, li), Value::Complex(r, ri)) => {
            (l.to_bits(), li.to_bits()) == (r.to_bits(), ri.to_bits())
        }
        (Value::List(l), Value::List(r))
        | (Value::Tuple(l), Value::Tuple(r))
        | (Value::Set(l), Value::Set(r))
        | (Value::FrozenSet(l), Value::FrozenSet(r)) => all(l, r),
        (Value::Map(l), Value::Map(r)) => {
            l.len() == r.len()
                && l.iter()
                    .zip(r)
                    .all(|((lk, lv), (rk, rv))| same(lk, rk) && same(lv, rv))
        }
        (Value::Named(l, lv), Value::Named(r, rv)) => l == r && same(lv, rv),
        (Value::Pickle(l, lv), Value::Pickle(r, rv)) => same(l, r) && same(lv, rv),
        (left, right) => left == right,
    }
}
