//! A pool of warm memory of this process: buffers that were used before and are resident.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::TakeError;
use crate::mapping::{Block, LARGE_BLOCK, page_bytes};
use crate::process::Birthplace;
use crate::sync::{Mutex, lock};

/// Gives out buffers and keeps returned ones for reuse. Clones are the same pool.
///
/// The first write to fresh memory costs a page fault per page, several times the cost of the copy
/// itself; a kept buffer costs none.
#[derive(Debug, Clone)]
pub struct WarmPool {
    shelf: Arc<Shelf>,
}

#[derive(Debug)]
struct Shelf {
    birthplace: Birthplace,
    retain: u64,
    /// Held only to put a block in or take one out; memory is mapped and unmapped outside.
    kept: Mutex<Kept>,
}

/// Blocks waiting for reuse.
#[derive(Debug, Default)]
struct Kept {
    /// By (capacity, order of return).
    by_size: BTreeMap<(u64, u64), Block>,
    /// Capacity by order of return, oldest first.
    by_age: BTreeMap<u64, u64>,
    bytes: u64,
    returns: u64,
}

impl Kept {
    /// The smallest block of at least `bytes` that is not more than twice as large.
    fn take(&mut self, bytes: u64) -> Option<Block> {
        let most = (bytes.saturating_mul(2), u64::MAX);
        let (&key, _) = self.by_size.range((bytes, 0)..=most).next()?;
        self.remove(key)
    }

    fn remove(&mut self, key: (u64, u64)) -> Option<Block> {
        self.by_age.remove(&key.1);
        let block = self.by_size.remove(&key)?;
        self.bytes -= key.0;
        Some(block)
    }

    /// Keeps a block; returns those that must go for it: the ones returned longest ago, as their
    /// sizes are the least likely to be asked for again.
    fn keep(&mut self, block: Block, retain: u64) -> Vec<Block> {
        let capacity = block.capacity();
        if capacity > retain {
            return vec![block];
        }
        let mut gone = Vec::new();
        while self.bytes + capacity > retain
            && let Some((&age, &oldest)) = self.by_age.first_key_value()
        {
            gone.extend(self.remove((oldest, age)));
        }
        let age = self.returns;
        self.returns += 1;
        self.bytes += capacity;
        self.by_age.insert(age, capacity);
        self.by_size.insert((capacity, age), block);
        gone
    }
}

impl WarmPool {
    /// A pool that keeps at most `retain_bytes` bytes of returned buffers.
    #[must_use]
    pub fn new(retain_bytes: u64) -> Self {
        let shelf = Shelf {
            birthplace: Birthplace::here(),
            retain: retain_bytes,
            kept: Mutex::new(Kept::default()),
        };
        Self {
            shelf: Arc::new(shelf),
        }
    }

    /// A buffer of `bytes` bytes, starting on a page from 64 KiB on, on a multiple of 64 below.
    /// Kept memory is preferred, so what it holds is unspecified.
    ///
    /// # Errors
    /// [`TakeError::System`] when the system gives no memory.
    pub fn take(&self, bytes: u64) -> Result<WarmBuffer, TakeError> {
        let kept = if bytes < LARGE_BLOCK || self.shelf.birthplace.is_foreign() {
            None
        } else {
            lock(&self.shelf.kept).take(bytes)
        };
        let block = match kept {
            Some(block) => block,
            None => Block::new(capacity_for(bytes)).map_err(|source| TakeError::System {
                asked: bytes,
                source,
            })?,
        };
        let shelf = Arc::clone(&self.shelf);
        Ok(WarmBuffer {
            block: Some(block),
            len: bytes,
            shelf,
        })
    }

    /// Bytes of returned buffers that wait for reuse. 0 in a forked child.
    #[must_use]
    pub fn retained_bytes(&self) -> u64 {
        if self.shelf.birthplace.is_foreign() {
            0
        } else {
            lock(&self.shelf.kept).bytes
        }
    }
}

/// Rounds large sizes up by at most an eighth, so that sizes which vary a little fit the same
/// block. What is rounded up is never touched, so it costs no memory.
fn capacity_for(bytes: u64) -> u64 {
    if bytes < LARGE_BLOCK {
        return bytes;
    }
    let grain = (1 << (bytes.ilog2() - 3)).max(page_bytes());
    bytes.checked_next_multiple_of(grain).unwrap_or(bytes)
}

/// A buffer of a [`WarmPool`]; it goes back there on drop, on any thread.
#[derive(Debug)]
pub struct WarmBuffer {
    /// `None` only on the way out of `drop`.
    block: Option<Block>,
    len: u64,
    shelf: Arc<Shelf>,
}

impl WarmBuffer {
    /// Bytes asked for.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no bytes were asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes, to read.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.block
            .as_ref()
            .map_or(&[], |block| block.bytes(self.len))
    }

    /// The bytes, to write.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.block
            .as_mut()
            .map_or(&mut [], |block| block.bytes_mut(self.len))
    }

    /// The first byte; valid for reads and writes of [`WarmBuffer::len`] bytes while the buffer
    /// lives. Nothing may be written through it while [`WarmBuffer::as_slice`] is borrowed.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.block
            .as_ref()
            .map_or(std::ptr::dangling_mut(), Block::as_ptr)
    }
}

impl Drop for WarmBuffer {
    fn drop(&mut self) {
        let Some(block) = self.block.take() else {
            return;
        };
        if self.shelf.birthplace.is_foreign() {
            std::mem::forget(block);
            return std::mem::forget(Arc::clone(&self.shelf));
        }
        if block.capacity() < LARGE_BLOCK {
            return;
        }
        let gone = lock(&self.shelf.kept).keep(block, self.shelf.retain);
        // Unmapping may take long, so not under the lock.
        drop(gone);
    }
}

impl Drop for WarmPool {
    fn drop(&mut self) {
        // The parent may have been changing the shelf when it forked, so a child never frees it.
        if self.shelf.birthplace.is_foreign() {
            std::mem::forget(Arc::clone(&self.shelf));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn returned_memory_is_used_again() {
        let pool = WarmPool::new(64 * MIB);
        let mut first = pool.take(8 * MIB).unwrap();
        first.as_mut_slice().fill(7);
        let address = first.as_ptr();
        drop(first);
        assert_eq!(pool.retained_bytes(), 8 * MIB);
        let again = pool.take(5 * MIB).unwrap();
        assert_eq!(again.as_ptr(), address);
        assert_eq!((again.len(), again.as_slice()[0]), (5 * MIB, 7));
        assert_eq!(pool.retained_bytes(), 0);
    }

    #[test]
    fn the_smallest_fit_is_taken_and_a_far_larger_one_is_not() {
        let pool = WarmPool::new(64 * MIB);
        let buffers: Vec<_> = [16, 4, 8]
            .iter()
            .map(|n| pool.take(n * MIB).unwrap())
            .collect();
        let addresses: Vec<_> = buffers.iter().map(WarmBuffer::as_ptr).collect();
        drop(buffers);
        assert_eq!(pool.take(4 * MIB).unwrap().as_ptr(), addresses[1]);
        assert_eq!(pool.take(6 * MIB).unwrap().as_ptr(), addresses[2]);
        let fresh = pool.take(MIB).unwrap();
        assert!(!addresses.contains(&fresh.as_ptr()));
    }

    #[test]
    fn what_was_returned_first_goes_first_when_the_limit_is_reached() {
        let pool = WarmPool::new(10 * MIB);
        let [a, b, c] = [4, 5, 6].map(|n| pool.take(n * MIB).unwrap());
        drop(a);
        drop(b);
        assert_eq!(pool.retained_bytes(), 9 * MIB);
        drop(c);
        assert_eq!(pool.retained_bytes(), 6 * MIB);
        drop(pool.take(11 * MIB).unwrap());
        assert_eq!(pool.retained_bytes(), 6 * MIB);
    }

    #[test]
    fn small_and_empty_buffers_are_aligned_and_not_kept() {
        let pool = WarmPool::new(MIB);
        for bytes in [0, 1, 63, 65_535, 65_536] {
            let mut buffer = pool.take(bytes).unwrap();
            let align = if bytes < 65_536 { 64 } else { 4096 };
            assert_eq!(buffer.as_ptr() as usize % align, 0);
            buffer.as_mut_slice().fill(1);
            assert_eq!(buffer.as_slice().len() as u64, bytes);
        }
        assert_eq!(pool.retained_bytes(), 65_536);
    }

    #[test]
    fn an_impossible_size_is_an_error() {
        let found = WarmPool::new(0).take(u64::MAX / 2);
        assert!(matches!(found, Err(TakeError::System { asked, .. }) if asked == u64::MAX / 2));
    }

    #[test]
    fn a_buffer_outlives_its_pool() {
        let pool = WarmPool::new(MIB);
        let mut buffer = pool.take(MIB).unwrap();
        drop(pool);
        buffer.as_mut_slice().fill(3);
        assert!(buffer.as_slice().iter().all(|byte| *byte == 3));
    }
}
