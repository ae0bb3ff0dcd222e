//! Exclusive, writable memory, and its commit.

use std::sync::Arc;

use crate::error::CommitError;
use crate::keeper::Keeper;
use crate::ledger::SMALL_ALIGN;
use crate::piece::Piece;
use crate::shared::Place;
use crate::stripes::Stripes;
use crate::{Extent, SegmentRange};

/// Memory to fill: exclusive, writable, read by nobody. Dropping it gives it back.
///
/// What it holds before it is written is unspecified: zeros, or what lay there before.
#[derive(Debug)]
pub struct Loan {
    /// `None` only on the way out of [`Loan::commit`].
    piece: Option<Piece>,
    len: u64,
    place: Place,
}

impl Loan {
    pub(crate) fn new(piece: Piece, len: u64, place: Place) -> Self {
        Self {
            piece: Some(piece),
            len,
            place,
        }
    }

    /// Cuts the loan into stripes of `bytes` bytes (the last may be shorter), so that several
    /// threads or tasks can fill it at once; see [`Stripes`].
    #[must_use]
    pub fn stripes(mut self, bytes: u64) -> Stripes {
        let cuts: Vec<u64> = (1..)
            .map_while(|number: u64| number.checked_mul(bytes.max(1)))
            .take_while(|cut| *cut < self.len)
            .collect();
        let pieces = self.piece.take().map(|piece| piece.split(&cuts));
        Stripes::new(
            pieces.unwrap_or_default(),
            self.len,
            bytes.max(1),
            self.place.clone(),
        )
    }

    /// Bytes asked for.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no bytes were asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where its bytes lie.
    ///
    /// Another process that was told may write them in its own mapping of the segment while this
    /// loan lives and no slice of it is borrowed.
    #[must_use]
    pub fn range(&self) -> SegmentRange {
        let piece = self.piece.as_ref();
        SegmentRange {
            segment: self.place.segment.id(),
            offset: piece.map_or(0, Piece::offset),
            len: self.len,
        }
    }

    /// The bytes, to write.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        match &mut self.piece {
            Some(piece) => self.place.segment.shared().bytes_mut(piece, self.len),
            None => &mut [],
        }
    }

    /// Ends writing and makes the bytes readable, as one extent more than there are cuts. Each
    /// extent is freed by itself. What nobody wrote is readable as whatever lay there.
    ///
    /// # Errors
    /// [`CommitError::BadCut`] when the cuts (bytes from the start of the loan) do not ascend, are
    /// no multiples of 64 or not inside the loan. The loan is given back then.
    pub fn commit(mut self, cuts: &[u64]) -> Result<Vec<Extent>, CommitError> {
        let mut floor = 0;
        for (position, &cut) in cuts.iter().enumerate() {
            if cut <= floor || cut >= self.len || cut % SMALL_ALIGN != 0 {
                return Err(CommitError::BadCut {
                    position,
                    found: cut,
                    len: self.len,
                });
            }
            floor = cut;
        }
        let registry = &self.place.shared.registry;
        let Some(piece) = self.piece.take() else {
            return Ok(Vec::new());
        };
        let holds = registry.commit(piece, self.len, cuts, &self.place);
        Ok(holds.into_iter().map(Extent::new).collect())
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(piece) = self.piece.take() else {
            return;
        };
        let shared = &self.place.shared;
        if shared.birthplace.is_foreign() {
            return std::mem::forget(Arc::clone(shared));
        }
        if shared.registry.give_back(&piece) {
            Keeper::ask_care(shared);
        }
    }
}
