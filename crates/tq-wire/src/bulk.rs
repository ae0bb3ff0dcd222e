//! Payload on a TCP connection of its own, after the handshake: byte ranges of puts and reads that
//! the session holds.
//!
//! ```text
//! guest -> host   what u8, zero 7, session u64, number u64, offset u64, bytes u64   (40 bytes)
//!                 after a fill: the bytes
//! host -> guest   status u64, bytes u64                                             (16 bytes)
//!                 after a fetch that is granted: the bytes
//! ```
//!
//! Numbers are little-endian. Requests are answered in order, and a guest may send further ones
//! before the answers come: so many bytes as the window allows are under way on a connection, and
//! no more, because all of them have a place where they are going to land. A request can be
//! repeated, on whatever connection: a range lands where it lands.
//!
//! Offsets of a put count from the start of its loan. Those of a read count in its columns laid end
//! to end, each from the next multiple of [`ReadSpace::align`] on.

use std::ops::Range;

/// Bytes of a request.
pub const REQUEST_BYTES: usize = 40;
/// Bytes of an answer.
pub const ANSWER_BYTES: usize = 16;
/// The most bytes of one request, and what offsets are multiples of.
pub const STRIPE_BYTES: u64 = 4 << 20;
/// Requests of one connection that may be under way.
pub const WINDOW: usize = 3;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum What {
    /// The bytes that follow are to be written into a loan.
    Fill = 1,
    /// Bytes of a read are to be sent.
    Fetch = 2,
}

/// A request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// What is asked for.
    pub what: What,
    /// The guest's session.
    pub session: u64,
    /// The number the guest gave the put or read.
    pub number: u64,
    /// First byte.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
}

/// How a request was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Status {
    /// Carried out.
    Done = 0,
    /// The session, or what it held, has ended.
    Ended = 1,
    /// No such range.
    OutOfRange = 2,
    /// Another connection is filling the same range.
    Busy = 3,
}

impl Request {
    /// The request as bytes.
    #[must_use]
    pub fn write(&self) -> [u8; REQUEST_BYTES] {
        let mut bytes = [0; REQUEST_BYTES];
        bytes[0] = self.what as u8;
        let numbers = [self.session, self.number, self.offset, self.bytes];
        for (place, number) in bytes[8..].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// The request of these bytes; `None` where it is none.
    #[must_use]
    pub fn read(bytes: &[u8; REQUEST_BYTES]) -> Option<Self> {
        let what = match bytes[0] {
            1 => What::Fill,
            2 => What::Fetch,
            _ => return None,
        };
        let number = |place: usize| {
            let mut own = [0; 8];
            own.copy_from_slice(&bytes[place..place + 8]);
            u64::from_le_bytes(own)
        };
        let request = Self {
            what,
            session: number(8),
            number: number(16),
            offset: number(24),
            bytes: number(32),
        };
        let fits = request.offset.is_multiple_of(STRIPE_BYTES)
            && (1..=STRIPE_BYTES).contains(&request.bytes)
            && bytes[1..8] == [0; 7];
        fits.then_some(request)
    }

    /// Which stripe it is of.
    #[must_use]
    pub fn stripe(&self) -> usize {
        usize::try_from(self.offset / STRIPE_BYTES).unwrap_or(usize::MAX)
    }
}

/// An answer as bytes.
#[must_use]
pub fn answer(status: Status, bytes: u64) -> [u8; ANSWER_BYTES] {
    let mut answer = [0; ANSWER_BYTES];
    answer[..8].copy_from_slice(&(status as u64).to_le_bytes());
    answer[8..].copy_from_slice(&bytes.to_le_bytes());
    answer
}

/// The answer of these bytes; `None` where it is none.
#[must_use]
pub fn read_answer(bytes: &[u8; ANSWER_BYTES]) -> Option<(Status, u64)> {
    let (status, count) = bytes.split_at(8);
    let number = |bytes: &[u8]| Some(u64::from_le_bytes(bytes.try_into().ok()?));
    let status = match number(status)? {
        0 => Status::Done,
        1 => Status::Ended,
        2 => Status::OutOfRange,
        3 => Status::Busy,
        _ => return None,
    };
    Some((status, number(count)?))
}

/// Where the columns of a read lie when they are laid end to end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadSpace {
    columns: Vec<Range<u64>>,
    bytes: u64,
}

/// Columns from this size on start on a page, so that a view of one shares no page with another.
const PAGE_FROM: u64 = 64 << 10;
const PAGE: u64 = 4096;
const ALIGN: u64 = 64;

impl ReadSpace {
    /// The space of columns of these sizes; `None` where it would exceed 64 bits.
    #[must_use]
    pub fn new(sizes: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut columns = Vec::new();
        let mut end: u64 = 0;
        for size in sizes {
            let start = end.checked_next_multiple_of(Self::align(size))?;
            end = start.checked_add(size)?;
            columns.push(start..end);
        }
        Some(Self {
            columns,
            bytes: end,
        })
    }

    /// What the start of a column of `bytes` bytes is a multiple of.
    #[must_use]
    pub fn align(bytes: u64) -> u64 {
        if bytes < PAGE_FROM { ALIGN } else { PAGE }
    }

    /// The range of each column.
    #[must_use]
    pub fn columns(&self) -> &[Range<u64>] {
        &self.columns
    }

    /// Bytes of the whole space.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// How many stripes so many bytes are.
#[must_use]
pub fn stripes(bytes: u64) -> usize {
    usize::try_from(bytes.div_ceil(STRIPE_BYTES)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: Request = Request {
        what: What::Fetch,
        session: u64::MAX,
        number: 7,
        offset: 3 * STRIPE_BYTES,
        bytes: STRIPE_BYTES,
    };

    #[test]
    fn requests_and_answers_are_read_as_they_are_written() {
        assert_eq!(Request::read(&REQUEST.write()), Some(REQUEST));
        assert_eq!(REQUEST.stripe(), 3);
        for status in [
            Status::Done,
            Status::Ended,
            Status::OutOfRange,
            Status::Busy,
        ] {
            assert_eq!(read_answer(&answer(status, 9)), Some((status, 9)));
        }
    }

    #[test]
    fn lies_are_no_requests() {
        let good = REQUEST.write();
        for (place, value) in [(0, 0), (0, 3), (1, 1), (24, 1), (34, 0x41)] {
            let mut lie = good;
            lie[place] = value;
            assert_eq!(Request::read(&lie), None, "byte {place} as {value}");
        }
        let none = Request {
            bytes: 0,
            ..REQUEST
        };
        assert_eq!(Request::read(&none.write()), None);
        let mut lie = answer(Status::Done, 1);
        lie[0] = 4;
        assert_eq!(read_answer(&lie), None);
    }

    #[test]
    fn columns_of_a_read_share_no_page_where_they_are_large() {
        let space = ReadSpace::new([10, 100, 1 << 20, 5, 1 << 16]).unwrap();
        let starts: Vec<_> = space.columns().iter().map(|range| range.start).collect();
        let third = 4096 + (1 << 20);
        assert_eq!(starts, [0, 64, 4096, third, third + 4096]);
        assert_eq!(space.bytes(), third + 4096 + (1 << 16));
        assert_eq!(ReadSpace::new([u64::MAX, 1]), None);
    }
}
