//! The caller's buffers: as many as values, large enough, writable, and not overlapping.

use std::ops::Range;

use pyo3::prelude::*;
use tq_codec::{Plan, Slot, write_batch};
use tq_proto::{Error, ErrorKind};

use super::encode::PlannedBatch;
use crate::errors::{OrRaise, raise, to_python};
use crate::fence::{OwnedBytes, PyFrame};

/// Checks the buffers for values of these sizes and frames.
///
/// # Errors
/// Kind `InvalidArgument`, naming the first slot that is wrong.
pub(super) fn check(
    py: Python<'_>,
    buffers: &[Bound<'_, PyAny>],
    sizes: impl ExactSizeIterator<Item = u64>,
    frames: &[PyFrame],
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
    check_values(py, &places(py, &slots)?, frames)?;
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

/// Address ranges of the slots that are not empty, ascending, with their numbers.
fn places(py: Python<'_>, slots: &[OwnedBytes]) -> PyResult<Vec<(Range<usize>, usize)>> {
    let mut places: Vec<_> = slots
        .iter()
        .enumerate()
        .map(|(slot, bytes)| (bytes.addresses(), slot))
        .filter(|(place, _)| !place.is_empty())
        .collect();
    // Slices of one region usually come in ascending order already.
    if !places.is_sorted_by_key(|(place, _)| place.start) {
        places.sort_unstable_by_key(|(place, _)| place.start);
    }
    for pair in places.windows(2) {
        let ((left, a), (right, b)) = (&pair[0], &pair[1]);
        if left.end > right.start {
            let message = format!("the buffers of slots {} and {} overlap", a.min(b), a.max(b));
            return Err(raise(py, ErrorKind::InvalidArgument, message));
        }
    }
    Ok(places)
}

/// No value may lie where another is about to be written.
fn check_values(
    py: Python<'_>,
    places: &[(Range<usize>, usize)],
    frames: &[PyFrame],
) -> PyResult<()> {
    let (Some((lowest, _)), Some((highest, _))) = (places.first(), places.last()) else {
        return Ok(());
    };
    for frame in frames {
        let read = frame.addresses();
        if read.is_empty() || read.end <= lowest.start || highest.end <= read.start {
            continue;
        }
        let next = places.partition_point(|(place, _)| place.end <= read.start);
        if let Some((place, slot)) = places.get(next)
            && place.start < read.end
        {
            let error = Error::new(
                ErrorKind::InvalidArgument,
                "the buffer holds a part of the values that are to be encoded",
            );
            return Err(to_python(py, &error.with("slot", slot)));
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
        .map(|(value, slot)| Some(batch.slot(value, slot.as_mut_slice()?, checksum)))
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
