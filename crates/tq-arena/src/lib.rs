//! Warm shared-memory segments, and the loans, extents, leases and views on them.
//!
//! ```text
//! Arena::loan ─► Loan ─commit(cuts)─► Extent ─lease─► Lease ─► &[u8]     shared mapping
//!                writer              owner           reader
//!                                                    └─ Arena::view ─► View ─► *mut u8
//!                                                          private copy-on-write mapping
//! ```
//!
//! A segment is a memory file, mapped twice: shared, where loans are written and leases read, and
//! private (copy-on-write), kept for views. First touch of a page is slow and reuse is fast, so
//! freed memory stays resident and is handed out again first, and the private mapping is never made
//! anew.
//!
//! ```
//! use tq_arena::{Arena, ArenaConfig};
//!
//! let arena = Arena::new(ArenaConfig::default())?;
//! let mut loan = arena.loan(128)?;
//! loan.as_mut_slice().fill(7);
//! let extents = loan.commit(&[64])?;
//! let lease = arena.lease(extents[1].id())?;
//! drop(extents);
//! assert_eq!(lease.as_slice(), [7; 64]);
//! assert_eq!(arena.usage().retired, 64);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # When is a `&[u8]` over this memory sound?
//!
//! A shared slice promises that its bytes do not change. For memory that several parties map, that
//! holds only as long as nobody can write them, and so:
//!
//! 1. Bytes are written through a [`Loan`] only, which has them to itself. Committing ends the
//!    loan; what is committed is never written in place. Changing a sample means a new extent.
//! 2. A [`Lease`] slice is taken from the shared mapping. Views write to private pages, which the
//!    shared mapping never shows. Of the private mapping no slice is ever made, only raw pointers.
//! 3. A range is handed out again only after its owner *and* the last lease have gone ([`Extent`]
//!    drop and [`Lease`] drop meet in one atomic word, so exactly one of them frees it).
//! 4. A view's leases stay until its written pages were found and reverted, so a range with stale
//!    private pages is neither reused nor viewed again. Should the revert fail, those pages are
//!    never viewed again (their shared bytes are sound to use: no view ever wrote them).
//! 5. A lease by name is granted only if the generation matches an extent that still has its owner:
//!    an old [`ExtentId`] fails instead of reading a stranger's bytes.
//! 6. The memory file has no name, is 0600 and sealed against resizing, so that it is reached only by
//!    those it was handed to ([`Arena::segment_file`]). A process forked from this one can make no
//!    loan in it. The forked copy of a lease or view keeps nothing alive in the parent: it may be
//!    used only while the parent holds the original.
//! 7. Between processes there is a word to trust. The *host*, who owns the segment, vouches that
//!    bytes it leased to a *guest* are committed and stay so until the guest's release, and that
//!    bytes it loaned to a guest are nobody else's until the guest has said that it is done. The
//!    guest vouches that it writes nothing but such loans, and nothing after that word. Both are
//!    processes of one user, who may write each other's memory anyway (`ptrace`); a guest that dies
//!    writes no more, so its end is as good as its word, and the loss of a connection is not: host
//!    and guest must agree that the other is gone, or done. The kernel vouches for the length of
//!    the file, by its seals.
//! 8. Nothing rests on trust that can be checked: a [`GuestArena`] takes a file's length from the
//!    file, refuses ranges outside it, and grants no range for writing that is in use in its process,
//!    nor one for reading that is being written there. So no numbers a host sends make safe code
//!    hold two slices of one arena that exclude each other. Views of the guest are private to it, and a lease is
//!    released only when its dirtied pages were reverted (4), or can never be viewed again because
//!    the arena is closed.
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | `arena` | the handle: settings, usage, grants |
//! | `guest` | the handle on the segments of another process |
//! | `loan`, `extent`, `lease`, `view` | the holds on memory, one type each |
//! | `stripes` | a loan in parts, to be filled by several at once |
//! | `remote` | the holds on memory of another process |
//! | `mapped` | memory of another program that a library has mapped, as segments of it |
//! | `grants` | that what another process grants contradicts nothing held here |
//! | `pool` | warm memory of this process alone |
//! | `ledger`, `ranges`, `piece` | which bytes are free, warm, in use; that a range has one holder |
//! | `chunks` | which parts of a segment are in huge pages |
//! | `registry`, `hold` | who needs an extent, and who frees it; checked with loom |
//! | `busy` | which pages views may have written |
//! | `segment`, `shared`, `keeper` | memory and accounting together; the background thread |
//! | `mapping` | **the unsafe**: maps, slices, the page scan, copies past the cache |
//! | `process`, `sync`, `error` | fork detection; the door to locks and atomics; errors |

#[cfg(not(target_os = "linux"))]
compile_error!("tq-arena needs Linux: memfd, PAGEMAP_SCAN, MADV_DONTNEED");

mod arena;
mod busy;
mod chunks;
mod error;
mod extent;
mod grants;
mod guest;
mod hold;
mod keeper;
mod lease;
mod ledger;
mod loan;
mod mapped;
// Memory that is mapped, and shared with the kernel's idea of it, cannot be had without unsafe
// code; all of it is in here, each block argued.
#[allow(unsafe_code)]
mod mapping;
mod piece;
mod pool;
mod process;
mod ranges;
mod registry;
mod remote;
mod segment;
mod shared;
mod stripes;
mod sync;
mod view;

pub use arena::{Arena, ArenaConfig, ArenaUsage, SegmentFile};
pub use error::{
    ArenaError, AttachError, CommitError, GrantError, LeaseError, LoanError, SegmentError,
    TakeError, ViewError,
};
pub use extent::{Extent, ExtentId, SegmentRange};
pub use guest::GuestArena;
pub use lease::Lease;
pub use loan::Loan;
pub use mapped::MappedFiles;
pub use mapping::{copy_streamed, copy_streamed_raw};
pub use pool::{WarmBuffer, WarmPool};
pub use remote::RemoteLoan;
pub use stripes::{Stripe, Stripes};
pub use view::View;
