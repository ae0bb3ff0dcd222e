//! Segments of one arena mapped by another, as a guest process maps those of its host.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::*;
use rustix::fs::{MemfdFlags, SealFlags};
use tq_arena::{
    Arena, ArenaConfig, AttachError, Extent, GrantError, GuestArena, Lease, LoanError,
    SegmentError, SegmentRange, ViewError,
};

const LEN: u64 = 40 * PAGE;

/// Counts the releases that ran.
#[derive(Clone, Default)]
struct Released(Arc<AtomicUsize>);

impl Released {
    fn on_release(&self) -> Box<dyn FnOnce() + Send> {
        let count = Arc::clone(&self.0);
        Box::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
        })
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn wait(&self, wanted: usize) {
        let begun = std::time::Instant::now();
        while self.count() < wanted {
            assert!(begun.elapsed() < std::time::Duration::from_secs(30));
            std::thread::yield_now();
        }
        assert_eq!(self.count(), wanted);
    }
}

fn attach(guest: &GuestArena, host: &Arena, segment: u32) {
    let shared = host.segment_file(segment).unwrap();
    guest.attach(segment, shared.file, shared.len).unwrap();
}

fn nothing() -> Box<dyn FnOnce() + Send> {
    Box::new(|| {})
}

/// A host with one extent, and a guest that has its segment.
fn pair(seed: u64) -> (Arena, Extent, GuestArena, SegmentRange) {
    let host = arena();
    let extent = extent(&host, LEN, seed);
    let range = extent.id().range();
    let guest = GuestArena::new();
    attach(&guest, &host, range.segment);
    (host, extent, guest, range)
}

fn lease(guest: &GuestArena, range: SegmentRange, released: &Released) -> Lease {
    guest
        .lease_remote(
            range.segment,
            range.offset,
            range.len,
            released.on_release(),
        )
        .unwrap()
}

#[test]
fn the_last_clone_releases_once() {
    let (_host, _extent, guest, range) = pair(1);
    let released = Released::default();
    let first = lease(&guest, range, &released);
    assert!(is_filled(first.as_slice(), 1, 0));
    let copies = vec![first.clone(), first.clone()];
    drop(first);
    std::thread::scope(|scope| {
        for copy in copies {
            scope.spawn(move || {
                assert!(is_filled(copy.as_slice(), 1, 0));
                drop(copy);
            });
        }
    });
    assert_eq!(released.count(), 1);
}

#[test]
fn leases_name_segments_by_numbers_of_this_process() {
    let (host, _extent, guest, range) = pair(1);
    let lease = lease(&guest, range, &Released::default());
    let id = lease.id();
    assert_ne!(id.segment, range.segment, "the host's own number here");
    assert_eq!(
        (id.offset, id.len, id.generation),
        (range.offset, range.len, 0)
    );
    assert!(host.lease(id).is_err() && guest.arena().lease(id).is_err());
    let error = host.view(vec![lease.clone()], 0, 1).unwrap_err();
    assert!(matches!(
        error,
        ViewError::NotAdjacent { position: 0 } | ViewError::Unsupported
    ));
}

#[test]
fn views_of_host_and_guest_know_nothing_of_each_other() {
    if !views_supported() {
        return;
    }
    let (host, extent, guest, range) = pair(1);
    let released = Released::default();
    let theirs = guest
        .arena()
        .view(vec![lease(&guest, range, &released)], 0, LEN)
        .unwrap();
    let ours = host.view(vec![extent.lease()], 0, LEN).unwrap();
    write(&theirs, 7, !pattern(1, 7));
    write(&ours, 9, !pattern(1, 9));
    assert_eq!(read(&theirs)[7], !pattern(1, 7));
    assert_eq!(read(&theirs)[9], pattern(1, 9));
    assert_eq!(read(&ours)[7], pattern(1, 7));
    assert!(is_filled(extent.lease().as_slice(), 1, 0));
    assert_eq!(released.count(), 0);
    drop(theirs);
    released.wait(1);
}

#[test]
fn a_release_comes_after_the_revert() {
    if !views_supported() {
        return;
    }
    let (_host, _extent, guest, range) = pair(1);
    for _round in 0..20 {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let seen = Mutex::new(Some(sender));
        let again = guest.clone();
        let release = Box::new(move || {
            // A view from in here: no lock is held, and what was written is gone.
            let lease = again
                .lease_remote(range.segment, range.offset, range.len, nothing())
                .unwrap();
            let view = again.arena().view(vec![lease], 0, LEN).unwrap();
            let clean = is_filled(&read(&view), 1, 0);
            // Before the next round, whose views it would keep off.
            drop(view);
            seen.lock().unwrap().take().unwrap().send(clean).unwrap();
        });
        let lease = guest
            .lease_remote(range.segment, range.offset, range.len, release)
            .unwrap();
        // Two views, so that one revert may claim both.
        let parts = [0, LEN / 2].map(|at| guest.arena().view(vec![lease.clone()], at, LEN / 2));
        drop(lease);
        for view in parts {
            write(&view.unwrap(), 5, 0xFF);
        }
        assert!(receiver.recv().unwrap());
    }
}

#[test]
fn the_arena_may_end_inside_a_release() {
    if !views_supported() {
        return;
    }
    let (_host, _extent, guest, range) = pair(1);
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let last = guest.clone();
    let release = Box::new(move || {
        drop(last);
        sender.send(()).unwrap();
    });
    let lease = guest
        .lease_remote(range.segment, range.offset, range.len, release)
        .unwrap();
    let view = guest.arena().view(vec![lease], 0, LEN).unwrap();
    drop(guest);
    drop(view);
    receiver.recv().unwrap();
}

#[test]
fn an_arena_that_ends_releases_what_is_not_held() {
    if !views_supported() {
        return;
    }
    let released = Released::default();
    for _round in 0..20 {
        let (_host, _extent, guest, range) = pair(1);
        let before = released.count();
        let view = |at| {
            let lease = lease(&guest, range, &released);
            guest.arena().view(vec![lease], at, PAGE).unwrap()
        };
        let views: Vec<_> = (0..8).map(|at| view(at * PAGE)).collect();
        let kept = view(20 * PAGE);
        views.iter().for_each(|view| write(view, 0, 1));
        drop(views);
        assert!(guest.detach(range.segment));
        drop(guest);
        released.wait(before + 8);
        assert!(is_filled(&read(&kept), 1, 20 * PAGE));
        drop(kept);
        released.wait(before + 9);
    }
}

#[test]
fn a_release_that_panics_stays_by_itself() {
    if !views_supported() {
        return;
    }
    let (_host, _extent, guest, range) = pair(1);
    let panics = || std::panic::resume_unwind(Box::new("as asked by the test"));
    let ask = || {
        guest
            .lease_remote(range.segment, range.offset, range.len, Box::new(panics))
            .unwrap()
    };
    drop(ask());
    drop(guest.arena().view(vec![ask()], 0, LEN).unwrap());
    // The thread that reverts still does.
    let released = Released::default();
    let view = guest
        .arena()
        .view(vec![lease(&guest, range, &released)], 0, LEN);
    drop(view.unwrap());
    released.wait(1);
}

#[test]
fn a_guest_fills_a_loan_and_the_host_commits_it() {
    let host = arena();
    let loan = host.loan(LEN).unwrap();
    let range = loan.range();
    assert_eq!(range.len, LEN);
    let guest = GuestArena::new();
    attach(&guest, &host, range.segment);
    let half = LEN / 2;
    let write = |at, len| guest.write_remote(range.segment, range.offset + at, len);
    let mut left = write(0, half).unwrap();
    let mut right = write(half, half).unwrap();
    assert!(matches!(write(half - 1, 1), Err(GrantError::InUse { .. })));
    let read = guest.lease_remote(range.segment, range.offset, 1, nothing());
    assert!(matches!(read, Err(GrantError::InUse { .. })));
    std::thread::scope(|scope| {
        scope.spawn(|| fill(left.as_mut_slice(), 1));
        scope.spawn(|| fill(right.as_mut_slice(), 2));
    });
    assert_eq!((left.len(), left.is_empty()), (half, false));
    drop((left, right));
    let extent = loan.commit(&[]).unwrap().remove(0);
    let lease = lease(&guest, extent.id().range(), &Released::default());
    assert!(is_filled(&lease.as_slice()[..half as usize], 1, 0));
    assert!(is_filled(&extent.lease().as_slice()[half as usize..], 2, 0));
    assert!(matches!(write(0, 1), Err(GrantError::InUse { .. })));
    drop(lease);
    // As after a clear, when the host loans the bytes to this guest once more.
    assert!(write(0, LEN).is_ok());
}

#[test]
fn numbers_that_cannot_be_true_are_errors() {
    let (host, _extent, guest, range) = pair(1);
    let held = host.segment_file(range.segment).unwrap().len;
    for (offset, len) in [(held, 1), (0, held + 1), (u64::MAX, 1), (1, u64::MAX)] {
        let read = guest.lease_remote(range.segment, offset, len, nothing());
        assert!(matches!(read, Err(GrantError::OutOfBounds { held: found, .. }) if found == held));
        let write = guest.write_remote(range.segment, offset, len);
        assert!(matches!(write, Err(GrantError::OutOfBounds { .. })));
    }
    let released = Released::default();
    let unknown = guest.lease_remote(u32::MAX, 0, 1, released.on_release());
    assert!(matches!(
        unknown,
        Err(GrantError::UnknownSegment { segment: u32::MAX })
    ));
    assert_eq!(released.count(), 0, "an error runs no release");
    let empty = guest
        .lease_remote(range.segment, held, 0, released.on_release())
        .unwrap();
    assert!(empty.as_slice().is_empty());
    drop(empty);
    assert_eq!(released.count(), 1);
}

#[test]
fn only_sealed_memory_files_of_the_length_announced_are_attached() {
    let guest = GuestArena::new();
    let memfd = |len: u64, seals: SealFlags| -> OwnedFd {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = rustix::fs::memfd_create("test", flags).unwrap();
        rustix::fs::ftruncate(&file, len).unwrap();
        rustix::fs::fcntl_add_seals(&file, seals).unwrap();
        file
    };
    let sealed = SealFlags::SHRINK | SealFlags::GROW;
    let unfit = [
        OwnedFd::from(File::open("/proc/self/exe").unwrap()),
        std::io::pipe().unwrap().0.into(),
        memfd(PAGE, SealFlags::SHRINK),
        memfd(PAGE, SealFlags::GROW),
        memfd(0, sealed),
        memfd(PAGE + 1, sealed),
        memfd(PAGE, sealed | SealFlags::WRITE),
    ];
    for file in unfit {
        let error = guest.attach(0, file, PAGE).unwrap_err();
        assert!(
            matches!(error, AttachError::Refused { segment: 0, .. }),
            "{error}"
        );
    }
    for announced in [0, PAGE - 1, 2 * PAGE, u64::MAX] {
        let error = guest.attach(0, memfd(PAGE, sealed), announced).unwrap_err();
        assert!(
            matches!(error, AttachError::Length { found: PAGE, .. }),
            "{error}"
        );
    }
    assert!(!guest.is_attached(0));
    guest.attach(0, memfd(PAGE, sealed), PAGE).unwrap();
    let taken = guest.attach(0, memfd(PAGE, sealed), PAGE);
    assert!(matches!(taken, Err(AttachError::Taken { segment: 0 })));
    assert_eq!(guest.arena().usage().segments, 1);
}

#[test]
fn a_segment_is_mapped_once_and_forgotten_when_told() {
    let (host, extent, guest, range) = pair(1);
    attach(&guest, &host, range.segment);
    assert_eq!(guest.arena().usage().segments, 1);
    let lease = lease(&guest, range, &Released::default());
    assert!(guest.detach(range.segment) && !guest.detach(range.segment));
    assert!(!guest.is_attached(range.segment));
    assert_eq!(guest.arena().usage().segments, 0);
    drop(extent);
    assert_eq!(
        lease.as_slice().len() as u64,
        LEN,
        "mapped as long as it is leased"
    );
}

#[test]
fn a_guest_has_nothing_to_loan_or_to_hand_on() {
    let (host, _extent, guest, range) = pair(1);
    let loan = guest.arena().loan(1);
    assert!(matches!(loan, Err(LoanError::Guest { asked: 1 })));
    let local = lease(&guest, range, &Released::default()).id().segment;
    let file = guest.arena().segment_file(local);
    assert!(matches!(file, Err(SegmentError::Unknown { asked }) if asked == local));
    assert!(matches!(
        host.segment_file(u32::MAX),
        Err(SegmentError::Unknown { .. })
    ));
}

#[test]
fn what_the_host_gives_back_to_the_system_is_gone_from_the_guest_too() {
    let host = arena_with(ArenaConfig {
        segment_bytes: 2 << 20,
        retain_bytes: 0,
        ..ArenaConfig::default()
    });
    let extent = extent(&host, LEN, 1);
    let range = extent.id().range();
    let file = host.segment_file(range.segment).unwrap().file;
    let blocks = || rustix::fs::fstat(&file).unwrap().st_blocks;
    assert!(blocks() > 0);
    drop(extent);
    settle(&host, |usage| usage.segments == 0);
    let begun = std::time::Instant::now();
    while blocks() > 0 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(30));
        std::thread::yield_now();
    }
}

#[test]
fn holds_on_remote_memory_pass_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Lease>();
    shared::<GuestArena>();
    shared::<tq_arena::RemoteLoan>();
}
