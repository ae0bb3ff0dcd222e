//! The one module with `unsafe`: maps memory and turns mapped bytes into slices.
//!
//! Its functions are safe to call from the rest of the crate because of two things they take:
//! a [`Piece`] proves that a byte range of a segment belongs to its holder alone (see `piece.rs`),
//! and the private mapping is only ever handed out as raw pointers, never as references.

use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::ptr::{self, NonNull};
use std::slice;

use rustix::fs::{FallocateFlags, MemfdFlags, Mode, SealFlags};
use rustix::mm::{self, MapFlags, ProtFlags};

use crate::chunks::CHUNK;
use crate::piece::Piece;
use crate::ranges::RangeSet;

mod block;
mod huge;
mod scan;
mod streamed;

pub(crate) use block::{Block, LARGE as LARGE_BLOCK};
pub(crate) use huge::can_collapse;
pub(crate) use scan::Scanner;
pub use streamed::{copy_streamed, copy_streamed_raw};

/// Without these a segment is not mapped.
const RESIZE_SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

/// Bytes of a page.
pub(crate) fn page_bytes() -> u64 {
    rustix::param::page_size() as u64
}

/// An address range that this process mapped and unmaps on drop.
#[derive(Debug)]
struct Mapped {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: `Mapped` owns its address range; neither the address nor `munmap` depends on a thread.
unsafe impl Send for Mapped {}
// SAFETY: a shared `Mapped` gives out raw pointers and its length only; those who make slices of
// them argue for themselves.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// Maps `len` bytes of `file`, or of nothing, readable and writable.
    fn new(len: u64, file: Option<&OwnedFd>, flags: MapFlags) -> io::Result<Self> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let reserved = Self::reserve(len)?;
        let base = reserved.base.as_ptr().cast();
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        let flags = flags | MapFlags::FIXED;
        // SAFETY: what MAP_FIXED replaces is the range just reserved, which nobody else knows of.
        let mapped = unsafe {
            match file {
                Some(file) => mm::mmap(base, len, prot, flags, file, 0),
                None => mm::mmap_anonymous(base, len, prot, flags),
            }
        };
        mapped?;
        Ok(reserved)
    }

    /// `len` bytes of address space without memory. From a chunk on they start on a multiple of one,
    /// as the offsets of a file do: otherwise no huge page of it could be mapped whole.
    fn reserve(len: usize) -> io::Result<Self> {
        let align = if len as u64 >= CHUNK {
            CHUNK as usize
        } else {
            1
        };
        let wide = len
            .checked_add(align - 1)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: without MAP_FIXED the system chooses an address range that nothing else uses.
        let base = unsafe { mm::mmap_anonymous(ptr::null_mut(), wide, ProtFlags::empty(), flags) }?;
        let base = NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let wide = Self { base, len: wide };
        if align == 1 {
            return Ok(wide);
        }
        let page = page_bytes() as usize;
        let before = base.as_ptr().addr().next_multiple_of(align) - base.as_ptr().addr();
        let end = before + len.next_multiple_of(page);
        // SAFETY: `before` and `end` are at most the length of the range, which is rounded up to
        // whole pages by the system.
        let (start, rest) = unsafe { (base.add(before), base.add(end)) };
        let whole = wide.len.next_multiple_of(page);
        std::mem::forget(wide);
        // The margins go; each is a range of its own from here on.
        drop(Self { base, len: before });
        drop(Self {
            base: rest,
            len: whole - end,
        });
        Ok(Self { base: start, len })
    }

    /// Asks for huge pages, which take fewer faults and less of the processor's page tables. The system
    /// grants them to memory files where `/sys/kernel/mm/transparent_hugepage/shmem_enabled` is `advise`.
    fn prefer_huge_pages(&self) {
        // SAFETY: the range is this mapping's, and the advice changes nothing that its bytes say.
        let done = unsafe {
            mm::madvise(
                self.base.as_ptr().cast(),
                self.len,
                mm::Advice::LinuxHugepage,
            )
        };
        if let Err(error) = done {
            tracing::debug!(%error, "this system has no huge pages");
        }
    }

    /// The address of byte `offset`; panics outside the mapping.
    fn at(&self, offset: u64, len: u64) -> *mut u8 {
        let end = offset.checked_add(len);
        assert!(
            end.is_some_and(|end| end <= self.len as u64),
            "{len} bytes at {offset} lie outside a mapping of {} bytes: a bug in tq-arena",
            self.len
        );
        // SAFETY: `offset` is at most `self.len` (checked above; so it fits usize), and the whole
        // mapping is one allocation that lives as long as `self`.
        unsafe { self.base.as_ptr().add(offset as usize) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if self.len == 0 {
            return; // a margin that was not needed
        }
        // SAFETY: the range was mapped by `new` and is unmapped only here; slices borrow `self` or
        // something that owns it, and the holders of raw pointers keep their owner alive (`View`).
        let done = unsafe { mm::munmap(self.base.as_ptr().cast(), self.len) };
        if let Err(error) = done {
            tracing::error!(%error, len = self.len, "a mapping could not be unmapped and leaks");
        }
    }
}

/// A memory file, mapped shared: what loans write and leases read.
#[derive(Debug)]
pub(crate) struct SharedMap {
    id: u32,
    file: OwnedFd,
    mapped: Mapped,
}

impl SharedMap {
    /// Makes a sparse file of `len` bytes that nobody can shrink or grow, and only those can open
    /// who were handed it.
    pub(crate) fn create(id: u32, len: u64) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = rustix::fs::memfd_create(format!("tq-segment-{id}"), flags)?;
        rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR)?;
        rustix::fs::ftruncate(&file, len)?;
        // A file that shrank would turn reads of our own slices into SIGBUS.
        // No process it is handed to can add a seal that would keep others from writing.
        rustix::fs::fcntl_add_seals(&file, RESIZE_SEALS | SealFlags::SEAL)?;
        let mapped = Mapped::new(len, Some(&file), MapFlags::SHARED | MapFlags::NORESERVE)?;
        mapped.prefer_huge_pages();
        Ok(Self { id, file, mapped })
    }

    /// A file of `len` bytes, and all of it to write: to try out what the system does with mappings.
    fn for_trial(len: u64) -> io::Result<(Self, Piece)> {
        let id = u32::MAX;
        let mut free = RangeSet::default();
        free.insert(0..len);
        Ok((Self::create(id, len)?, Piece::take(&mut free, id, 0..len)))
    }

    /// Maps a file that [`SharedMap::create`] of another process made, after a look at whether it is
    /// one that cannot shrink. Its length is its own word, not anybody's message. Such a file ends with
    /// a page; of one that another program made, a last page that is not whole is left out.
    pub(crate) fn attach(id: u32, file: OwnedFd, is_ours: bool) -> io::Result<Self> {
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what);
        let seals = rustix::fs::fcntl_get_seals(&file)
            .map_err(|_| wrong("it is no memory file that can be sealed"))?;
        if !seals.contains(RESIZE_SEALS) {
            return Err(wrong("it is not sealed against resizing"));
        }
        // After the look at the seals: from there on the length stays.
        let len = u64::try_from(rustix::fs::fstat(&file)?.st_size).unwrap_or(0);
        if is_ours && !len.is_multiple_of(page_bytes()) {
            return Err(wrong("its length is no multiple of a page"));
        }
        let len = len / page_bytes() * page_bytes();
        if len == 0 {
            return Err(wrong("it is shorter than a page"));
        }
        rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::CLOEXEC)?;
        let mapped = Mapped::new(len, Some(&file), MapFlags::SHARED | MapFlags::NORESERVE)?;
        mapped.prefer_huge_pages();
        Ok(Self { id, file, mapped })
    }

    /// A duplicate of the file, for another process.
    pub(crate) fn file(&self) -> io::Result<OwnedFd> {
        self.file.try_clone()
    }

    /// Whether both map the same file.
    pub(crate) fn is_same_file(&self, other: &Self) -> io::Result<bool> {
        let [one, two] = [&self.file, &other.file].map(rustix::fs::fstat);
        let (one, two) = (one?, two?);
        Ok((one.st_dev, one.st_ino) == (two.st_dev, two.st_ino))
    }

    pub(crate) fn len(&self) -> u64 {
        self.mapped.len as u64
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// The first `len` bytes of a piece, to read.
    pub(crate) fn bytes<'a>(&'a self, piece: &'a Piece, len: u64) -> &'a [u8] {
        let start = self.locate(piece, len);
        // SAFETY: `start..start+len` lies inside the mapping, which `self` keeps for 'a, and mapped
        // memory is always initialised. No one writes it during 'a: this process writes the shared
        // mapping only through `bytes_mut` and `punch`, which need `&mut Piece`, a piece that is
        // written overlaps no other in use (`piece.rs`), and this one is borrowed for 'a; other
        // processes that have the file write only what its owner loaned to them (lib.rs, 7). Those
        // who share a piece (`Hold`) free its bytes only when no owner and no lease is left.
        unsafe { slice::from_raw_parts(start, len as usize) }
    }

    /// The first `len` bytes of a piece, to write.
    pub(crate) fn bytes_mut<'a>(&'a self, piece: &'a mut Piece, len: u64) -> &'a mut [u8] {
        let start = self.locate(piece, len);
        // SAFETY: as in `bytes`; and `&mut Piece` proves that no other slice of these bytes exists,
        // since each slice borrows the piece, and no other piece in use shares a byte with it; what
        // one process has to write, no other has in use (lib.rs, 7).
        unsafe { slice::from_raw_parts_mut(start, len as usize) }
    }

    /// Gives the pages of a piece back to the system; they read as zeros afterwards.
    pub(crate) fn punch(&self, piece: &mut Piece) -> io::Result<()> {
        let _inside = self.locate(piece, piece.len());
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(rustix::fs::fallocate(
            &self.file,
            flags,
            piece.offset(),
            piece.len(),
        )?)
    }

    /// Maps the same file copy-on-write.
    pub(crate) fn private(&self) -> io::Result<PrivateMap> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        let mapped = Mapped::new(self.mapped.len as u64, Some(&self.file), flags)?;
        mapped.prefer_huge_pages();
        Ok(PrivateMap(mapped))
    }

    fn locate(&self, piece: &Piece, len: u64) -> *mut u8 {
        // Segment numbers are unique in the process, so a piece of another arena cannot pass.
        assert!(
            piece.segment() == self.id && len <= piece.len(),
            "{len} bytes of {piece:?} asked of segment {}: a bug in tq-arena",
            self.id
        );
        self.mapped.at(piece.offset(), len)
    }
}

/// The kept copy-on-write mapping of a segment. Only raw pointers into it exist.
#[derive(Debug)]
pub(crate) struct PrivateMap(Mapped);

impl PrivateMap {
    /// The address of `len` bytes at `offset`.
    pub(crate) fn at(&self, offset: u64, len: u64) -> *mut u8 {
        self.0.at(offset, len)
    }

    /// Drops every private page of a page-aligned range; it follows the shared bytes again.
    pub(crate) fn revert(&self, range: Range<u64>) -> io::Result<()> {
        let len = range.end - range.start;
        let start = self.at(range.start, len).cast();
        // SAFETY: the range lies inside this mapping, and no reference to its bytes exists: of a
        // private mapping only raw pointers are handed out.
        Ok(unsafe { mm::madvise(start, len as usize, mm::Advice::LinuxDontNeed) }?)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
