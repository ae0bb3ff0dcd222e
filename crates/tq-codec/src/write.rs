//! Fills a caller's buffer: small parts, frames, padding, checksums; never beyond the plan's size.

use crate::checksum::{self, BLOCK};
use crate::error::PlanError;
use crate::frame::{FrameSource, Stores};
use crate::layout::{FLAG_EMPTY, FLAG_FRAMES_CHECKSUM, Preamble, SMALL_CHECKSUM_AT, align64};
use crate::parallel;
use crate::plan::Plan;

/// One value of a batch with the buffer it goes to.
pub struct Slot<'a, F> {
    /// The value's plan.
    pub plan: Plan,
    /// The value's header; its length is the plan's.
    pub header: &'a [u8],
    /// The value's frames; their lengths are the plan's.
    pub frames: &'a [F],
    /// Where it goes: at least the plan's total length; what lies beyond is not touched.
    pub buffer: &'a mut [u8],
    /// Whether to set the frames' checksum.
    pub checksum: bool,
    /// Whether this is the buffer of no items at all.
    pub empty: bool,
}

/// Bytes per thread below which a thread costs more than it copies.
pub(crate) const MIN_BYTES_PER_THREAD: u64 = 4 << 20;

/// Writes one value.
///
/// # Errors
/// [`PlanError::BufferTooSmall`]; nothing is written then.
pub fn write_value<F: FrameSource>(slot: Slot<'_, F>) -> Result<(), PlanError> {
    write_batch(vec![slot], 1)
}

/// Writes a batch with up to `workers` threads. The bytes do not depend on the number of threads;
/// work is split by bytes, inside a value where that is what balances.
///
/// # Errors
/// [`PlanError::BufferTooSmall`] for the first slot that is; nothing is written then.
pub fn write_batch<F: FrameSource>(
    slots: Vec<Slot<'_, F>>,
    workers: usize,
) -> Result<(), PlanError> {
    for slot in &slots {
        let found = slot.buffer.len() as u64;
        if found < slot.plan.total_len {
            return Err(PlanError::BufferTooSmall {
                found,
                needed: slot.plan.total_len,
            });
        }
    }
    let total: u64 = slots.iter().map(|slot| slot.plan.total_len).sum();
    let stores = Stores::of(total);
    let threads = (total / MIN_BYTES_PER_THREAD).min(workers as u64).max(1) as usize;
    if threads == 1 {
        for slot in slots {
            write_whole(slot, stores);
        }
        return Ok(());
    }
    write_parallel(slots, total, threads, stores);
    Ok(())
}

fn write_whole<F: FrameSource>(slot: Slot<'_, F>, stores: Stores) {
    let (small, region) = split(slot.buffer, &slot.plan);
    let mut digests = Vec::new();
    Pieces::new(slot.frames, stores).write(region, slot.checksum, &mut digests);
    let frames_checksum = if slot.checksum {
        checksum::of_digests(&digests)
    } else {
        0
    };
    write_small(
        small,
        &slot.plan,
        slot.header,
        slot.frames,
        flags(slot.checksum, slot.empty),
        frames_checksum,
    );
}

/// A stretch of one slot's frame region, at most one thread's share.
struct Task<'a, F> {
    frames: &'a [F],
    /// Where the stretch starts in the slot's frame region: a multiple of [`BLOCK`].
    start: u64,
    region: &'a mut [u8],
    checksum: bool,
    digests: Vec<u64>,
    slot: usize,
}

fn write_parallel<F: FrameSource>(
    slots: Vec<Slot<'_, F>>,
    total: u64,
    threads: usize,
    stores: Stores,
) {
    let share = total.div_ceil(threads as u64);
    let mut smalls = Vec::with_capacity(slots.len());
    let mut queues: Vec<Vec<Task<'_, F>>> = Vec::with_capacity(threads);
    let mut room = 0;
    for (index, slot) in slots.into_iter().enumerate() {
        let Slot {
            plan,
            header,
            frames,
            buffer,
            checksum,
            empty,
        } = slot;
        let (small, mut region) = split(buffer, &plan);
        smalls.push((small, plan, header, frames, flags(checksum, empty)));
        let mut start = 0;
        while !region.is_empty() {
            if room == 0 {
                queues.push(Vec::new());
                room = share;
            }
            // Cut on block borders, so that every block is hashed by one thread.
            let wanted = room.div_ceil(BLOCK as u64) * BLOCK as u64;
            let cut = usize::try_from(wanted)
                .unwrap_or(usize::MAX)
                .min(region.len());
            let (head, tail) = region.split_at_mut(cut);
            if let Some(queue) = queues.last_mut() {
                queue.push(Task {
                    frames,
                    start,
                    region: head,
                    checksum,
                    digests: Vec::new(),
                    slot: index,
                });
            }
            start += cut as u64;
            room = room.saturating_sub(cut as u64);
            region = tail;
        }
    }
    parallel::drain(queues.iter_mut().collect(), threads, |queue| {
        run(queue, stores);
    });
    let mut digests: Vec<Vec<u64>> = vec![Vec::new(); smalls.len()];
    for task in queues.into_iter().flatten() {
        digests[task.slot].extend(task.digests);
    }
    for ((small, plan, header, frames, flags), digests) in smalls.into_iter().zip(digests) {
        let checksum = if flags & FLAG_FRAMES_CHECKSUM == 0 {
            0
        } else {
            checksum::of_digests(&digests)
        };
        write_small(small, &plan, header, frames, flags, checksum);
    }
}

fn run<F: FrameSource>(queue: &mut [Task<'_, F>], stores: Stores) {
    for task in queue {
        let mut pieces = Pieces::new(task.frames, stores);
        pieces.skip(task.start);
        pieces.write(task.region, task.checksum, &mut task.digests);
    }
}

fn flags(checksum: bool, empty: bool) -> u16 {
    (if checksum { FLAG_FRAMES_CHECKSUM } else { 0 }) | (if empty { FLAG_EMPTY } else { 0 })
}

fn split<'a>(buffer: &'a mut [u8], plan: &Plan) -> (&'a mut [u8], &'a mut [u8]) {
    buffer[..plan.total_len as usize].split_at_mut(plan.frames_at as usize)
}

fn write_small<F: FrameSource>(
    small: &mut [u8],
    plan: &Plan,
    header: &[u8],
    frames: &[F],
    flags: u16,
    frames_checksum: u64,
) {
    let preamble = Preamble {
        flags,
        frame_count: plan.frame_count,
        header_len: plan.header_len,
        total_len: plan.total_len,
        small_checksum: 0,
        frames_checksum,
    };
    let (head, rest) = small.split_at_mut(crate::layout::PREAMBLE_LEN);
    head.copy_from_slice(&preamble.to_bytes());
    let (table, rest) = rest.split_at_mut(frames.len() * crate::layout::TABLE_ENTRY_LEN);
    let mut offset = plan.frames_at;
    for (entry, frame) in table
        .chunks_exact_mut(crate::layout::TABLE_ENTRY_LEN)
        .zip(frames)
    {
        let len = frame.len();
        entry[..8].copy_from_slice(&offset.to_le_bytes());
        entry[8..].copy_from_slice(&len.to_le_bytes());
        offset = align64(offset + len).unwrap_or(u64::MAX);
    }
    let (to, padding) = rest.split_at_mut(header.len());
    to.copy_from_slice(header);
    padding.fill(0);
    let checksum = checksum::small_parts(&small[..plan.small_len() as usize]);
    small[SMALL_CHECKSUM_AT..SMALL_CHECKSUM_AT + 8].copy_from_slice(&checksum.to_le_bytes());
}

/// A cursor over a slot's frames with the padding behind each.
struct Pieces<'a, F> {
    frames: &'a [F],
    frame: usize,
    /// Position inside the current frame or the padding behind it.
    at: u64,
    stores: Stores,
}

impl<'a, F: FrameSource> Pieces<'a, F> {
    fn new(frames: &'a [F], stores: Stores) -> Self {
        Self {
            frames,
            frame: 0,
            at: 0,
            stores,
        }
    }

    /// Moves `bytes` ahead in the frame region.
    fn skip(&mut self, mut bytes: u64) {
        while let Some(frame) = self.frames.get(self.frame) {
            let padded = align64(frame.len()).unwrap_or(u64::MAX);
            if bytes < padded {
                break;
            }
            bytes -= padded;
            self.frame += 1;
        }
        self.at = bytes;
    }

    /// Fills `region`, hashing each block right after it was copied.
    fn write(&mut self, region: &mut [u8], checksum: bool, digests: &mut Vec<u64>) {
        if !checksum {
            self.fill(region);
            return;
        }
        // The hash reads each block back, so it must be found in the cache.
        self.stores = Stores::Cached;
        for block in region.chunks_mut(BLOCK) {
            self.fill(block);
            digests.push(checksum::block(block));
        }
    }

    fn fill(&mut self, mut region: &mut [u8]) {
        while !region.is_empty() {
            let Some(frame) = self.frames.get(self.frame) else {
                region.fill(0);
                return;
            };
            let len = frame.len();
            let padded = align64(len).unwrap_or(u64::MAX);
            let in_frame = clamp(len.saturating_sub(self.at), region.len());
            let (data, rest) = region.split_at_mut(in_frame);
            if !data.is_empty() {
                frame.copy_range(self.at, data, self.stores);
            }
            self.at += in_frame as u64;
            let in_padding = if self.at >= len {
                clamp(padded - self.at, rest.len())
            } else {
                0
            };
            let (padding, rest) = rest.split_at_mut(in_padding);
            padding.fill(0);
            self.at += in_padding as u64;
            if self.at == padded {
                self.frame += 1;
                self.at = 0;
            }
            region = rest;
        }
    }
}

/// A packed buffer that is made from its start on, a stretch at a time, wherever the caller wants each
/// stretch. It has no checksum of its frames: that would be known only at the end.
pub struct ValueStream<'a, F> {
    small: Vec<u8>,
    given: usize,
    pieces: Pieces<'a, F>,
}

impl<'a, F: FrameSource> ValueStream<'a, F> {
    /// The packed buffer of the value with this plan, header and frames.
    #[must_use]
    pub fn new(plan: &Plan, header: &[u8], frames: &'a [F]) -> Self {
        let mut small = vec![0; plan.frames_at as usize];
        write_small(&mut small, plan, header, frames, flags(false, false), 0);
        Self {
            small,
            given: 0,
            pieces: Pieces::new(frames, Stores::Cached),
        }
    }

    /// Writes the next bytes to `out`; zeros behind the end.
    pub fn fill(&mut self, out: &mut [u8]) {
        let small = &self.small[self.given..];
        let (head, rest) = out.split_at_mut(small.len().min(out.len()));
        head.copy_from_slice(&small[..head.len()]);
        self.given += head.len();
        self.pieces.fill(rest);
    }
}

fn clamp(wanted: u64, room: usize) -> usize {
    usize::try_from(wanted).unwrap_or(usize::MAX).min(room)
}
