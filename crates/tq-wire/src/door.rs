//! Segments handed over as file descriptors.
//!
//! ```text
//! guest -> host   session u64, segment u32
//! host -> guest   bytes u64 (0: no such segment), and with it the descriptor
//! ```
//!
//! Numbers are little-endian. A guest asks as often as it needs over one connection, which it keeps
//! open as long as it has a segment mapped: its end tells the host that nothing is read or written
//! there any more.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Bytes of a request.
pub const REQUEST_BYTES: usize = 12;
const REPLY_BYTES: usize = 8;

/// The request for a segment.
#[must_use]
pub fn request(session: u64, segment: u32) -> [u8; REQUEST_BYTES] {
    let mut bytes = [0; REQUEST_BYTES];
    bytes[..8].copy_from_slice(&session.to_le_bytes());
    bytes[8..].copy_from_slice(&segment.to_le_bytes());
    bytes
}

/// Session and segment of a request.
#[must_use]
pub fn read_request(bytes: [u8; REQUEST_BYTES]) -> (u64, u32) {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
    (
        u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        u32::from_le_bytes([i, j, k, l]),
    )
}

/// Sends a segment of `bytes` bytes, or that there is none.
///
/// # Errors
/// What the socket says; `WouldBlock` among it, with nothing sent.
pub fn send(socket: impl AsFd, segment: Option<(BorrowedFd<'_>, u64)>) -> io::Result<()> {
    let bytes = segment.map_or(0, |(_, bytes)| bytes).to_le_bytes();
    let fds = segment.map(|(fd, _)| [fd]);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if let Some(fds) = &fds {
        ancillary.push(SendAncillaryMessage::ScmRights(fds));
    }
    let sent = sendmsg(
        socket,
        &[IoSlice::new(&bytes)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    if sent == REPLY_BYTES {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::WriteZero,
            "a segment's length was sent in part",
        ))
    }
}

/// Receives what [`send`] sends: a descriptor, closed on exec, and the segment's bytes. `None` where
/// the host has no such segment.
///
/// # Errors
/// What the socket says; `InvalidData` where the reply is no such message, `UnexpectedEof` where the
/// host has left.
pub fn receive(socket: impl AsFd) -> io::Result<Option<(OwnedFd, u64)>> {
    let mut bytes = [0; REPLY_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut fds = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten();
    let (first, second) = (fds.next(), fds.next());
    match (received.bytes, u64::from_le_bytes(bytes), first, second) {
        (REPLY_BYTES, 0, None, None) => Ok(None),
        (REPLY_BYTES, len, Some(fd), None) if len > 0 => Ok(Some((fd, len))),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the host's answer is no segment",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn requests_are_read_as_they_are_written() {
        let bytes = request(u64::MAX - 1, 7);
        assert_eq!(read_request(bytes), (u64::MAX - 1, 7));
    }

    #[test]
    fn a_descriptor_arrives_and_is_the_same_file() {
        let (host, guest) = UnixStream::pair().unwrap();
        let memory = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let mut file = File::from(memory);
        file.write_all(b"hello").unwrap();
        send(&host, Some((file.as_fd(), 5))).unwrap();
        let (fd, bytes) = receive(&guest).unwrap().unwrap();
        assert_eq!(bytes, 5);
        let flags = rustix::io::fcntl_getfd(&fd).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        let mut text = String::new();
        let mut arrived = File::from(fd);
        arrived.rewind().unwrap();
        arrived.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }

    #[test]
    fn no_segment_and_lies_are_told_apart() {
        let (mut host, guest) = UnixStream::pair().unwrap();
        send(&host, None).unwrap();
        assert!(receive(&guest).unwrap().is_none());
        for lie in [&7u64.to_le_bytes()[..], &[0; 3]] {
            host.write_all(lie).unwrap();
            let error = receive(&guest).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        drop(host);
        let error = receive(&guest).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
