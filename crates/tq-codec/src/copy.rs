//! Copies frames to where they belong, without a packed buffer around them: the columns of a batch.

use crate::frame::{FrameSource, Stores};
use crate::parallel;
use crate::write::MIN_BYTES_PER_THREAD;

/// A frame and where its bytes go; the lengths are equal.
pub struct Copy<'a, F> {
    /// What is copied.
    pub frame: &'a F,
    /// Where to: exactly the frame's length.
    pub to: &'a mut [u8],
}

struct Piece<'a, F> {
    frame: &'a F,
    offset: u64,
    to: &'a mut [u8],
}

/// Copies all frames with up to `workers` threads, split by bytes where it pays.
pub fn copy_frames<F: FrameSource>(copies: Vec<Copy<'_, F>>, workers: usize) {
    let total: u64 = copies.iter().map(|copy| copy.to.len() as u64).sum();
    let stores = Stores::of(total);
    let threads = (total / MIN_BYTES_PER_THREAD).min(workers as u64).max(1) as usize;
    if threads == 1 {
        for Copy { frame, to } in copies {
            let offset = 0;
            copy_piece(Piece { frame, offset, to }, stores);
        }
        return;
    }
    let shares = share_out(copies, total.div_ceil(threads as u64));
    parallel::drain(shares, threads, |share| {
        for piece in share {
            copy_piece(piece, stores);
        }
    });
}

fn copy_piece<F: FrameSource>(piece: Piece<'_, F>, stores: Stores) {
    if !piece.to.is_empty() {
        piece.frame.copy_range(piece.offset, piece.to, stores);
    }
}

fn share_out<F>(copies: Vec<Copy<'_, F>>, share: u64) -> Vec<Vec<Piece<'_, F>>> {
    let mut shares = vec![Vec::new()];
    let mut room = share;
    for Copy { frame, mut to } in copies {
        let mut offset = 0;
        while !to.is_empty() {
            if room == 0 {
                shares.push(Vec::new());
                room = share;
            }
            let cut = usize::try_from(room).unwrap_or(usize::MAX).min(to.len());
            let (head, tail) = to.split_at_mut(cut);
            if let Some(last) = shares.last_mut() {
                last.push(Piece {
                    frame,
                    offset,
                    to: head,
                });
            }
            offset += cut as u64;
            room -= cut as u64;
            to = tail;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parallel_copies_are_the_bytes_of_serial_ones() {
        let source: Vec<u8> = (0..9_000_001u32).map(|at| (at % 251) as u8).collect();
        let frames: Vec<&[u8]> = vec![
            &source[..5],
            &source[5..8_000_000],
            &[],
            &source[8_000_000..],
        ];
        for workers in [1, 2, 3] {
            let mut out = vec![0; source.len()];
            let mut rest = out.as_mut_slice();
            let mut copies = Vec::new();
            for frame in &frames {
                let (to, tail) = rest.split_at_mut((**frame).len());
                copies.push(Copy { frame, to });
                rest = tail;
            }
            copy_frames(copies, workers);
            assert!(out == source, "{workers} workers");
        }
    }
}
