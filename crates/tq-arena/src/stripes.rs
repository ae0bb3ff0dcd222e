//! A loan in parts, so that several threads or tasks can fill it at once.
//!
//! Each stripe is the exclusive owner of its bytes while it is out, and goes back where it came
//! from when it is dropped, filled or not. Only when all are back is there a loan again.

use std::sync::Arc;

use crate::piece::Piece;
use crate::shared::Place;
use crate::sync::{Mutex, lock};
use crate::{Loan, SegmentRange};

/// A loan that was cut into stripes. Clones are the same loan; when the last of them and the last
/// stripe are gone, the memory is given back.
#[derive(Debug, Clone)]
pub struct Stripes {
    cut: Arc<Cut>,
}

#[derive(Debug)]
struct Cut {
    /// Those that are not out; all `None` once the loan was joined. Held for one look or change.
    inside: Mutex<Vec<Option<Piece>>>,
    /// Bytes of the loan.
    len: u64,
    /// Bytes of every stripe but the last.
    stripe: u64,
    place: Place,
}

/// Some bytes of a loan: exclusive, writable, read by nobody.
#[derive(Debug)]
pub struct Stripe {
    /// `None` only on the way out of `drop`.
    piece: Option<Piece>,
    number: usize,
    len: u64,
    cut: Arc<Cut>,
}

impl Stripes {
    pub(crate) fn new(pieces: Vec<Piece>, len: u64, stripe: u64, place: Place) -> Self {
        Self {
            cut: Arc::new(Cut {
                inside: Mutex::new(pieces.into_iter().map(Some).collect()),
                len,
                stripe,
                place,
            }),
        }
    }

    /// How many stripes there are.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.cut.inside).len()
    }

    /// Bytes of the whole loan.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.cut.len
    }

    /// Whether the loan is of no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of every stripe but the last, which may be shorter.
    #[must_use]
    pub fn stripe_bytes(&self) -> u64 {
        self.cut.stripe
    }

    /// Stripe `number`, to write; `None` while it is out, where there is no such stripe, and after
    /// the loan was joined.
    #[must_use]
    pub fn take(&self, number: usize) -> Option<Stripe> {
        if self.cut.place.shared.birthplace.is_foreign() {
            return None;
        }
        let piece = lock(&self.cut.inside).get_mut(number)?.take()?;
        let start = number as u64 * self.cut.stripe;
        Some(Stripe {
            piece: Some(piece),
            number,
            len: self.cut.stripe.min(self.cut.len - start.min(self.cut.len)),
            cut: Arc::clone(&self.cut),
        })
    }

    /// The loan as a whole, where no stripe is out. Stripes cannot be taken any more then.
    #[must_use]
    pub fn join(&self) -> Option<Loan> {
        if self.cut.place.shared.birthplace.is_foreign() {
            return None;
        }
        let mut inside = lock(&self.cut.inside);
        if inside.iter().any(Option::is_none) {
            return None;
        }
        let piece = Piece::join(inside.iter_mut().filter_map(Option::take))?;
        Some(Loan::new(piece, self.cut.len, self.cut.place.clone()))
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        if self.place.shared.birthplace.is_foreign() {
            return std::mem::forget(self.place.clone());
        }
        // No stripe is out: each holds this alive.
        let inside = self.inside.get_mut();
        let inside = inside.unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(piece) = Piece::join(inside.drain(..).flatten()) {
            drop(Loan::new(piece, self.len, self.place.clone()));
        }
    }
}

impl Stripe {
    /// Which stripe it is, counted from 0.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it is of no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where its bytes lie.
    #[must_use]
    pub fn range(&self) -> SegmentRange {
        SegmentRange {
            segment: self.cut.place.segment.id(),
            offset: self.piece.as_ref().map_or(0, Piece::offset),
            len: self.len,
        }
    }

    /// The bytes, to write. What they hold before is unspecified.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        match &mut self.piece {
            Some(piece) => self.cut.place.segment.shared().bytes_mut(piece, self.len),
            None => &mut [],
        }
    }
}

impl Drop for Stripe {
    fn drop(&mut self) {
        if self.cut.place.shared.birthplace.is_foreign() {
            return std::mem::forget(Arc::clone(&self.cut));
        }
        if let Some(place) = lock(&self.cut.inside).get_mut(self.number) {
            *place = self.piece.take();
        }
    }
}
