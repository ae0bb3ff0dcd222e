//! Strings, `bytes` and `bytearray` of packed buffers, made ahead of the values that hold them. Python
//! keeps their content in memory of its own, most of it never touched before: that is what reading
//! them costs, and it is done here by several threads, beside the interpreter.

use pyo3::prelude::*;
use tq_codec::{Node, PackedView, Text, parallel};

use crate::fence::{Content, UNFILLED_FROM, Unfilled};

/// Objects for frames of one packed buffer, by their numbers, ascending.
#[derive(Default)]
pub(crate) struct Early(Vec<(u32, Py<PyAny>)>);

impl Early {
    /// The object for a frame, where there is one.
    pub(super) fn get<'py>(&self, py: Python<'py>, frame: u32) -> Option<Bound<'py, PyAny>> {
        let at = self.0.binary_search_by_key(&frame, |(frame, _)| *frame);
        Some(self.0[at.ok()?].1.bind(py).clone())
    }
}

/// From so many bytes on, several threads gain more than starting them costs.
pub(crate) const EARLY_FROM: usize = 4 << 20;

/// So many of a batch are looked at to see whether it has such objects at all.
const LOOKED_AT: usize = 8;

/// Jobs for each thread, so that none has to wait for another's last one.
const JOBS: usize = 16;

/// The objects of each of `packed`, with up to `threads` threads; nothing where a look at some of them
/// finds none. A buffer that is wrong has none either: building its value tells what is wrong.
///
/// # Errors
/// `MemoryError`.
pub(crate) fn make(py: Python<'_>, packed: &[&[u8]], threads: usize) -> PyResult<Vec<Early>> {
    let step = packed.len().div_ceil(LOOKED_AT).max(1);
    let mut looked_at = packed.iter().step_by(step);
    if looked_at.all(|packed| frames(packed).is_none_or(|frames| frames.is_empty())) {
        return Ok(Vec::new());
    }
    let found = py.detach(|| find(packed, threads));
    let mut unfilled = Vec::with_capacity(found.len());
    for contents in found {
        let mut objects = Vec::with_capacity(contents.len());
        for (frame, content) in contents {
            objects.push((frame, Unfilled::new(py, content)?));
        }
        unfilled.push(objects);
    }
    py.detach(|| {
        let mut objects: Vec<_> = unfilled.iter_mut().flatten().collect();
        let each = each_job(objects.len(), threads);
        let jobs = objects.chunks_mut(each);
        parallel::drain(jobs.collect(), threads, |job| {
            for (_, object) in job {
                object.fill();
            }
        });
    });
    let finish = |(frame, object): (u32, Unfilled<'_>)| (frame, object.finish());
    let early = |objects: Vec<_>| Early(objects.into_iter().map(finish).collect());
    Ok(unfilled.into_iter().map(early).collect())
}

/// What each of `packed` has in frames that Python keeps in memory of its own.
fn find<'a>(packed: &[&'a [u8]], threads: usize) -> Vec<Vec<(u32, Content<'a>)>> {
    let mut found: Vec<Vec<(u32, Content<'a>)>> = Vec::new();
    found.resize_with(packed.len(), Vec::new);
    let each = each_job(packed.len(), threads);
    let jobs = packed.chunks(each).zip(found.chunks_mut(each)).collect();
    parallel::drain(jobs, threads, |(packed, found)| {
        for (packed, found) in packed.iter().zip(found) {
            *found = contents(packed).unwrap_or_default();
        }
    });
    found
}

fn each_job(count: usize, threads: usize) -> usize {
    count.div_ceil(threads * JOBS).max(1)
}

/// `None` where the packed buffer is wrong.
fn contents(packed: &[u8]) -> Option<Vec<(u32, Content<'_>)>> {
    let content = |(frame, node, bytes)| {
        let content = match node {
            Node::FrameText(_) => Content::Text(Text::of(bytes)?),
            Node::FrameByteArray(_) => Content::ByteArray(bytes),
            _ => Content::Bytes(bytes),
        };
        Some((frame, content))
    };
    frames(packed)?.into_iter().map(content).collect()
}

/// The frames that are large enough: their numbers, what they hold, and their bytes.
fn frames(packed: &[u8]) -> Option<Vec<(u32, Node<'_>, &[u8])>> {
    let view = PackedView::parse(packed).ok()?;
    let mut frames = Vec::new();
    if view.frame_count() == 0 {
        return Some(frames);
    }
    let mut reader = view.reader();
    while let Some(node) = reader.step().ok()? {
        if let Node::FrameText(frame) | Node::FrameBytes(frame) | Node::FrameByteArray(frame) = node
        {
            let bytes = packed.get(view.frame_range(frame)?)?;
            if bytes.len() >= UNFILLED_FROM {
                frames.push((frame, node, bytes));
            }
        }
    }
    Some(frames)
}
