//! Where each column of a put lies in the one range loaned for all of them.
//!
//! Columns follow each other in plan order, each from a multiple of 64 bytes. A large column has
//! its pages to itself: a private view of it then never meets a view of its neighbour, because
//! views are granted by whole pages.

use std::ops::Range;

use crate::groups::{GroupStart, group_starts};
use crate::rows::{ALIGN, Rows};

/// Bytes from which on a column gets pages of its own.
const LARGE: u64 = 64 * 1024;
const PAGE: u64 = 4096;

/// One column's place in the loaned range.
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) groups: Vec<GroupStart>,
}

/// The places of a put's columns, in plan order.
pub(crate) struct BatchLayout {
    pub(crate) places: Vec<Place>,
    /// Bytes to loan, a multiple of 64; zero where no column has any.
    pub(crate) bytes: u64,
}

impl BatchLayout {
    /// `None` where the columns exceed 64 bits together.
    pub(crate) fn new<'a>(columns: impl Iterator<Item = &'a Rows>) -> Option<Self> {
        let columns: Vec<_> = columns.collect();
        let payload = columns.iter().map(|rows| rows.bytes());
        let payload = payload.fold(0, u64::saturating_add);
        let mut end = 0u64;
        let mut places = Vec::with_capacity(columns.len());
        for rows in columns {
            let bytes = rows.bytes();
            let align = if bytes >= LARGE { PAGE } else { ALIGN };
            let offset = end.checked_next_multiple_of(align)?;
            end = offset.checked_add(bytes)?.checked_next_multiple_of(align)?;
            places.push(Place {
                offset,
                bytes,
                groups: group_starts(rows, payload),
            });
        }
        Some(Self { places, bytes: end })
    }

    /// Where the committed range is cut: one extent per group of each column that has bytes, in
    /// plan order. Padding belongs to the extent before it.
    pub(crate) fn cuts(&self) -> Vec<u64> {
        let filled = self.places.iter().filter(|place| place.bytes > 0);
        let starts =
            filled.flat_map(|place| place.groups.iter().map(|group| place.offset + group.byte));
        // The first group starts the range itself.
        starts.skip(1).collect()
    }

    /// The bytes between and behind the columns, which nobody writes.
    pub(crate) fn padding(&self) -> impl Iterator<Item = Range<u64>> {
        let starts = self
            .places
            .iter()
            .map(|place| place.offset)
            .skip(1)
            .chain([self.bytes]);
        self.places
            .iter()
            .zip(starts)
            .map(|(place, next)| place.offset + place.bytes..next)
    }
}

#[cfg(test)]
mod tests {
    use tq_proto::DType;

    use super::*;
    use crate::groups::GROUP_BYTES;
    use crate::layout::ColumnLayout;

    fn rows_of(sizes: &[u64]) -> Vec<Rows> {
        let column = |size: &u64| {
            let layout = ColumnLayout::Dense {
                dtype: DType::UInt8,
                row_shape: vec![*size],
            };
            Rows::new(layout, 1).unwrap()
        };
        sizes.iter().map(column).collect()
    }

    fn offsets(layout: &BatchLayout) -> Vec<u64> {
        layout.places.iter().map(|place| place.offset).collect()
    }

    #[test]
    fn small_columns_are_packed_and_large_ones_have_pages_to_themselves() {
        let layout = BatchLayout::new(rows_of(&[10, 0, 65, LARGE + 1, 3]).iter()).unwrap();
        assert_eq!(offsets(&layout), [0, 64, 64, PAGE, 2 * PAGE + LARGE]);
        assert_eq!(layout.bytes, 2 * PAGE + LARGE + 64);
        assert_eq!(layout.cuts(), [64, PAGE, 2 * PAGE + LARGE]);
        let padding: Vec<_> = layout.padding().filter(|gap| !gap.is_empty()).collect();
        let behind_large = PAGE + LARGE + 1..2 * PAGE + LARGE;
        let last = layout.bytes - 61..layout.bytes;
        assert_eq!(padding, [10..64, 129..PAGE, behind_large, last]);
    }

    #[test]
    fn columns_without_bytes_need_no_range_and_no_cut() {
        let layout = BatchLayout::new(rows_of(&[0, 0]).iter()).unwrap();
        assert_eq!(
            (layout.bytes, layout.cuts().len(), layout.padding().count()),
            (0, 0, 2)
        );
        assert!(layout.padding().all(|gap| gap.is_empty()));
    }

    #[test]
    fn groups_are_cut_relative_to_their_column() {
        let layout = ColumnLayout::Dense {
            dtype: DType::UInt8,
            row_shape: vec![GROUP_BYTES],
        };
        let mut rows = rows_of(&[1]);
        rows.push(Rows::new(layout, 3).unwrap());
        let layout = BatchLayout::new(rows.iter()).unwrap();
        assert_eq!(
            layout.cuts(),
            [PAGE, PAGE + GROUP_BYTES, PAGE + 2 * GROUP_BYTES]
        );
    }

    #[test]
    fn columns_beyond_64_bits_together_are_refused() {
        assert!(BatchLayout::new(rows_of(&[1 << 63, 1 << 63]).iter()).is_none());
        assert!(BatchLayout::new(rows_of(&[u64::MAX]).iter()).is_none());
    }
}
