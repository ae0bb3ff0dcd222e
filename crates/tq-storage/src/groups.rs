//! Where a column is cut into groups: consecutive rows that share one extent and are freed with
//! their last live row.
//!
//! A cut needs a row boundary on a multiple of 64 bytes. Groups are large enough that their number
//! stays small beside the rows, and small enough that clearing a part of a batch frees memory.

use crate::rows::{ALIGN, Rows};

/// Bytes a group has at least, the last of a column excepted.
pub(crate) const GROUP_BYTES: u64 = 256 * 1024;
/// Groups of one batch are at most about this many, whatever the number of its columns, so that a
/// put commits, and a read leases, few extents.
const MAX_GROUPS: u64 = 1024;

/// First row of a group and the byte of the column it starts at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GroupStart {
    pub(crate) row: u32,
    pub(crate) byte: u64,
}

/// Starts of the groups of a column in a batch of `batch_bytes`; never empty, the first is row 0 at
/// byte 0.
pub(crate) fn group_starts(rows: &Rows, batch_bytes: u64) -> Vec<GroupStart> {
    let target = GROUP_BYTES.max(batch_bytes / MAX_GROUPS);
    let mut starts = vec![GroupStart { row: 0, byte: 0 }];
    match rows {
        Rows::Dense {
            row_bytes, rows, ..
        } => cut_evenly(*row_bytes, *rows, target, &mut starts),
        Rows::Jagged { starts: bytes, .. } | Rows::Object { starts: bytes } => {
            cut_along(bytes, target, &mut starts);
        }
    }
    starts
}

/// Rows of one size: every `step` rows reach the target on an aligned byte.
fn cut_evenly(row_bytes: u64, rows: u64, target: u64, starts: &mut Vec<GroupStart>) {
    if row_bytes == 0 {
        return;
    }
    // Row sizes share a power of two with the alignment; the rest must come from the row count.
    let aligned_rows = ALIGN >> row_bytes.trailing_zeros().min(ALIGN.trailing_zeros());
    let step = target.div_ceil(row_bytes).next_multiple_of(aligned_rows);
    let mut row = step;
    while row < rows {
        starts.push(GroupStart {
            row: row as u32,
            byte: row * row_bytes,
        });
        row += step;
    }
}

/// Rows of any sizes: cut at the first aligned boundary past the target, but not behind the last
/// byte, where only empty rows could follow.
fn cut_along(bytes: &[u64], target: u64, starts: &mut Vec<GroupStart>) {
    let total = bytes.last().copied().unwrap_or(0);
    let mut start = 0;
    for (row, byte) in bytes.iter().copied().enumerate() {
        if byte == total {
            break;
        }
        if byte - start >= target && byte.is_multiple_of(ALIGN) {
            starts.push(GroupStart {
                row: row as u32,
                byte,
            });
            start = byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tq_proto::DType;

    use super::*;
    use tq_proto::RowShapes;

    use crate::layout::ColumnLayout;

    fn dense(row_bytes: u64, rows: usize) -> Rows {
        let layout = ColumnLayout::Dense {
            dtype: DType::UInt8,
            row_shape: vec![row_bytes],
        };
        Rows::new(layout, rows).unwrap()
    }

    fn jagged(sizes: Vec<u64>) -> Rows {
        let row_shapes = RowShapes::new(1, sizes.len(), sizes).unwrap();
        let rows = row_shapes.rows();
        Rows::new(
            ColumnLayout::Jagged {
                dtype: DType::UInt8,
                row_shapes,
            },
            rows,
        )
        .unwrap()
    }

    #[test]
    fn a_batch_of_many_columns_has_no_more_groups_than_one_of_few() {
        let column = dense(4096, 1 << 13);
        let alone = group_starts(&column, column.bytes()).len();
        let among_many = group_starts(&column, 32 * column.bytes()).len();
        assert_eq!((alone, among_many), (128, 32));
    }

    #[test]
    fn small_and_empty_columns_are_one_group() {
        for rows in [
            dense(4, 1000),
            dense(0, 1000),
            dense(8, 0),
            jagged(vec![0, 5, 0]),
        ] {
            assert_eq!(
                group_starts(&rows, rows.bytes()),
                [GroupStart { row: 0, byte: 0 }]
            );
        }
    }

    #[test]
    fn dense_rows_are_cut_where_bytes_are_aligned() {
        // 100 bytes are aligned every 16 rows; 2,622 rows pass 256 KiB, 2,624 are aligned.
        let starts = group_starts(&dense(100, 6000), 0);
        let rows: Vec<_> = starts.iter().map(|start| start.row).collect();
        assert_eq!(rows, [0, 2624, 5248]);
    }

    #[test]
    fn empty_rows_at_the_end_stay_in_the_last_group() {
        let starts = group_starts(&jagged(vec![GROUP_BYTES, GROUP_BYTES, 0, 0]), 0);
        assert_eq!(starts.len(), 2);
        assert_eq!(
            starts[1],
            GroupStart {
                row: 1,
                byte: GROUP_BYTES
            }
        );
    }

    #[test]
    fn a_large_column_has_a_bounded_number_of_groups() {
        assert_eq!(
            group_starts(&dense(4096, 1 << 20), 4096 << 20).len(),
            MAX_GROUPS as usize
        );
    }

    proptest! {
        #[test]
        fn groups_are_large_aligned_and_start_at_their_row(
            sizes in proptest::collection::vec(
                prop_oneof![Just(0), 0u64..200_000, (0u64..4000).prop_map(|n| n * 64)], 0..60),
        ) {
            let rows = jagged(sizes);
            let starts = group_starts(&rows, rows.bytes());
            prop_assert_eq!(starts[0], GroupStart { row: 0, byte: 0 });
            for pair in starts.windows(2) {
                prop_assert!(pair[1].byte - pair[0].byte >= GROUP_BYTES);
                prop_assert!(pair[1].byte.is_multiple_of(ALIGN));
                prop_assert!(pair[1].byte < rows.bytes());
                prop_assert_eq!(rows.range(pair[1].row).start, pair[1].byte);
            }
        }

        #[test]
        fn even_cuts_equal_cuts_along_the_rows(row_bytes in 1u64..5000, rows in 0usize..3000) {
            let even = group_starts(&dense(row_bytes, rows), 0);
            let along = group_starts(&jagged(vec![row_bytes; rows]), 0);
            prop_assert_eq!(even, along);
        }
    }
}
