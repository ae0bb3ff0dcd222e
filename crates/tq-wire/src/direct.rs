//! Direct calls: the calls of the gRPC service over a Unix socket that carries one of them at a time,
//! without HTTP/2 in between. A caller writes and reads on its own thread and the host answers where
//! it has read, so a call wakes two threads and not four.
//!
//! ```text
//! welcome    1 byte, from the host        1: calls may come; 0: too many such connections, use another way
//! request    u32 LE: bytes of the head, u32 LE: bytes of the message, CallHead, message
//! answer     the same
//! ```
//!
//! The message is one of gRPC with its prefix of five bytes, empty where the call was refused.

use std::fmt;
use std::mem;

use prost::Message;
use tonic::codegen::http::{HeaderMap, HeaderName, HeaderValue};

use crate::limits::MESSAGE_BYTES;
use crate::proto::CallHead;

/// The host's first byte where calls may come.
pub const WELCOME: u8 = 1;
/// The host's first byte where there are too many such connections.
pub const FULL: u8 = 0;

const PREFIX_BYTES: usize = 8;
/// The longest head: a path, and headers, of which the details of an error are the longest.
const HEAD_BYTES: usize = 64 << 10;
/// gRPC puts a flag and a length before a message.
const GRPC_PREFIX_BYTES: usize = 5;
/// Read at once; most calls are shorter.
const FIRST_BYTES: usize = 16 << 10;
/// More than this is not kept for the next call.
const KEPT_BYTES: usize = 256 << 10;

/// A request or an answer.
#[derive(PartialEq, Debug)]
pub struct Frame {
    /// Path and headers.
    pub head: CallHead,
    /// The message with gRPC's prefix.
    pub message: Vec<u8>,
}

/// Why bytes are no frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoFrame(&'static str);

impl fmt::Display for NoFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what came is no direct call: {}", self.0)
    }
}

impl std::error::Error for NoFrame {}

impl Frame {
    /// The bytes that are sent.
    ///
    /// # Errors
    /// Where head or message are too long.
    pub fn write(head: &CallHead, message: &[u8]) -> Result<Vec<u8>, NoFrame> {
        let head_bytes = head.encoded_len();
        check(head_bytes, message.len())?;
        let mut bytes = Vec::with_capacity(PREFIX_BYTES + head_bytes + message.len());
        bytes.extend_from_slice(&(head_bytes as u32).to_le_bytes());
        bytes.extend_from_slice(&(message.len() as u32).to_le_bytes());
        head.encode_raw(&mut bytes);
        bytes.extend_from_slice(message);
        Ok(bytes)
    }
}

impl CallHead {
    /// A head with those of `headers` that mean something to the other end.
    #[must_use]
    pub fn new(path: &str, headers: &HeaderMap) -> Self {
        // The others are said by the frame, belong to HTTP, or are for its server alone.
        const UNSAID: [&str; 4] = ["content-type", "te", "user-agent", "grpc-timeout"];
        let is_said = |name: &HeaderName| !UNSAID.contains(&name.as_str());
        let meant = headers.iter().filter(|(name, _)| is_said(name));
        let (names, values) = meant
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .unzip();
        Self {
            path: path.to_owned(),
            names,
            values,
        }
    }

    /// The headers.
    ///
    /// # Errors
    /// Where a name or value is none.
    pub fn headers(&self) -> Result<HeaderMap, NoFrame> {
        if self.names.len() != self.values.len() {
            return Err(NoFrame("its headers are not pairs"));
        }
        let mut headers = HeaderMap::with_capacity(self.names.len());
        for (name, value) in self.names.iter().zip(&self.values) {
            let name = HeaderName::from_bytes(name.as_bytes());
            let name = name.map_err(|_| NoFrame("a header's name is none"))?;
            let value = HeaderValue::from_bytes(value);
            headers.append(
                name,
                value.map_err(|_| NoFrame("a header's value is none"))?,
            );
        }
        Ok(headers)
    }
}

fn check(head: usize, message: usize) -> Result<(), NoFrame> {
    if head > HEAD_BYTES {
        return Err(NoFrame("its head is too long"));
    }
    if message > MESSAGE_BYTES + GRPC_PREFIX_BYTES {
        return Err(NoFrame("its message is too long"));
    }
    Ok(())
}

/// Puts frames together from what a socket gives, one after the other.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
    filled: usize,
}

impl Frames {
    /// Where to read to next. Grows with what has come, not with what was announced.
    pub fn space(&mut self) -> &mut [u8] {
        if self.filled == self.buffer.len() {
            let more = self.filled.max(FIRST_BYTES);
            self.buffer.resize(self.filled + more, 0);
        }
        &mut self.buffer[self.filled..]
    }

    /// Takes note of `bytes` that were read to [`Self::space`]; the frame, where it is complete.
    ///
    /// # Errors
    /// Where what came is no frame, or more than one: the other end waits for an answer before it goes
    /// on.
    pub fn take(&mut self, bytes: usize) -> Result<Option<Frame>, NoFrame> {
        self.filled = (self.filled + bytes).min(self.buffer.len());
        let came = &self.buffer[..self.filled];
        let Some((prefix, rest)) = came.split_first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let length = |at: usize| {
            let bytes = [prefix[at], prefix[at + 1], prefix[at + 2], prefix[at + 3]];
            u32::from_le_bytes(bytes) as usize
        };
        let (head, message) = (length(0), length(4));
        check(head, message)?;
        if rest.len() < head + message {
            return Ok(None);
        }
        if rest.len() > head + message {
            return Err(NoFrame("more came than it announced"));
        }
        let (head, message) = rest.split_at(head);
        let frame = Frame {
            head: CallHead::decode(head).map_err(|_| NoFrame("its head cannot be read"))?,
            message: message.to_vec(),
        };
        self.filled = 0;
        if self.buffer.len() > KEPT_BYTES {
            mem::take(&mut self.buffer);
        }
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head() -> CallHead {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", HeaderValue::from_static("0"));
        headers.insert("te", HeaderValue::from_static("trailers"));
        CallHead::new("/a/B", &headers)
    }

    /// What comes of `bytes` in pieces of these lengths.
    fn pieces(bytes: &[u8], lengths: &[usize]) -> Result<Option<Frame>, NoFrame> {
        let mut frames = Frames::default();
        let (mut rest, mut lengths) = (bytes, lengths.iter().cycle());
        while !rest.is_empty() {
            let space = frames.space();
            let count = lengths.next().map_or(1, |length| *length).max(1);
            let count = count.min(rest.len()).min(space.len());
            space[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            if let Some(frame) = frames.take(count)? {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    proptest! {
        #[test]
        fn a_frame_is_read_as_it_was_written_however_it_comes(
            message in proptest::collection::vec(any::<u8>(), 0..70_000),
            lengths in proptest::collection::vec(1usize..40_000, 1..5),
        ) {
            let bytes = Frame::write(&head(), &message).unwrap();
            let frame = Frame { head: head(), message };
            prop_assert_eq!(pieces(&bytes, &lengths), Ok(Some(frame)));
        }

        #[test]
        fn any_bytes_are_a_frame_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Some(frame)) = pieces(&bytes, &[7]) {
                let _ = frame.head.headers();
            }
        }
    }

    #[test]
    fn only_headers_that_mean_something_travel() {
        assert_eq!(head().names, ["grpc-status"]);
        let headers = head().headers().unwrap();
        assert_eq!(headers.get("grpc-status").unwrap(), "0");
    }

    #[test]
    fn lies_are_no_frames() {
        let good = Frame::write(&head(), b"abc").unwrap();
        for (at, byte) in [(2, 2), (7, 255), (8, 255)] {
            let mut lie = good.clone();
            lie[at] = byte;
            assert!(pieces(&lie, &[1 << 20]).is_err(), "{at}");
        }
        let more = [good.as_slice(), b"d"].concat();
        assert!(pieces(&more, &[more.len()]).is_err());
        let unpaired = CallHead {
            names: vec!["a".into()],
            ..CallHead::default()
        };
        assert!(unpaired.headers().is_err());
    }

    #[test]
    fn an_announcement_alone_takes_no_memory() {
        let mut frames = Frames::default();
        let announced = [0, 0, 0, 0, 0, 0, 0, 16];
        frames.space()[..8].copy_from_slice(&announced);
        assert_eq!(frames.take(8), Ok(None));
        assert!(frames.space().len() <= FIRST_BYTES);
    }
}
