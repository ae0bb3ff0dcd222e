//! Where a frame's bytes come from.

/// Bytes from which on a call's copies go past the cache. Measured (32 MiB of last-level cache, copying
/// and reading once): streamed stores copy at 1.1 to 1.8 times the speed at any size, and what they
/// wrote is read at half the speed below 16 MiB; the two are even at about 8 MiB.
const STREAMED_FROM: u64 = 8 << 20;

/// Where the copied bytes will be looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stores {
    /// In the cache: they are few, or are read at once.
    Cached,
    /// In memory: together they are more than the cache is for.
    Streamed,
}

impl Stores {
    /// What suits a call that copies `bytes` in all.
    #[must_use]
    pub fn of(bytes: u64) -> Self {
        if bytes < STREAMED_FROM {
            Self::Cached
        } else {
            Self::Streamed
        }
    }
}

/// Bytes of one frame, readable in ranges and from any thread, so that the copy can be split and
/// checksummed block by block.
pub trait FrameSource: Sync {
    /// Bytes of the frame.
    fn len(&self) -> u64;

    /// Whether the frame has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the frame's bytes `[offset, offset + dst.len())` to `dst`. The writer asks only for
    /// ranges inside the frame. `stores` is advice; the bytes are the same.
    fn copy_range(&self, offset: u64, dst: &mut [u8], stores: Stores);
}

impl FrameSource for &[u8] {
    fn len(&self) -> u64 {
        (**self).len() as u64
    }

    fn copy_range(&self, offset: u64, dst: &mut [u8], _stores: Stores) {
        let start = offset as usize;
        dst.copy_from_slice(&self[start..start + dst.len()]);
    }
}

/// Walks a strided tensor in row-major order as runs of consecutive bytes.
///
/// Trailing dimensions that lie back to back are merged, so that a tensor whose rows are contiguous
/// costs one run per row, and one whose elements are scattered one run per element.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Strided {
    /// Dimensions outside the runs with their strides in bytes, outermost first.
    outer: Vec<(u64, i64)>,
    /// Bytes of one run.
    run: u64,
    /// Number of runs.
    runs: u64,
}

impl Strided {
    /// Describes a tensor of `shape`, with `strides` in bytes and elements of `item_size` bytes.
    /// `None` where its size exceeds 64 bits.
    #[must_use]
    pub fn new(shape: &[u64], strides: &[i64], item_size: u64) -> Option<Self> {
        if shape.contains(&0) {
            return Some(Self {
                outer: Vec::new(),
                run: 0,
                runs: 0,
            });
        }
        let mut run = item_size;
        let mut outer = Vec::new();
        for (dim, stride) in shape.iter().zip(strides).rev() {
            if *dim == 1 {
                continue;
            }
            if outer.is_empty() && i64::try_from(run).is_ok_and(|run| *stride == run) {
                run = run.checked_mul(*dim)?;
            } else {
                outer.push((*dim, *stride));
            }
        }
        outer.reverse();
        let runs = outer
            .iter()
            .try_fold(1u64, |runs, (dim, _)| runs.checked_mul(*dim))?;
        runs.checked_mul(run)?;
        Some(Self { outer, run, runs })
    }

    /// Bytes of the whole tensor.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.run * self.runs
    }

    /// Whether the tensor has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the tensor is one run.
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        self.runs <= 1
    }

    /// Calls `copy(source offset in bytes, destination range)` for each piece of the row-major
    /// bytes `[offset, offset + len)`. The source offset is relative to the first element and may
    /// be negative (negative strides).
    pub fn for_each_piece(&self, offset: u64, len: usize, mut copy: impl FnMut(i64, usize, usize)) {
        if len == 0 {
            return;
        }
        let mut within = offset % self.run;
        let mut position = self.position(offset / self.run);
        let mut source: i64 = position
            .iter()
            .zip(&self.outer)
            .map(|(at, (_, stride))| *at as i64 * stride)
            .sum();
        let mut written = 0;
        loop {
            let piece = usize::try_from(self.run - within)
                .unwrap_or(usize::MAX)
                .min(len - written);
            copy(source + within as i64, written, piece);
            written += piece;
            if written == len {
                return;
            }
            within = 0;
            // Odometer: the innermost dimension first.
            for (at, (dim, stride)) in position.iter_mut().zip(&self.outer).rev() {
                *at += 1;
                source += stride;
                if *at < *dim {
                    break;
                }
                source -= *dim as i64 * stride;
                *at = 0;
            }
        }
    }

    fn position(&self, mut run: u64) -> Vec<u64> {
        let mut position = vec![0; self.outer.len()];
        for (at, (dim, _)) in position.iter_mut().zip(&self.outer).rev() {
            *at = run % dim;
            run /= dim;
        }
        position
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gather(strided: &Strided, source: &[u8], first: i64, offset: u64, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        strided.for_each_piece(offset, len, |from, to, piece| {
            let from = usize::try_from(first + from).unwrap();
            out[to..to + piece].copy_from_slice(&source[from..from + piece]);
        });
        out
    }

    #[test]
    fn contiguous_rows_merge_into_one_run() {
        let strided = Strided::new(&[4, 3, 2], &[24, 8, 4], 4).unwrap();
        assert!(strided.is_contiguous());
        assert_eq!(strided.len(), 96);
    }

    #[test]
    fn a_transposed_matrix_reads_column_by_column() {
        let source: Vec<u8> = (0..6).collect();
        let strided = Strided::new(&[3, 2], &[1, 3], 1).unwrap();
        assert_eq!(gather(&strided, &source, 0, 0, 6), [0, 3, 1, 4, 2, 5]);
    }

    #[test]
    fn negative_strides_read_backwards() {
        let source: Vec<u8> = (0..4).collect();
        let strided = Strided::new(&[4], &[-1], 1).unwrap();
        assert_eq!(gather(&strided, &source, 3, 0, 4), [3, 2, 1, 0]);
    }

    #[test]
    fn an_empty_tensor_has_no_bytes() {
        let strided = Strided::new(&[u64::MAX, 0], &[1, 1], 8).unwrap();
        assert!(strided.is_empty());
        strided.for_each_piece(0, 0, |_, _, _| panic!("nothing to copy"));
    }

    proptest! {
        #[test]
        fn any_range_of_any_permuted_view_matches_element_by_element(
            dims in prop::collection::vec(1u64..5, 1..4),
            order in any::<prop::sample::Index>(),
            cut in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        ) {
            const ITEM: usize = 2;
            let count: u64 = dims.iter().product();
            let source: Vec<u8> = (0..count * ITEM as u64).map(|byte| byte as u8).collect();
            let mut strides = vec![0i64; dims.len()];
            let mut step = ITEM as i64;
            for axis in (0..dims.len()).rev() {
                strides[axis] = step;
                step *= dims[axis] as i64;
            }
            let mut axes: Vec<usize> = (0..dims.len()).collect();
            axes.rotate_left(order.index(dims.len()));
            let shape: Vec<u64> = axes.iter().map(|axis| dims[*axis]).collect();
            let view_strides: Vec<i64> = axes.iter().map(|axis| strides[*axis]).collect();

            let mut naive = Vec::new();
            for element in 0..count {
                let mut rest = element;
                let mut at = 0i64;
                for axis in (0..shape.len()).rev() {
                    at += (rest % shape[axis]) as i64 * view_strides[axis];
                    rest /= shape[axis];
                }
                naive.extend_from_slice(&source[at as usize..at as usize + ITEM]);
            }
            let strided = Strided::new(&shape, &view_strides, ITEM as u64).unwrap();
            prop_assert_eq!(strided.len() as usize, naive.len());
            let (a, b) = (cut.0.index(naive.len() + 1), cut.1.index(naive.len() + 1));
            let (from, to) = (a.min(b), a.max(b));
            prop_assert_eq!(gather(&strided, &source, 0, from as u64, to - from), &naive[from..to]);
        }
    }
}
