//! A stored column: the description of its rows, its groups, and how many rows of each are alive.

use std::num::NonZeroU32;
use std::sync::Arc;

use tq_arena::Extent;

use crate::groups::GroupStart;
use crate::rows::Rows;

/// Column of one put. Rows die when their sample is cleared or they are overwritten; the cells of
/// the index say which rows are alive, the column only counts them.
pub(crate) struct Column {
    rows: Arc<Rows>,
    groups: Vec<Group>,
    /// Rows per group, the last excepted, where they are equally many: most columns are cut so, and
    /// dividing finds a group much faster than searching.
    step: Option<NonZeroU32>,
    live: u32,
}

/// Consecutive rows in one extent; without an extent where they have no bytes, or none is alive.
pub(crate) struct Group {
    start: GroupStart,
    live: u32,
    extent: Option<Extent>,
}

impl Column {
    /// A column of `count` rows, all alive. Takes one of `extents` per group where it has bytes.
    pub(crate) fn new(
        rows: Rows,
        count: u32,
        starts: &[GroupStart],
        extents: &mut impl Iterator<Item = Extent>,
    ) -> Self {
        let filled = rows.bytes() > 0;
        let ends = starts.iter().skip(1).map(|start| start.row).chain([count]);
        let groups = starts.iter().zip(ends).map(|(start, end)| Group {
            start: *start,
            live: end - start.row,
            extent: if filled { extents.next() } else { None },
        });
        Self {
            groups: groups.collect(),
            rows: Arc::new(rows),
            step: even_step(starts, count),
            live: count,
        }
    }

    pub(crate) fn rows(&self) -> &Arc<Rows> {
        &self.rows
    }

    pub(crate) fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// Number of the group that holds `row`.
    pub(crate) fn group_of(&self, row: u32) -> usize {
        if let Some(step) = self.step {
            return (row / step) as usize;
        }
        self.groups
            .partition_point(|group| group.start.row <= row)
            .saturating_sub(1)
    }

    /// Whether `group` holds `row`.
    pub(crate) fn holds(&self, group: usize, row: u32) -> bool {
        let next = self
            .groups
            .get(group + 1)
            .map_or(u32::MAX, |group| group.start.row);
        self.groups
            .get(group)
            .is_some_and(|group| group.start.row <= row)
            && row < next
    }

    /// The byte of the column `group` starts at, and its extent while a row of it is alive.
    pub(crate) fn extent(&self, group: usize) -> Option<(u64, &Extent)> {
        let group = self.groups.get(group)?;
        Some((group.start.byte, group.extent.as_ref()?))
    }

    /// One row died. Returns the extent of its group where that was the last one.
    pub(crate) fn release(&mut self, row: u32) -> Option<Extent> {
        let number = self.group_of(row);
        let group = self.groups.get_mut(number)?;
        debug_assert!(group.live > 0, "row {row} was released twice");
        self.live = self.live.saturating_sub(1);
        group.live = group.live.saturating_sub(1);
        if group.live == 0 {
            group.extent.take()
        } else {
            None
        }
    }

    /// Whether no row is alive any more.
    pub(crate) fn is_dead(&self) -> bool {
        self.live == 0
    }
}

fn even_step(starts: &[GroupStart], count: u32) -> Option<NonZeroU32> {
    let step = starts.get(1).map_or(count, |second| second.row);
    let even = (0u64..)
        .zip(starts)
        .all(|(number, at)| u64::from(at.row) == number * u64::from(step));
    // The last group may be smaller, but not larger.
    let last = starts.last().map_or(0, |last| count - last.row);
    NonZeroU32::new(step).filter(|_| even && last <= step)
}

#[cfg(test)]
mod tests {
    use tq_proto::DType;

    use super::*;
    use crate::layout::ColumnLayout;

    #[test]
    fn only_equal_groups_are_found_by_dividing() {
        let step = |rows: &[u32], count| {
            let starts: Vec<_> = rows
                .iter()
                .map(|row| GroupStart { row: *row, byte: 0 })
                .collect();
            even_step(&starts, count).map(NonZeroU32::get)
        };
        assert_eq!(step(&[0], 7), Some(7));
        assert_eq!(step(&[0, 3, 6], 9), Some(3));
        assert_eq!(step(&[0, 3, 6], 7), Some(3));
        assert_eq!(
            step(&[0, 3, 6], 10),
            None,
            "a larger last group, by trailing empty rows"
        );
        assert_eq!(step(&[0, 3, 7], 9), None);
        assert_eq!(step(&[0], 0), None);
    }

    #[test]
    fn rows_find_their_group_and_the_column_dies_with_the_last() {
        let layout = ColumnLayout::Dense {
            dtype: DType::UInt8,
            row_shape: vec![0],
        };
        let rows = Rows::new(layout, 5).unwrap();
        let starts = [0, 2, 4].map(|row| GroupStart { row, byte: 0 });
        let mut column = Column::new(rows, 5, &starts, &mut std::iter::empty());
        for step in [column.step, None] {
            column.step = step;
            let found: Vec<_> = (0..5).map(|row| column.group_of(row)).collect();
            assert_eq!(found, [0, 0, 1, 1, 2]);
        }
        for (group, row, held) in [(0, 1, true), (0, 2, false), (2, 4, true), (3, 4, false)] {
            assert_eq!(column.holds(group, row), held, "group {group}, row {row}");
        }
        for row in [3, 0, 4, 1] {
            assert!(column.release(row).is_none());
            assert!(!column.is_dead());
        }
        column.release(2);
        assert!(column.is_dead());
    }
}
