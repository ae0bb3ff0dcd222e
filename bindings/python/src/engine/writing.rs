//! Objects of a storage backend, written from their start on: columns, padding, packed buffers; and the
//! checksums of their blocks along with it.

use tq_codec::checksum::BlockHasher;
use tq_codec::{FrameSource, Stores, ValueStream};
use tq_engine::layout::{ObjectLayout, ObjectPiece};
use tq_storage::copy_bytes;

use super::source::ColumnSource;

/// What is written at a time, so that it is still in the cache when its checksum is computed. Divides
/// the blocks of a parcel, which are powers of two.
const STEP: usize = 64 << 10;

/// A column to be written.
pub(super) struct Source {
    source: ColumnSource,
    /// Where each frame starts in the column; of columns of frames only.
    starts: Vec<u64>,
}

impl Source {
    pub(super) fn new(source: ColumnSource) -> Self {
        let starts = match &source {
            ColumnSource::Frames(frames) => frames
                .iter()
                .scan(0, |end, frame| {
                    let start = *end;
                    *end += frame.len();
                    Some(start)
                })
                .collect(),
            ColumnSource::Objects(..) => Vec::new(),
        };
        Self { source, starts }
    }
}

/// Writes an object to `out`; returns the checksums of its blocks.
pub(super) fn write_object(
    sources: &[Source],
    object: &ObjectLayout,
    block: u64,
    out: &mut [u8],
    stores: Stores,
) -> Vec<u64> {
    let mut sink = Sink::new(out, block as usize, stores);
    let mut end = 0;
    for piece in &object.pieces {
        sink.append(piece.at - end, |padding| padding.fill(0));
        write_piece(&sources[piece.column], piece, &mut sink);
        end = piece.at + (piece.bytes.end - piece.bytes.start);
    }
    sink.finish()
}

fn write_piece(source: &Source, piece: &ObjectPiece, sink: &mut Sink<'_>) {
    match &source.source {
        ColumnSource::Frames(frames) => {
            let mut from = piece.bytes.start;
            let first = source.starts.partition_point(|start| *start <= from);
            for (frame, start) in frames
                .iter()
                .zip(&source.starts)
                .skip(first.saturating_sub(1))
            {
                if from >= piece.bytes.end {
                    break;
                }
                let mut offset = from - start;
                let len = (frame.len() - offset).min(piece.bytes.end - from);
                sink.append(len, |to| {
                    // The hash reads it back.
                    frame.copy_range(offset, to, Stores::Cached);
                    offset += to.len() as u64;
                });
                from += len;
            }
        }
        ColumnSource::Objects(batch, row_sizes) => {
            for row in piece.rows.clone() {
                let value = &batch.values[row];
                // No checksum of its own: all bytes of the object are under one.
                let (header, frames) = batch.parts(value);
                let mut packed = ValueStream::new(&value.plan, header, frames);
                sink.append(row_sizes[row], |to| packed.fill(to));
            }
        }
    }
}

/// An object that is being written.
struct Sink<'a> {
    out: &'a mut [u8],
    /// How much of it is written and hashed.
    done: usize,
    /// Where bytes are made that are to bypass the cache; else they are made in place.
    stage: Option<Vec<u8>>,
    /// Bytes that are made and not hashed yet.
    pending: usize,
    step: usize,
    block: usize,
    in_block: usize,
    hasher: BlockHasher,
    digests: Vec<u64>,
}

impl<'a> Sink<'a> {
    fn new(out: &'a mut [u8], block: usize, stores: Stores) -> Self {
        let step = STEP.min(block);
        Self {
            out,
            done: 0,
            stage: (stores == Stores::Streamed).then(|| vec![0; step]),
            pending: 0,
            step,
            block,
            in_block: 0,
            hasher: BlockHasher::default(),
            digests: Vec::new(),
        }
    }

    /// Appends `len` bytes that `fill` makes, stretch by stretch.
    fn append(&mut self, len: u64, mut fill: impl FnMut(&mut [u8])) {
        let mut left = len as usize;
        while left > 0 {
            let at = self.pending;
            let taken = left.min(self.step - at);
            fill(match &mut self.stage {
                Some(stage) => &mut stage[at..at + taken],
                None => &mut self.out[self.done + at..self.done + at + taken],
            });
            self.pending += taken;
            left -= taken;
            if self.pending == self.step {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        let place = self.done..self.done + self.pending;
        if let Some(stage) = &self.stage {
            let made = &stage[..self.pending];
            self.hasher.write(made);
            copy_bytes(made, &mut self.out[place.clone()], Stores::Streamed);
        } else {
            self.hasher.write(&self.out[place.clone()]);
        }
        self.done = place.end;
        self.in_block += self.pending;
        self.pending = 0;
        if self.in_block == self.block {
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        self.digests.push(self.hasher.finish());
        self.hasher = BlockHasher::default();
        self.in_block = 0;
    }

    fn finish(mut self) -> Vec<u64> {
        self.flush();
        if self.in_block > 0 {
            self.end_block();
        }
        self.digests
    }
}
