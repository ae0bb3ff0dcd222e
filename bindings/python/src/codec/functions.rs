//! What `transfer_queue.utils.serial_utils` calls.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMemoryView};
use tq_codec::header::FrameLengths;
use tq_codec::{HeaderReader, PackedView, Plan};
use tq_proto::ErrorKind;

use super::decode::{Frames, build, unpack};
use super::encode::PlannedBatch;
use super::slots;
use crate::errors::{OrRaise, raise};
use crate::fence::{ExportedBytes, OwnedBytes, PyFrame};

/// Header and frames of a value, without a copy of the frames.
#[pyfunction]
pub(crate) fn encode<'py>(
    value: &Bound<'py, PyAny>,
    allow_pickle: bool,
) -> PyResult<Bound<'py, PyList>> {
    let py = value.py();
    let mut batch = PlannedBatch::default();
    batch.add(value, allow_pickle)?;
    let items = PyList::empty(py);
    items.append(PyBytes::new(py, &batch.headers))?;
    for frame in batch.frames {
        items.append(memory_view(py, frame.into_owned_bytes())?)?;
    }
    Ok(items)
}

/// The value of a header and its frames.
#[pyfunction]
pub(crate) fn decode<'py>(
    py: Python<'py>,
    items: Vec<Bound<'py, PyAny>>,
    allow_pickle: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let buffers: Vec<OwnedBytes> = items
        .iter()
        .map(OwnedBytes::of_object)
        .collect::<PyResult<_>>()?;
    let Some((header, frames)) = buffers.split_first() else {
        return Err(raise(
            py,
            ErrorKind::Corrupt,
            "decode: an empty list of frames holds no value",
        ));
    };
    let lengths: Vec<u64> = frames.iter().map(|frame| frame.len() as u64).collect();
    let reader = HeaderReader::new(header.as_slice(py), FrameLengths::Given(&lengths));
    build(py, reader, &Frames::Given(frames), allow_pickle)
}

/// Packs values into buffers of the caller's allocator; see `serial_utils.batch_encode_into`.
#[pyfunction]
pub(crate) fn batch_encode_into<'py>(
    py: Python<'py>,
    values: Vec<Bound<'py, PyAny>>,
    allocate: &Bound<'py, PyAny>,
    workers: usize,
    checksum: bool,
    allow_pickle: bool,
) -> PyResult<(Bound<'py, PyAny>, Vec<u64>)> {
    let mut batch = PlannedBatch::default();
    for value in &values {
        batch.add(value, allow_pickle)?;
    }
    let sizes: Vec<u64> = batch
        .values
        .iter()
        .map(|value| value.plan.total_len)
        .collect();
    let returned = allocate.call1((PyList::new(py, &sizes)?,))?;
    let buffers: Vec<Bound<'py, PyAny>> = returned.try_iter()?.collect::<PyResult<_>>()?;
    let mut slots = slots::check(py, &buffers, sizes.iter().copied(), &batch.frames)?;
    slots::write(py, &batch, &mut slots, checksum, workers)?;
    Ok((returned, sizes))
}

/// The values of packed buffers, as views over them.
#[pyfunction]
pub(crate) fn batch_decode_from<'py>(
    py: Python<'py>,
    buffers: Vec<Bound<'py, PyAny>>,
    allow_pickle: bool,
) -> PyResult<Bound<'py, PyList>> {
    let values = PyList::empty(py);
    for buffer in &buffers {
        values.append(unpack(py, &OwnedBytes::of_object(buffer)?, allow_pickle)?)?;
    }
    Ok(values)
}

fn memory_view(py: Python<'_>, bytes: OwnedBytes) -> PyResult<Bound<'_, PyMemoryView>> {
    PyMemoryView::from(Bound::new(py, ExportedBytes(bytes))?.as_any())
}

/// Items as header (the first) and frames (the others), and their plan.
fn plan_items(py: Python<'_>, items: &[Bound<'_, PyAny>]) -> PyResult<(Vec<OwnedBytes>, Plan)> {
    let buffers: Vec<OwnedBytes> = items
        .iter()
        .map(OwnedBytes::of_object)
        .collect::<PyResult<_>>()?;
    let header_len = buffers.first().map_or(0, OwnedBytes::len);
    let frames = buffers.get(1..).unwrap_or_default();
    let plan = Plan::new(
        header_len as u64,
        frames.iter().map(|frame| frame.len() as u64),
    )
    .or_raise(py)?;
    Ok((buffers, plan))
}

/// Bytes that [`pack_into`] writes for these items.
#[pyfunction]
pub(crate) fn calc_packed_size(py: Python<'_>, items: Vec<Bound<'_, PyAny>>) -> PyResult<u64> {
    Ok(plan_items(py, &items)?.1.total_len)
}

/// Packs items into one buffer; returns the bytes written.
#[pyfunction]
pub(crate) fn pack_into(
    py: Python<'_>,
    target: &Bound<'_, PyAny>,
    items: Vec<Bound<'_, PyAny>>,
    checksum: bool,
) -> PyResult<u64> {
    let (buffers, plan) = plan_items(py, &items)?;
    let mut target = OwnedBytes::of_object(target)?;
    let (found, needed) = (target.len() as u64, plan.total_len);
    if found < needed {
        let message =
            format!("pack_into: a target of {found} bytes is too small, the items need {needed}");
        return Err(raise(py, ErrorKind::InvalidArgument, message));
    }
    let source_overlaps = buffers.iter().any(|item| {
        let (item, target) = (item.addresses(), target.addresses());
        !item.is_empty() && item.start < target.end && target.start < item.end
    });
    if source_overlaps {
        return Err(raise(
            py,
            ErrorKind::InvalidArgument,
            "pack_into: an item lies inside the target",
        ));
    }
    let header = buffers
        .first()
        .map_or_else(Vec::new, |header| header.as_slice(py).to_vec());
    let empty = buffers.is_empty();
    let frames: Vec<PyFrame> = buffers.into_iter().skip(1).map(PyFrame::of_owned).collect();
    slots::write_items(py, plan, &header, &frames, &mut target, checksum, empty)?;
    Ok(needed)
}

/// The items of a packed buffer, as memoryviews over it.
#[pyfunction]
pub(crate) fn unpack_from<'py>(source: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    let py = source.py();
    let bytes = OwnedBytes::of_object(source)?;
    let slice = bytes.as_slice(py);
    let view = PackedView::parse(slice).or_raise(py)?;
    view.verify_frames(slice).or_raise(py)?;
    let items = PyList::empty(py);
    if view.is_empty() {
        return Ok(items);
    }
    let ranges = (0..view.frame_count()).filter_map(|frame| view.frame_range(frame));
    for range in std::iter::once(view.header_range()).chain(ranges) {
        let Some(item) = bytes.slice(range) else {
            continue;
        };
        items.append(memory_view(py, item)?)?;
    }
    Ok(items)
}

/// For tests: talk to torch the way a torch without the DLPack exchange table does.
#[pyfunction]
pub(crate) fn use_dlpack_capsules_only(only: bool) {
    crate::fence::dlpack::use_capsules_only(only);
}
