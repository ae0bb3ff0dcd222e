//! Finds the pages of a private mapping that were written: the `PAGEMAP_SCAN` ioctl (Linux 6.7).

use std::ffi::c_void;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::ioctl::{self, Ioctl, IoctlOutput, Opcode};

use super::{PrivateMap, SharedMap, page_bytes};

/// The page is backed by the file, so it was not copied.
const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
/// Ranges asked for in one call.
const BATCH: usize = 512;

/// `struct pm_scan_arg` of `linux/fs.h`.
#[repr(C)]
#[derive(Debug, Default)]
struct ScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    /// Out: where the walk ended.
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct page_region` of `linux/fs.h`.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
struct PageRegion {
    start: u64,
    end: u64,
    categories: u64,
}

/// One scan of an address range.
struct Scan<'a> {
    arg: ScanArg,
    /// Written by the kernel through `arg.vec`.
    _found: &'a mut [PageRegion],
}

impl<'a> Scan<'a> {
    fn of_copied_pages(start: u64, end: u64, found: &'a mut [PageRegion]) -> Self {
        let arg = ScanArg {
            size: size_of::<ScanArg>() as u64,
            start,
            end,
            vec: found.as_mut_ptr() as u64,
            vec_len: found.len() as u64,
            category_inverted: PAGE_IS_FILE,
            category_mask: PAGE_IS_FILE,
            category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
            // Told apart by nothing, so that neighbouring pages come back as one range.
            return_mask: PAGE_IS_FILE,
            ..ScanArg::default()
        };
        Self { arg, _found: found }
    }
}

// SAFETY: the opcode is PAGEMAP_SCAN, whose argument is a `pm_scan_arg`, which `as_ptr` points to.
// The kernel writes that struct, and at most `vec_len` regions at `vec`: the slice borrowed by
// `self`.
unsafe impl Ioctl for Scan<'_> {
    /// How many ranges were found, and the address where the walk ended.
    type Output = (usize, u64);

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        ioctl::opcode::read_write::<ScanArg>(b'f', 16)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut self.arg).cast()
    }

    unsafe fn output_from_ptr(
        found: IoctlOutput,
        arg: *mut c_void,
    ) -> rustix::io::Result<Self::Output> {
        // SAFETY: rustix hands in the pointer that `as_ptr` gave, to a live, filled-in `ScanArg`.
        let walk_end = unsafe { (*arg.cast::<ScanArg>()).walk_end };
        Ok((usize::try_from(found).unwrap_or(0), walk_end))
    }
}

/// Reverts what was written in private mappings of this process.
#[derive(Debug)]
pub(crate) struct Scanner {
    pagemap: OwnedFd,
}

impl Scanner {
    /// `None` where the kernel cannot scan, or where a trial shows that the scan does not find just
    /// what was written.
    pub(crate) fn open() -> Option<Self> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let pagemap = rustix::fs::open("/proc/self/pagemap", flags, Mode::empty()).ok()?;
        let scanner = Self { pagemap };
        match scanner.try_out() {
            Ok(true) => Some(scanner),
            Ok(false) => {
                tracing::warn!("PAGEMAP_SCAN misses written pages here; views are off");
                None
            }
            Err(error) => {
                tracing::info!(%error, "no PAGEMAP_SCAN (Linux 6.7 and later); views are off");
                None
            }
        }
    }

    /// Drops the private pages that were written in `range` (page-aligned); returns their bytes.
    pub(crate) fn revert(&self, map: &PrivateMap, range: Range<u64>) -> io::Result<u64> {
        let base = map.at(0, 0) as u64;
        let mut regions = vec![PageRegion::default(); BATCH];
        let mut reverted = 0;
        let mut at = range.start;
        while at < range.end {
            let scan = Scan::of_copied_pages(base + at, base + range.end, &mut regions);
            // SAFETY: see `impl Ioctl for Scan`; the file is /proc/self/pagemap, which knows the
            // call.
            let (found, walk_end) = unsafe { ioctl::ioctl(&self.pagemap, scan) }?;
            for region in regions.iter().take(found) {
                map.revert(region.start - base..region.end - base)?;
                reverted += region.end - region.start;
            }
            if walk_end <= base + at {
                return Err(io::Error::other("PAGEMAP_SCAN made no progress"));
            }
            at = walk_end - base;
        }
        Ok(reverted)
    }

    /// Writes one private page between two that are only read, and looks whether exactly that one
    /// is found and reverted.
    fn try_out(&self) -> io::Result<bool> {
        let page = page_bytes();
        let (shared, mut piece) = SharedMap::for_trial(3 * page)?;
        shared.bytes_mut(&mut piece, 3 * page).fill(1);
        let map = shared.private()?;
        let peek = |offset: u64| {
            // SAFETY: one byte inside the mapping; nobody else knows of it.
            unsafe { map.at(offset, 1).read_volatile() }
        };
        let before = [peek(0), peek(page), peek(2 * page)];
        // SAFETY: as in `peek`.
        unsafe { map.at(page, 1).write_volatile(2) };
        let written = peek(page);
        let reverted = self.revert(&map, 0..3 * page)?;
        Ok(before == [1; 3] && written == 2 && reverted == page && peek(page) == 1)
    }
}
