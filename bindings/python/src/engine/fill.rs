//! The columns' bytes into the loaned memory, in parallel where it pays. Runs detached.

use tq_codec::{Copy, FrameSource, Slot, copy_frames, write_batch};
use tq_proto::{Error, ErrorKind, Result};

use super::source::ColumnSource;
use crate::fence::PyFrame;

/// Fills each of `columns` from its source.
pub(super) fn fill(
    sources: &[ColumnSource],
    columns: Vec<&mut [u8]>,
    threads: usize,
) -> Result<()> {
    let mut copies: Vec<Copy<'_, PyFrame>> = Vec::new();
    let mut slots: Vec<Slot<'_, PyFrame>> = Vec::new();
    for (source, column) in sources.iter().zip(columns) {
        if source.bytes() != column.len() as u64 {
            return Err(Error::new(
                ErrorKind::Internal,
                "a column was loaned another size than planned",
            ));
        }
        let mut rest = column;
        match source {
            ColumnSource::Frames(frames) => {
                for frame in frames {
                    let (to, tail) = rest.split_at_mut(frame.len() as usize);
                    copies.push(Copy { frame, to });
                    rest = tail;
                }
            }
            ColumnSource::Objects(batch, row_sizes) => {
                for (value, size) in batch.values.iter().zip(row_sizes) {
                    let (row, tail) = rest.split_at_mut(*size as usize);
                    let (buffer, behind) = row.split_at_mut(value.plan.total_len as usize);
                    behind.fill(0);
                    // No checksum: these bytes stay in this host's memory.
                    slots.push(batch.slot(value, buffer, false));
                    rest = tail;
                }
            }
        }
    }
    copy_frames(copies, threads);
    write_batch(slots, threads)?;
    Ok(())
}
