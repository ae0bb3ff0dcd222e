//! One small error per operation. Sizes are in bytes.

use std::io;

use crate::ExtentId;

/// Why an arena could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ArenaError {
    /// `segment_bytes` is zero or cannot be addressed. Cure: a size between one page and the
    /// address space.
    #[error("segment_bytes is {found}; it must lie between 1 and {limit}")]
    SegmentSize {
        /// What the configuration said.
        found: u64,
        /// The largest size this platform can address.
        limit: u64,
    },
}

/// Why a loan was refused. Nothing was taken.
#[derive(Debug, thiserror::Error)]
pub enum LoanError {
    /// The arena is full. Cure: drop extents and leases, or raise `capacity_bytes`.
    #[error(
        "a loan of {asked} bytes does not fit: {in_use} of {capacity} bytes are in use; \
         clear samples, end leases or raise the capacity"
    )]
    CapacityExceeded {
        /// Bytes asked for, rounded as they would be charged.
        asked: u64,
        /// Bytes loaned, committed, or retired and still leased.
        in_use: u64,
        /// The limit.
        capacity: u64,
    },
    /// The operating system gave no memory. Cure: look at limits on memory and address space.
    #[error("no segment for a loan of {asked} bytes: {source}")]
    System {
        /// Bytes asked for.
        asked: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The arena maps the segments of another process. Cure: ask that process for memory to write.
    #[error(
        "a loan of {asked} bytes was asked of an arena that maps another process's segments; \
         ask that process, and write what it grants"
    )]
    Guest {
        /// Bytes asked for.
        asked: u64,
    },
    /// The arena was inherited through `fork`. Cure: make an arena in the child.
    #[error("this arena belongs to the parent process; a forked child must make its own")]
    ForeignProcess,
}

/// Why a loan could not be committed. The loan was given back.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Cuts must ascend strictly, be multiples of 64 and lie inside the loan. Cure: pad the parts.
    #[error(
        "cut number {position} is at offset {found}: cuts of a loan of {len} bytes must ascend, \
         lie inside it and be multiples of 64"
    )]
    BadCut {
        /// Which cut, counted from 0.
        position: usize,
        /// Its offset.
        found: u64,
        /// Length of the loan.
        len: u64,
    },
}

/// Why a lease was refused.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The extent was retired, or never was in this arena. Cure: ask the controller for it afresh.
    #[error(
        "{asked} is stale: the extent was retired or belongs to another arena; \
         ask again where it lies now"
    )]
    Stale {
        /// The extent asked for.
        asked: ExtentId,
    },
    /// The arena was inherited through `fork`. Cure: make an arena in the child.
    #[error("this arena belongs to the parent process; a forked child must make its own")]
    ForeignProcess,
}

/// Why no view was given. The leases were dropped; the cure for every variant is a copy instead.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// Another live view covers some of the same pages.
    #[error("another live view covers pages of bytes {offset}..{end} of segment {segment}")]
    Busy {
        /// The segment.
        segment: u32,
        /// First byte asked for, within the segment.
        offset: u64,
        /// Past the last byte asked for.
        end: u64,
    },
    /// No views here: the kernel lacks `PAGEMAP_SCAN` (Linux 6.7), or the process was forked.
    #[error("views need Linux 6.7 or newer (PAGEMAP_SCAN) and the process that made the arena")]
    Unsupported,
    /// No leases, or leases that do not lie end to end in one segment of this arena.
    #[error("lease number {position} does not continue the one before it in the same segment")]
    NotAdjacent {
        /// The first lease that breaks the run, counted from 0.
        position: usize,
    },
    /// The bytes asked for are not all inside the leases.
    #[error("bytes {offset}..+{len} were asked for, the leases hold {held} bytes")]
    OutOfBounds {
        /// First byte asked for, from the start of the first lease.
        offset: u64,
        /// How many were asked for.
        len: u64,
        /// How many the leases hold together.
        held: u64,
    },
    /// The operating system refused the private mapping or the thread that reverts views.
    #[error("the private mapping of segment {segment} is not to be had: {source}")]
    System {
        /// The segment.
        segment: u32,
        /// What the system said.
        source: io::Error,
    },
}

/// Why the pool had no buffer to give.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The operating system gave no memory. Cure: look at limits on memory and address space.
    #[error("no buffer of {asked} bytes: {source}")]
    System {
        /// Bytes asked for.
        asked: u64,
        /// What the system said.
        source: io::Error,
    },
}

/// Why the file of a segment was not handed out.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// No segment of this arena. Cure: ask for the segment of a lease or loan that is alive.
    #[error("segment {asked} is not of this arena, or was given back to the system")]
    Unknown {
        /// The segment asked for.
        asked: u32,
    },
    /// The operating system gave no file descriptor. Cure: raise the limit on open files.
    #[error("the file of segment {segment} cannot be handed out: {source}")]
    System {
        /// The segment asked for.
        segment: u32,
        /// What the system said.
        source: io::Error,
    },
    /// The arena was inherited through `fork`. Cure: make an arena in the child.
    #[error("this arena belongs to the parent process; a forked child must make its own")]
    ForeignProcess,
}

/// Why a segment of another process was not attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The file is no sealed memory file, or the system did not map it. Cure: the host must send
    /// the file that [`crate::Arena::segment_file`] gave it.
    #[error("the file that came as segment {segment} cannot be mapped: {source}")]
    Refused {
        /// The segment, by the host's number.
        segment: u32,
        /// What is wrong with the file.
        source: io::Error,
    },
    /// The file is not as long as was said. Cure: as for [`AttachError::Refused`].
    #[error("segment {segment} was announced with {announced} bytes, its file has {found}")]
    Length {
        /// The segment, by the host's number.
        segment: u32,
        /// Bytes the host said.
        announced: u64,
        /// Bytes of the file.
        found: u64,
    },
    /// Another file was attached under that number. Cure: one arena per host.
    #[error("segment {segment} is attached already, with another file; use one arena per host")]
    Taken {
        /// The segment, by the host's number.
        segment: u32,
    },
    /// The arena was inherited through `fork`. Cure: make an arena in the child.
    #[error("this arena belongs to the parent process; a forked child must make its own")]
    ForeignProcess,
}

/// Why bytes that the host granted are not to be had. Each but the last means that the host
/// contradicts itself: end the session with it.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// The segment was never attached. Cure: ask the host for its file first.
    #[error("segment {segment} is not attached; ask the host for its file first")]
    UnknownSegment {
        /// The segment, by the host's number.
        segment: u32,
    },
    /// The bytes do not lie inside the segment.
    #[error("bytes {offset}..+{len} were granted of segment {segment}, which has {held}")]
    OutOfBounds {
        /// The segment, by the host's number.
        segment: u32,
        /// First byte granted.
        offset: u64,
        /// How many were granted.
        len: u64,
        /// Bytes of the segment.
        held: u64,
    },
    /// Somebody in this process writes some of the bytes, or reads what was granted for writing.
    #[error(
        "bytes {offset}..+{len} of segment {segment} were granted, but this process still writes \
         some of them, or reads what it is to write"
    )]
    InUse {
        /// The segment, by the host's number.
        segment: u32,
        /// First byte granted.
        offset: u64,
        /// How many were granted.
        len: u64,
    },
    /// The arena was inherited through `fork`. Cure: make an arena in the child.
    #[error("this arena belongs to the parent process; a forked child must make its own")]
    ForeignProcess,
}
