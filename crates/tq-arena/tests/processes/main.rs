//! Host and guest as processes of their own: this test program, run again.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod wire;

use std::io::stdin;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use common::*;
use tq_arena::{Arena, Extent, GuestArena, Lease, RemoteLoan, View};
use wire::{Other, SEED, Word, about, receive, send};

const LEN: u64 = 40 * PAGE;

/// What the other process holds.
#[derive(Default)]
struct Held {
    guest: GuestArena,
    lease: Option<Lease>,
    view: Option<View>,
    loans: Vec<RemoteLoan>,
    host: Option<(Arena, Extent)>,
}

/// The other process. Run by hand, it has nobody to listen to and ends at once.
#[test]
#[ignore = "started by the tests of this file"]
fn other_process() {
    let socket = Arc::new(stdin().as_fd().try_clone_to_owned().unwrap());
    let mut held = Held::default();
    while let Some(message) = receive(&socket) {
        let range = message.range;
        let done = match message.word {
            Word::Attach => {
                let attached = held
                    .guest
                    .attach(range.segment, message.file.unwrap(), range.len);
                attached.is_ok()
            }
            Word::Lease => {
                let tell = Arc::clone(&socket);
                let release = Box::new(move || send(&tell, Word::Released, about(0, 0), None));
                let Held { guest, lease, .. } = &mut held;
                let found = guest.lease_remote(range.segment, range.offset, range.len, release);
                *lease = found.ok();
                lease.is_some()
            }
            Word::Host => {
                be_host(&socket, &mut held, range.offset, range.len);
                true
            }
            Word::FillAndKeep | Word::Fill => {
                let place = (range.segment, range.offset, range.len);
                let mut loan = held.guest.write_remote(place.0, place.1, place.2).unwrap();
                fill(loan.as_mut_slice(), SEED);
                held.loans
                    .extend(Some(loan).filter(|_| message.word == Word::FillAndKeep));
                true
            }
            word => act(&mut held, word, range.offset),
        };
        send(&socket, Word::Done, about(0, u64::from(done)), None);
    }
}

fn act(held: &mut Held, word: Word, seed: u64) -> bool {
    match word {
        Word::CompareLease => is_filled(held.lease.as_ref().unwrap().as_slice(), seed, 0),
        Word::CompareView => is_filled(&read(held.view.as_ref().unwrap()), seed, 0),
        Word::View => {
            let lease = held.lease.clone().unwrap();
            let len = lease.range().len;
            held.view = held.guest.arena().view(vec![lease], 0, len).ok();
            held.view.is_some()
        }
        Word::Scribble => {
            let view = held.view.as_ref().unwrap();
            (0..view.len()).for_each(|at| write(view, at, 0x5A));
            read(view).iter().all(|byte| *byte == 0x5A)
        }
        Word::DropLease => held.lease.take().is_some(),
        Word::DropView => held.view.take().is_some(),
        other => panic!("{other:?} is no order"),
    }
}

fn be_host(socket: &OwnedFd, held: &mut Held, seed: u64, len: u64) {
    let arena = arena();
    let extent = extent(&arena, len, seed);
    let range = extent.id().range();
    let shared = arena.segment_file(range.segment).unwrap();
    send(
        socket,
        Word::Attach,
        about(0, shared.len),
        Some(shared.file.as_fd()),
    );
    send(socket, Word::Lease, range, None);
    held.host = Some((arena, extent));
}

/// A guest that has a lease on the extent, and a view where there are views.
fn guest_of(host: &Arena, extent: &Extent, seed: u64) -> Other {
    let guest = Other::start();
    let range = extent.id().range();
    guest.attach(host, range.segment);
    assert!(guest.ask(Word::Lease, range));
    assert!(guest.ask(Word::CompareLease, about(seed, 0)));
    if views_supported() {
        assert!(guest.ask(Word::View, about(0, 0)));
        assert!(guest.ask(Word::CompareView, about(seed, 0)));
        assert!(guest.ask(Word::Scribble, about(0, 0)));
    }
    guest
}

#[test]
fn what_a_guest_writes_to_a_view_reaches_nobody() {
    let host = arena();
    let extent = extent(&host, LEN, 1);
    let first = guest_of(&host, &extent, 1);
    // Finds what is stored, and then writes, while the first still shows its own.
    let _second = guest_of(&host, &extent, 1);
    assert!(first.ask(Word::CompareLease, about(1, 0)));
    assert!(is_filled(extent.lease().as_slice(), 1, 0));
    if views_supported() {
        assert!(!first.ask(Word::CompareView, about(1, 0)));
        let view = host.view(vec![extent.lease()], 0, LEN).unwrap();
        assert!(is_filled(&read(&view), 1, 0));
    }
}

#[test]
fn bytes_are_used_again_after_the_release_of_the_guest_and_not_before() {
    let host = arena();
    let first = extent(&host, LEN, 1);
    let range = first.id().range();
    // What the host holds for the guest, as long as that has not released it.
    let held = first.lease();
    let guest = guest_of(&host, &first, 1);
    drop(first);
    let second = extent(&host, LEN, 2);
    assert_ne!(second.id().offset, range.offset);
    assert!(guest.ask(Word::CompareLease, about(1, 0)));
    assert!(guest_lets_go(&guest));
    drop(held);
    let third = extent(&host, LEN, 3);
    assert_eq!(third.id().range(), range);
    assert!(guest.ask(Word::Lease, range));
    assert!(guest.ask(Word::CompareLease, about(3, 0)));
    if views_supported() {
        assert!(guest.ask(Word::View, about(0, 0)));
        assert!(guest.ask(Word::CompareView, about(3, 0)));
    }
}

/// Drops the lease and then the view; true when the release came with the last of them.
fn guest_lets_go(guest: &Other) -> bool {
    if !views_supported() {
        send(&guest.socket, Word::DropLease, about(0, 0), None);
        guest.released();
        return guest.answer();
    }
    assert!(guest.ask(Word::DropLease, about(0, 0)), "the view holds it");
    send(&guest.socket, Word::DropView, about(0, 0), None);
    // The thread that reverts tells the one, the other thread the other.
    let words = [receive(&guest.socket), receive(&guest.socket)].map(|it| it.unwrap().word);
    words.contains(&Word::Done) && words.contains(&Word::Released)
}

#[test]
fn a_guest_writes_what_the_host_commits() {
    let host = arena();
    let loan = host.loan(LEN).unwrap();
    let guest = Other::start();
    guest.attach(&host, loan.range().segment);
    assert!(guest.ask(Word::Fill, loan.range()));
    let extent = loan.commit(&[]).unwrap().remove(0);
    assert!(is_filled(extent.lease().as_slice(), SEED, 0));
    assert!(guest.ask(Word::Lease, extent.id().range()));
    assert!(guest.ask(Word::CompareLease, about(SEED, 0)));
}

#[test]
fn the_death_of_a_guest_breaks_nothing_of_the_host() {
    let host = arena();
    let kept = extent(&host, LEN, 1);
    let held = kept.lease();
    let loan = host.loan(LEN).unwrap();
    let lost = loan.range();
    let mut guest = guest_of(&host, &kept, 1);
    guest.attach(&host, lost.segment);
    assert!(guest.ask(Word::FillAndKeep, lost));
    guest.kill();
    assert!(receive(&guest.socket).is_none(), "the host hears of it");
    drop((held, loan));
    assert!(is_filled(kept.lease().as_slice(), 1, 0));
    let again = extent(&host, LEN, 2);
    assert_eq!(again.id().range(), lost);
    let _next = guest_of(&host, &again, 2);
    assert!(is_filled(again.lease().as_slice(), 2, 0));
}

#[test]
fn the_death_of_the_host_leaves_the_guest_its_bytes() {
    let mut host = Other::start();
    send(&host.socket, Word::Host, about(1, LEN), None);
    let [file, range] = [receive(&host.socket), receive(&host.socket)].map(Option::unwrap);
    assert!(host.answer());
    let guest = GuestArena::new();
    let segment = range.range.segment;
    guest
        .attach(segment, file.file.unwrap(), file.range.len)
        .unwrap();
    let (sender, receiver) = sync_channel(1);
    let release = Box::new(move || sender.send(()).unwrap());
    let lease = guest
        .lease_remote(segment, range.range.offset, LEN, release)
        .unwrap();
    let view = views_supported().then(|| {
        let view = guest.arena().view(vec![lease.clone()], 0, LEN).unwrap();
        write(&view, 0, !pattern(1, 0));
        view
    });
    host.kill();
    assert!(is_filled(lease.as_slice(), 1, 0));
    if let Some(view) = &view {
        // Pages that were never touched while the host lived are there too.
        assert!(is_filled(&read(view)[1..], 1, 1));
        (0..LEN).for_each(|at| write(view, at, 7));
    }
    drop((lease, view));
    receiver.recv().unwrap();
}
