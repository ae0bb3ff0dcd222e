//! The bytes of a header, read from front to back and never beyond their end. A `_body` follows a
//! marker that was read already, a `_value` reads its marker too.

use crate::error::FormatError;

/// A place in a header.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The start of `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far, and so the position of the next.
    pub(super) fn at(&self) -> u64 {
        self.at as u64
    }

    /// Bytes still to be read.
    pub(super) fn left(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    pub(super) fn uint_value(&mut self) -> Result<u64, FormatError> {
        let at = self.at as u64;
        match self.byte()? {
            marker @ (0x00..=0x7f | 0xcc..=0xcf) => self.uint_body(marker),
            _ => Err(FormatError::HeaderSyntax {
                at,
                what: "an unsigned integer was expected",
            }),
        }
    }

    pub(super) fn float_value(&mut self) -> Result<f64, FormatError> {
        let at = self.at as u64;
        match self.byte()? {
            0xcb => Ok(f64::from_bits(u64::from_be_bytes(self.chunk()?))),
            _ => Err(FormatError::HeaderSyntax {
                at,
                what: "a float was expected",
            }),
        }
    }

    pub(super) fn text_value(&mut self) -> Result<&'a str, FormatError> {
        let at = self.at as u64;
        match self.byte()? {
            marker @ (0xa0..=0xbf | 0xd9..=0xdb) => self.text_body(marker),
            _ => Err(FormatError::HeaderSyntax {
                at,
                what: "a text was expected",
            }),
        }
    }

    pub(super) fn bytes_value(&mut self) -> Result<&'a [u8], FormatError> {
        let at = self.at as u64;
        match self.byte()? {
            marker @ 0xc4..=0xc6 => self.bytes_body(marker),
            _ => Err(FormatError::HeaderSyntax {
                at,
                what: "bytes were expected",
            }),
        }
    }

    pub(super) fn uint_body(&mut self, marker: u8) -> Result<u64, FormatError> {
        Ok(match marker {
            0xcc => u64::from(self.byte()?),
            0xcd => u64::from(u16::from_be_bytes(self.chunk()?)),
            0xce => u64::from(u32::from_be_bytes(self.chunk()?)),
            0xcf => u64::from_be_bytes(self.chunk()?),
            _ => u64::from(marker),
        })
    }

    pub(super) fn int_body(&mut self, marker: u8) -> Result<i64, FormatError> {
        Ok(match marker {
            0xd0 => i64::from(i8::from_be_bytes(self.chunk()?)),
            0xd1 => i64::from(i16::from_be_bytes(self.chunk()?)),
            0xd2 => i64::from(i32::from_be_bytes(self.chunk()?)),
            0xd3 => i64::from_be_bytes(self.chunk()?),
            _ => i64::from(marker as i8),
        })
    }

    pub(super) fn list_body(&mut self, marker: u8) -> Result<u32, FormatError> {
        Ok(match marker {
            0xdc => u32::from(u16::from_be_bytes(self.chunk()?)),
            0xdd => u32::from_be_bytes(self.chunk()?),
            _ => u32::from(marker & 0x0f),
        })
    }

    pub(super) fn map_body(&mut self, marker: u8) -> Result<u32, FormatError> {
        Ok(match marker {
            0xde => u32::from(u16::from_be_bytes(self.chunk()?)),
            0xdf => u32::from_be_bytes(self.chunk()?),
            _ => u32::from(marker & 0x0f),
        })
    }

    pub(super) fn text_body(&mut self, marker: u8) -> Result<&'a str, FormatError> {
        let at = self.at as u64;
        let len = match marker {
            0xd9 => u32::from(self.byte()?),
            0xda => u32::from(u16::from_be_bytes(self.chunk()?)),
            0xdb => u32::from_be_bytes(self.chunk()?),
            _ => u32::from(marker & 0x1f),
        };
        std::str::from_utf8(self.take(len)?).map_err(|_| FormatError::NotUtf8 { at })
    }

    pub(super) fn bytes_body(&mut self, marker: u8) -> Result<&'a [u8], FormatError> {
        let len = match marker {
            0xc4 => u32::from(self.byte()?),
            0xc5 => u32::from(u16::from_be_bytes(self.chunk()?)),
            _ => u32::from_be_bytes(self.chunk()?),
        };
        self.take(len)
    }

    pub(super) fn byte(&mut self) -> Result<u8, FormatError> {
        let byte = self
            .bytes
            .get(self.at)
            .copied()
            .ok_or(FormatError::HeaderTruncated { at: self.at as u64 })?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn chunk<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let chunk = self.bytes[self.at..]
            .first_chunk()
            .copied()
            .ok_or(FormatError::HeaderTruncated { at: self.at as u64 })?;
        self.at += N;
        Ok(chunk)
    }

    fn take(&mut self, len: u32) -> Result<&'a [u8], FormatError> {
        let rest = &self.bytes[self.at..];
        let taken = rest
            .get(..len as usize)
            .ok_or(FormatError::HeaderTruncated { at: self.at as u64 })?;
        self.at += len as usize;
        Ok(taken)
    }
}
