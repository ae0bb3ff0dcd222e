//! Memory of this process alone, for buffers of the warm pool.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::io;
use std::ptr::NonNull;
use std::slice;

use rustix::mm::MapFlags;

use super::{Mapped, page_bytes};
use crate::chunks::CHUNK;

/// Alignment of small blocks; large ones start on a page.
const SMALL_ALIGN: usize = 64;
/// From this size on a block is a mapping of its own.
pub(crate) const LARGE: u64 = 64 * 1024;

/// A block of initialised memory, freed on drop.
#[derive(Debug)]
pub(crate) struct Block(Kind);

#[derive(Debug)]
enum Kind {
    Heap { base: NonNull<u8>, layout: Layout },
    Mapped(Mapped),
}

// SAFETY: a block owns its memory; the allocator and `munmap` may be called from any thread.
unsafe impl Send for Block {}
// SAFETY: `&Block` gives out a raw pointer and shared slices; mutable slices need `&mut Block`.
unsafe impl Sync for Block {}

impl Block {
    /// At least `bytes` bytes, zeroed.
    pub(crate) fn new(bytes: u64) -> io::Result<Self> {
        if bytes >= LARGE {
            let len = bytes
                .checked_next_multiple_of(page_bytes())
                .ok_or(io::ErrorKind::OutOfMemory)?;
            let mapped = Mapped::new(len, None, MapFlags::PRIVATE)?;
            if len >= CHUNK {
                mapped.prefer_huge_pages();
            }
            return Ok(Self(Kind::Mapped(mapped)));
        }
        let len = usize::try_from(bytes.max(1)).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let layout =
            Layout::from_size_align(len, SMALL_ALIGN).map_err(|_| io::ErrorKind::OutOfMemory)?;
        // SAFETY: the layout has a size of at least one.
        let base =
            NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self(Kind::Heap { base, layout }))
    }

    /// Bytes it holds.
    pub(crate) fn capacity(&self) -> u64 {
        match &self.0 {
            Kind::Heap { layout, .. } => layout.size() as u64,
            Kind::Mapped(mapped) => mapped.len as u64,
        }
    }

    pub(crate) fn as_ptr(&self) -> *mut u8 {
        match &self.0 {
            Kind::Heap { base, .. } => base.as_ptr(),
            Kind::Mapped(mapped) => mapped.base.as_ptr(),
        }
    }

    /// The first `len` bytes, to write.
    pub(crate) fn bytes_mut(&mut self, len: u64) -> &mut [u8] {
        let len = self.checked(len);
        // SAFETY: the memory is at least `len` bytes, initialised (zeroed when it was made), and
        // borrowed mutably with `self`.
        unsafe { slice::from_raw_parts_mut(self.as_ptr(), len) }
    }

    /// The first `len` bytes, to read.
    pub(crate) fn bytes(&self, len: u64) -> &[u8] {
        let len = self.checked(len);
        // SAFETY: as in `bytes_mut`; writing needs `&mut self`, or the raw pointer, whose users
        // must not write while a slice is borrowed.
        unsafe { slice::from_raw_parts(self.as_ptr(), len) }
    }

    fn checked(&self, len: u64) -> usize {
        let capacity = self.capacity();
        assert!(
            len <= capacity,
            "{len} bytes asked of a block of {capacity}: a bug in tq-arena"
        );
        len as usize
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Kind::Heap { base, layout } = self.0 {
            // SAFETY: allocated in `new` with this very layout, and freed only here.
            unsafe { dealloc(base.as_ptr(), layout) }
        }
    }
}
