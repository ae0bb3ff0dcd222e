//! The caller's buffers: as many as values, large enough, writable, and not overlapping.

use pyo3::prelude::*;
use tq_codec::{Plan, Slot, write_batch};
use tq_proto::{Error, ErrorKind};

use super::encode::PlannedBatch;
use crate::errors::{OrRaise, raise, to_python};
use crate::fence::{OwnedBytes, PyFrame};

/// Checks the buffers for these sizes.
///
/// # Errors
/// Kind `InvalidArgument`, naming the first slot that is wrong.
pub(super) fn check(
    py: Python<'_>,
    buffers: &[Bound<'_, PyAny>],
    sizes: impl ExactSizeIterator<Item = u64>,
) -> PyResult<Vec<OwnedBytes>> {
    if buffers.len() != sizes.len() {
        let message = format!(
            "the allocator returned {} buffers for {} values; it must return one per value",
            buffers.len(),
            sizes.len()
        );
        return Err(raise(py, ErrorKind::InvalidArgument, message));
    }
    let mut slots = Vec::with_capacity(buffers.len());
    for (slot, (buffer, size)) in buffers.iter().zip(sizes).enumerate() {
        slots.push(check_one(py, slot, buffer, size)?);
    }
    check_overlap(py, &slots)?;
    Ok(slots)
}

fn check_one(
    py: Python<'_>,
    slot: usize,
    buffer: &Bound<'_, PyAny>,
    size: u64,
) -> PyResult<OwnedBytes> {
    let wrong = |what: String| {
        let error = Error::new(ErrorKind::InvalidArgument, what).with("slot", slot);
        to_python(py, &error)
    };
    let bytes = OwnedBytes::of_object(buffer).map_err(|error| {
        let type_name = super::encode::full_name(&buffer.get_type());
        wrong(format!("a {type_name} cannot be used as a buffer: {error}"))
    })?;
    if !bytes.is_writable() {
        return Err(wrong("the buffer is read-only".to_owned()));
    }
    if (bytes.len() as u64) < size {
        let found = bytes.len();
        return Err(wrong(format!(
            "a buffer of {found} bytes is too small: the value needs {size}"
        )));
    }
    // Only the part that is asked for counts, so that a caller may hand out generous neighbours.
    bytes
        .slice(0..size as usize)
        .ok_or_else(|| wrong(format!("the buffer has no {size} bytes")))
}

fn check_overlap(py: Python<'_>, slots: &[OwnedBytes]) -> PyResult<()> {
    // Slices of one region usually come in ascending order; then one pass is enough.
    let ranges: Vec<_> = slots.iter().map(OwnedBytes::addresses).collect();
    let mut order: Vec<usize> = (0..ranges.len())
        .filter(|slot| !ranges[*slot].is_empty())
        .collect();
    if !order.is_sorted_by_key(|slot| ranges[*slot].start) {
        order.sort_unstable_by_key(|slot| ranges[*slot].start);
    }
    for pair in order.windows(2) {
        if ranges[pair[0]].end > ranges[pair[1]].start {
            let (a, b) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
            let message = format!("the buffers of slots {a} and {b} overlap");
            return Err(raise(py, ErrorKind::InvalidArgument, message));
        }
    }
    Ok(())
}

/// Writes a planned batch into checked slots, detached from the interpreter.
pub(super) fn write(
    py: Python<'_>,
    batch: &PlannedBatch,
    slots: &mut [OwnedBytes],
    checksum: bool,
    workers: usize,
) -> PyResult<()> {
    let work: Option<Vec<Slot<'_, PyFrame>>> = batch
        .values
        .iter()
        .zip(slots.iter_mut())
        .map(|(value, slot)| {
            Some(Slot {
                plan: value.plan,
                header: &batch.headers[value.header.clone()],
                frames: &batch.frames[value.frames.clone()],
                buffer: slot.as_mut_slice()?,
                checksum,
                empty: false,
            })
        })
        .collect();
    let Some(work) = work else {
        return Err(raise(
            py,
            ErrorKind::InvalidArgument,
            "a buffer is read-only",
        ));
    };
    py.detach(|| write_batch(work, workers)).or_raise(py)
}

/// Writes one list of items, as `pack_into` does.
pub(super) fn write_items(
    py: Python<'_>,
    plan: Plan,
    header: &[u8],
    frames: &[PyFrame],
    target: &mut OwnedBytes,
    checksum: bool,
    empty: bool,
) -> PyResult<()> {
    let Some(buffer) = target.as_mut_slice() else {
        return Err(raise(
            py,
            ErrorKind::InvalidArgument,
            "pack_into: the target is read-only",
        ));
    };
    let slot = Slot {
        plan,
        header,
        frames,
        buffer,
        checksum,
        empty,
    };
    py.detach(|| tq_codec::write_value(slot)).or_raise(py)
}
