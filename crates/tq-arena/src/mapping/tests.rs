use std::io;

use super::*;

#[allow(clippy::unwrap_used)]
fn mapped(pages: u64) -> (SharedMap, Piece) {
    SharedMap::for_trial(pages * page_bytes()).unwrap()
}

#[test]
fn a_segment_file_is_owner_only_and_cannot_be_resized() {
    let (map, _piece) = mapped(1);
    let mode = rustix::fs::fstat(&map.file).unwrap().st_mode;
    assert_eq!(mode & 0o777, 0o600);
    assert!(rustix::fs::ftruncate(&map.file, 0).is_err());
}

#[test]
#[cfg(target_os = "linux")]
fn huge_pages_are_asked_for_in_both_mappings() {
    if !std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
        return; // such a kernel has none to ask for
    }
    let (map, _piece) = mapped(1);
    let private = map.private().unwrap();
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    for start in [map.mapped.at(0, 1), private.at(0, 1)] {
        let head = format!("{:08x}-", start.addr());
        let own = smaps.split(&head).nth(1).unwrap();
        let flags = own
            .lines()
            .find(|line| line.starts_with("VmFlags"))
            .unwrap();
        assert!(flags.split(' ').any(|flag| flag == "hg"), "{flags}");
    }
}

#[test]
fn a_collapsed_chunk_is_mapped_whole_with_its_bytes_in_both_mappings() {
    if !can_collapse() {
        eprintln!("skipped: this system puts no pages together");
        return;
    }
    let (map, mut piece) = mapped(2 * CHUNK / page_bytes());
    let private = map.private().unwrap();
    // A page written in the private mapping stays its own.
    map.bytes_mut(&mut piece, 2 * CHUNK).fill(1);
    // SAFETY: one byte inside the mapping; nobody else knows of it.
    unsafe { private.at(CHUNK, 1).write_volatile(2) };
    for chunk in [0..CHUNK, CHUNK..2 * CHUNK] {
        map.collapse(chunk).unwrap();
    }
    assert!(map.bytes(&piece, 2 * CHUNK).iter().all(|byte| *byte == 1));
    // SAFETY: as above.
    let peek = |offset| unsafe { private.at(offset, 1).read_volatile() };
    assert_eq!([0, CHUNK, CHUNK + 1].map(peek), [1, 2, 1]);

    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let head = format!("{:08x}-", map.mapped.at(0, 1).addr());
    let own = smaps.split(&head).nth(1).unwrap();
    let huge = own.lines().find(|line| line.starts_with("ShmemPmdMapped"));
    assert!(huge.unwrap().contains(" 4096 kB"), "{huge:?}");
}

#[test]
fn a_private_mapping_that_was_written_to_can_be_put_together_once_it_is_reverted() {
    if !can_collapse() {
        eprintln!("skipped: this system puts no pages together");
        return;
    }
    let (map, mut piece) = mapped(CHUNK / page_bytes());
    map.bytes_mut(&mut piece, CHUNK).fill(1);
    let private = map.private().unwrap();
    let peek = |offset| {
        // SAFETY: one byte inside the mapping; nobody else knows of it.
        unsafe { private.at(offset, 1).read_volatile() }
    };
    // SAFETY: as in `peek`.
    unsafe { private.at(0, 1).write_volatile(2) };
    assert_eq!([peek(0), peek(page_bytes())], [2, 1]);
    private.revert(0..page_bytes()).unwrap();
    map.collapse(0..CHUNK).unwrap();
    private.collapse(0..CHUNK).unwrap();
    assert_eq!([peek(0), peek(page_bytes())], [1, 1]);
    map.bytes_mut(&mut piece, CHUNK).fill(3);
    assert_eq!([peek(0), peek(CHUNK - 1)], [3, 3]);
}

#[test]
fn a_chunk_without_pages_is_not_collapsed() {
    let (map, piece) = mapped(CHUNK / page_bytes());
    assert!(map.collapse(0..CHUNK).is_err());
    assert_eq!(map.bytes(&piece, 1), [0]);
}

#[test]
fn long_mappings_start_where_a_huge_page_can() {
    for len in [1, page_bytes(), CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK] {
        let mapped = Mapped::new(len, None, MapFlags::PRIVATE).unwrap();
        assert!(len < CHUNK || (mapped.at(0, 1).addr() as u64).is_multiple_of(CHUNK));
        // SAFETY: the last byte of the mapping; nobody else knows of it.
        unsafe { mapped.at(len - 1, 1).write_volatile(1) };
    }
}

#[test]
fn punched_bytes_read_as_zeros() {
    let (map, mut piece) = mapped(2);
    map.bytes_mut(&mut piece, 10).fill(9);
    map.punch(&mut piece).unwrap();
    assert_eq!(map.bytes(&piece, 10), [0; 10]);
}

#[test]
#[should_panic(expected = "asked of segment")]
fn a_piece_of_another_segment_is_refused() {
    let (_map, piece) = mapped(1);
    let other = SharedMap::create(u32::MAX - 2, page_bytes()).unwrap();
    let _ = other.bytes(&piece, 1);
}

#[test]
fn more_dirty_ranges_than_fit_one_scan_are_all_reverted() {
    let Some(scanner) = Scanner::open() else {
        return;
    };
    let pages = 3000;
    let page = page_bytes();
    let (map, mut piece) = mapped(pages);
    map.bytes_mut(&mut piece, pages * page).fill(5);
    let private = map.private().unwrap();
    // Every second page, so that no two ranges merge.
    for at in (0..pages).step_by(2) {
        // SAFETY: inside the mapping, which nothing else uses.
        unsafe { private.at(at * page, 1).write(6) };
    }
    let inner = page..(pages - 1) * page;
    assert_eq!(
        scanner.revert(&private, inner).unwrap(),
        (pages / 2 - 1) * page
    );
    // SAFETY: as above.
    let byte = |at: u64| unsafe { private.at(at * page, 1).read() };
    assert_eq!(byte(0), 6, "outside the range asked for");
    assert!((1..pages).all(|at| byte(at) == 5));
    assert_eq!(scanner.revert(&private, 0..pages * page).unwrap(), page);
    assert_eq!(scanner.revert(&private, 0..pages * page).unwrap(), 0);
}

/// Runs `child` in a forked child only; true when it came to its end and returned true there. What
/// it captured leaks in this process.
fn in_forked_child(child: impl FnOnce() -> bool + std::panic::UnwindSafe) -> bool {
    // SAFETY: the child takes no lock that another thread may hold (that is what is tested; glibc
    // keeps its allocator usable after fork) and leaves through `_exit`.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", io::Error::last_os_error()),
        0 => {
            // A drop that waits for a lock held by nobody would hang: SIGALRM ends it.
            // SAFETY: async-signal-safe and without preconditions.
            unsafe { libc::alarm(20) };
            let done = std::panic::catch_unwind(child).unwrap_or(false);
            // SAFETY: as above.
            unsafe { libc::_exit(i32::from(!done)) }
        }
        pid => {
            std::mem::forget(child);
            let mut status = 0;
            // SAFETY: `pid` is our child and `status` a live integer.
            let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
            waited == pid && status == 0
        }
    }
}

#[test]
fn in_a_forked_child_drops_leak_and_requests_are_refused() {
    use std::panic::AssertUnwindSafe;

    use crate::{Arena, ArenaConfig, LeaseError, LoanError, ViewError, WarmPool};

    // Everything freed is given back to the system, so a child that freed something would show.
    let arena = Arena::new(ArenaConfig {
        retain_bytes: 0,
        ..ArenaConfig::default()
    })
    .unwrap();
    let len = 1 << 20;
    let mut loan = arena.loan(len).unwrap();
    loan.as_mut_slice().fill(1);
    let extent = loan.commit(&[]).unwrap().remove(0);
    let lease = extent.lease();
    let pool = WarmPool::new(len);
    let holds = (
        arena.view(vec![extent.lease()], 0, 4096).ok(),
        extent.lease(),
        arena.loan(len).unwrap(),
        extent,
        pool.take(len).unwrap(),
        pool,
    );
    let usage = arena.usage();
    let child = AssertUnwindSafe({
        let arena = arena.clone();
        let lease = lease.clone();
        move || {
            let refused = matches!(arena.loan(1), Err(LoanError::ForeignProcess))
                && matches!(arena.lease(lease.id()), Err(LeaseError::ForeignProcess))
                && matches!(arena.view(vec![lease], 0, 1), Err(ViewError::Unsupported))
                && arena.usage() == crate::ArenaUsage::default();
            drop(holds);
            drop(arena);
            refused
        }
    });
    // The lock is held while forking, so it is held for ever in the child.
    let ended = arena
        .shared()
        .registry
        .with_ledger(|_| in_forked_child(child));
    assert!(ended, "the child hung or failed");
    assert_eq!(arena.usage(), usage);
    assert!(lease.as_slice().iter().all(|byte| *byte == 1));
}

#[test]
fn in_a_forked_child_nothing_remote_is_released() {
    use std::panic::AssertUnwindSafe;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::sync::lock;
    use crate::{Arena, ArenaConfig, AttachError, GrantError, GuestArena, SegmentError};

    let host = Arena::new(ArenaConfig::default()).unwrap();
    let len = 1 << 20;
    let [read, written] = [host.loan(len).unwrap(), host.loan(len).unwrap()];
    let segment = read.range().segment;
    let guest = GuestArena::new();
    let shared = host.segment_file(segment).unwrap();
    let spare = shared.file.try_clone().unwrap();
    guest.attach(segment, shared.file, shared.len).unwrap();
    let released = Arc::new(AtomicBool::new(false));
    let [viewed, lease] = [Arc::clone(&released), Arc::clone(&released)].map(|tell| {
        let release = Box::new(move || tell.store(true, Ordering::SeqCst));
        let offset = read.range().offset;
        guest.lease_remote(segment, offset, len, release).unwrap()
    });
    let view = guest.arena().view(vec![viewed], 0, len).ok();
    let loan = guest.write_remote(segment, written.range().offset, len);
    let child = AssertUnwindSafe({
        let guest = guest.clone();
        let host = host.clone();
        move || {
            let again = guest.lease_remote(segment, 0, 1, Box::new(|| {}));
            let refused = matches!(again, Err(GrantError::ForeignProcess))
                && matches!(
                    guest.write_remote(segment, 0, 1),
                    Err(GrantError::ForeignProcess)
                )
                && matches!(
                    guest.attach(segment, spare, len),
                    Err(AttachError::ForeignProcess)
                )
                && matches!(
                    host.segment_file(segment),
                    Err(SegmentError::ForeignProcess)
                )
                && !guest.detach(segment);
            drop((view, lease, loan.unwrap(), guest, host));
            refused && !released.load(Ordering::SeqCst)
        }
    });
    // The locks are held while forking, so they are held for ever in the child.
    let segments = lock(&guest.attached);
    let grants = lock(&segments[&segment].grants);
    let ended = in_forked_child(child);
    drop(grants);
    drop(segments);
    assert!(ended, "the child hung or failed");
    assert!(guest.is_attached(segment));
}
