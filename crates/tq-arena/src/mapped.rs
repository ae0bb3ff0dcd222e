//! Memory files that another library of this process has mapped, found again by address.
//!
//! A storage backend's client hands out addresses in memory of a server on the same host, mapped
//! shared, where whoever writes changes what others read. Mapped a second time, as a segment of a
//! [`GuestArena`], the same bytes can be had as views of their own. The client has closed its
//! descriptor by then; the server still has one, and processes of one user in one PID namespace may
//! open each other's through `/proc` (proc_pid_fd(5)).

use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use procfs::process::{FDTarget, MMPermissions, MemoryMap, Process};
use rustix::fs::{Mode, OFlags};

use crate::remote::Release;
use crate::sync::{Mutex, lock};
use crate::{GuestArena, Lease};

/// What the kernel keeps of a program's name.
const NAME_BYTES: usize = 15;

/// Segments over the memory files that one program shares with this process through somebody else's
/// mappings.
///
/// The program is the host of them (see the crate's documentation): it vouches for bytes as long as
/// whatever `release` drops is held.
#[derive(Debug)]
pub struct MappedFiles {
    program: String,
    guest: GuestArena,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    mappings: Vec<Mapping>,
    segments: u32,
}

/// A mapping of somebody else.
#[derive(Debug)]
struct Mapping {
    addresses: Range<u64>,
    /// Where the file lies at the first address.
    offset: u64,
    /// `None` where the file cannot be had.
    segment: Option<u32>,
}

impl MappedFiles {
    /// The memory files that a process of the program called `program` has open.
    #[must_use]
    pub fn new(program: &str) -> Self {
        Self {
            program: program.chars().take(NAME_BYTES).collect(),
            guest: GuestArena::new(),
            known: Mutex::default(),
        }
    }

    /// A lease on the bytes at `addresses`, which stay as they are until `release` is run (see
    /// [`GuestArena::lease_remote`]).
    ///
    /// `None` where they do not lie in a shared mapping of a memory file that the program has open and
    /// this process may open; `release` is dropped then.
    #[must_use]
    pub fn lease(&self, addresses: Range<u64>, release: Release) -> Option<Lease> {
        let (segment, offset) = self.locate(&addresses)?;
        let len = addresses.end - addresses.start;
        let lease = self.guest.lease_remote(segment, offset, len, release);
        lease
            .inspect_err(|error| tracing::debug!(%error, "shared bytes are read through a copy"))
            .ok()
    }

    /// Forgets what lies where, since somebody else may unmap files and map others there. What is
    /// leased stays.
    pub fn forget(&self) {
        let mappings = std::mem::take(&mut lock(&self.known).mappings);
        for segment in mappings.iter().filter_map(|mapping| mapping.segment) {
            self.guest.detach(segment);
        }
    }

    /// The segment of some bytes, and where they begin in it.
    fn locate(&self, addresses: &Range<u64>) -> Option<(u32, u64)> {
        let mut known = lock(&self.known);
        if let Some(mapping) = known.mappings.iter().find(|old| old.holds(addresses)) {
            return mapping.place(addresses);
        }
        let maps = Process::myself().and_then(|this| this.maps()).ok()?;
        let found = maps
            .iter()
            .find(|map| map.address.0 <= addresses.start && addresses.end <= map.address.1)?;
        let file = (found.perms.contains(MMPermissions::SHARED))
            .then(|| self.file_of(found))
            .flatten();
        let segment = known.segments;
        let attached = file.and_then(|file| {
            self.guest
                .attach_whole(segment, file)
                .inspect_err(|error| tracing::debug!(%error, "shared memory is not mapped again"))
                .ok()
        });
        let mapping = Mapping {
            addresses: found.address.0..found.address.1,
            offset: found.offset,
            segment: attached.map(|()| segment),
        };
        let place = mapping.place(addresses);
        known.segments += 1;
        known.mappings.push(mapping);
        place
    }

    /// A descriptor of the file behind a mapping, by way of the program's own.
    fn file_of(&self, mapping: &MemoryMap) -> Option<OwnedFd> {
        let processes = procfs::process::all_processes()
            .ok()?
            .filter_map(Result::ok);
        let program =
            processes.filter(|process| process.stat().is_ok_and(|stat| stat.comm == self.program));
        program
            .filter_map(|process| Some((process.pid, process.fd().ok()?)))
            .flat_map(|(pid, files)| files.filter_map(Result::ok).map(move |file| (pid, file)))
            .filter(|(_, file)| matches!(file.target, FDTarget::MemFD(_)))
            .find_map(|(pid, file)| open_if(mapping, pid, file.fd))
    }
}

impl Mapping {
    fn holds(&self, addresses: &Range<u64>) -> bool {
        self.addresses.start <= addresses.start && addresses.end <= self.addresses.end
    }

    fn place(&self, addresses: &Range<u64>) -> Option<(u32, u64)> {
        let offset = self.offset + (addresses.start - self.addresses.start);
        self.segment.map(|segment| (segment, offset))
    }
}

/// Descriptor `file` of process `pid`, where it is of the file behind `mapping`.
fn open_if(mapping: &MemoryMap, pid: i32, file: i32) -> Option<OwnedFd> {
    let path = PathBuf::from(format!("/proc/{pid}/fd/{file}"));
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    let found = rustix::fs::fstat(&opened).ok()?;
    let device = (
        i32::try_from(rustix::fs::major(found.st_dev)).ok()?,
        i32::try_from(rustix::fs::minor(found.st_dev)).ok()?,
    );
    (found.st_ino == mapping.inode && device == mapping.dev).then_some(opened)
}
