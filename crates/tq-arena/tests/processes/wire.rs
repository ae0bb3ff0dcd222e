//! Messages between the processes of these tests, with files attached.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use tq_arena::{Arena, SegmentRange};

/// What a process is told to do, or tells the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub(crate) enum Word {
    /// Attach the segment whose file comes along; `len` is the file's.
    Attach,
    /// Take a lease on a range.
    Lease,
    /// Compare the bytes under lease, and those of the view, with a seed in `offset`.
    CompareLease,
    CompareView,
    /// Open a view of all that is under lease.
    View,
    /// Write all over the view.
    Scribble,
    /// Let go of the lease; of the view.
    DropLease,
    DropView,
    /// Fill a loaned range with the seed that is `SEED`; keep it, or let go of it.
    FillAndKeep,
    Fill,
    /// Be a host: make an extent of `len` bytes by the seed in `offset`, and say where.
    Host,
    /// Done; `len` is 1 for yes.
    Done,
    /// A release ran.
    Released,
}

const WORDS: [Word; 13] = [
    Word::Attach,
    Word::Lease,
    Word::CompareLease,
    Word::CompareView,
    Word::View,
    Word::Scribble,
    Word::DropLease,
    Word::DropView,
    Word::FillAndKeep,
    Word::Fill,
    Word::Host,
    Word::Done,
    Word::Released,
];

/// Seed of what a guest fills.
pub(crate) const SEED: u64 = 77;

/// A word with a range: what it is about, where it is about one.
pub(crate) struct Message {
    pub(crate) word: Word,
    pub(crate) range: SegmentRange,
    pub(crate) file: Option<OwnedFd>,
}

/// Numbers for a word that is about no range.
pub(crate) fn about(offset: u64, len: u64) -> SegmentRange {
    SegmentRange {
        segment: 0,
        offset,
        len,
    }
}

pub(crate) fn send(to: impl AsFd, word: Word, range: SegmentRange, file: Option<BorrowedFd<'_>>) {
    let numbers = [
        word as u64,
        u64::from(range.segment),
        range.offset,
        range.len,
    ];
    let bytes: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut attached = SendAncillaryBuffer::new(&mut space);
    let files: Vec<_> = file.into_iter().collect();
    if !files.is_empty() {
        assert!(attached.push(SendAncillaryMessage::ScmRights(&files)));
    }
    let sent = sendmsg(
        to,
        &[IoSlice::new(&bytes)],
        &mut attached,
        SendFlags::NOSIGNAL,
    );
    assert_eq!(sent.unwrap(), bytes.len());
}

/// The next message; `None` where the other process has ended.
pub(crate) fn receive(from: impl AsFd) -> Option<Message> {
    let mut bytes = [0; 32];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut attached = RecvAncillaryBuffer::new(&mut space);
    let buffer = &mut [IoSliceMut::new(&mut bytes)];
    let got = recvmsg(from, buffer, &mut attached, RecvFlags::CMSG_CLOEXEC).ok()?;
    if got.bytes == 0 {
        return None;
    }
    let file = attached.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    let number = |at: usize| u64::from_le_bytes(bytes[8 * at..8 * at + 8].try_into().unwrap());
    Some(Message {
        word: WORDS[number(0) as usize],
        range: SegmentRange {
            segment: number(1) as u32,
            offset: number(2),
            len: number(3),
        },
        file,
    })
}

/// Another process that runs `other_process`, killed at the end.
pub(crate) struct Other {
    child: Child,
    pub(crate) socket: OwnedFd,
}

impl Other {
    pub(crate) fn start() -> Self {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "other_process", "--nocapture"])
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            socket: ours,
        }
    }

    /// Says a word and waits for the answer: whether it is yes.
    pub(crate) fn ask(&self, word: Word, range: SegmentRange) -> bool {
        send(&self.socket, word, range, None);
        self.answer()
    }

    pub(crate) fn answer(&self) -> bool {
        let message = receive(&self.socket).unwrap();
        assert_eq!(message.word, Word::Done);
        message.range.len == 1
    }

    pub(crate) fn attach(&self, host: &Arena, segment: u32) {
        let shared = host.segment_file(segment).unwrap();
        let range = SegmentRange {
            segment,
            offset: 0,
            len: shared.len,
        };
        send(&self.socket, Word::Attach, range, Some(shared.file.as_fd()));
        assert!(self.answer());
    }

    /// Waits until it tells that a release ran.
    pub(crate) fn released(&self) {
        let message = receive(&self.socket).unwrap();
        assert_eq!(message.word, Word::Released);
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
