//! Columns of texts, byte strings and numbers.

use tq_proto::{FieldName, GlobalIndex, Result};

use crate::malformed::malformed;
use crate::proto::{Blobs, Indexes, OptionalTexts, Texts};

impl Texts {
    /// The column of `texts`.
    pub fn of<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        let mut column = Self::default();
        texts
            .into_iter()
            .for_each(|text| column.push(text.as_ref()));
        column
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.utf8.extend_from_slice(text.as_bytes());
        // A column beyond 4 GiB fits into no message; its reader would refuse these ends.
        self.ends
            .push(u32::try_from(self.utf8.len()).unwrap_or(u32::MAX));
    }

    /// The texts, in order.
    ///
    /// # Errors
    /// `Internal` where the bytes are not UTF-8, or the ends do not cut them.
    pub fn read(&self) -> Result<Vec<&str>> {
        let all = std::str::from_utf8(&self.utf8)
            .map_err(|error| malformed("a text is not UTF-8").caused_by(error))?;
        let mut start = 0;
        let mut texts = Vec::with_capacity(self.ends.len());
        for end in &self.ends {
            let end = *end as usize;
            let text = all
                .get(start..end)
                .ok_or_else(|| malformed("the ends of texts do not cut them"))?;
            texts.push(text);
            start = end;
        }
        if start == all.len() {
            Ok(texts)
        } else {
            Err(malformed("there are bytes behind the last text"))
        }
    }
}

/// The texts of a column that may be left out where it is empty.
pub fn texts(column: Option<&Texts>) -> Result<Vec<&str>> {
    column.map_or_else(|| Ok(Vec::new()), Texts::read)
}

impl Blobs {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len() as u64);
    }

    pub(crate) fn read(&self) -> Result<Vec<&[u8]>> {
        let mut start = 0;
        let mut blobs = Vec::with_capacity(self.ends.len());
        for end in &self.ends {
            let end = usize::try_from(*end).unwrap_or(usize::MAX);
            let blob = self
                .bytes
                .get(start..end)
                .ok_or_else(|| malformed("the ends of byte strings do not cut them"))?;
            blobs.push(blob);
            start = end;
        }
        Ok(blobs)
    }
}

impl OptionalTexts {
    /// The column of `texts`.
    pub fn of<'a, T: AsRef<str> + 'a>(texts: impl IntoIterator<Item = &'a Option<T>>) -> Self {
        let mut present = Texts::default();
        let mut absent = Vec::new();
        for (place, text) in texts.into_iter().enumerate() {
            match text {
                Some(text) => present.push(text.as_ref()),
                None => absent.push(place as u32),
            }
        }
        Self {
            texts: Some(present),
            absent,
        }
    }

    /// The texts, in order, as `T`.
    ///
    /// # Errors
    /// `Internal` where the places of those that are absent do not ascend within the column.
    pub fn read<T: for<'a> From<&'a str>>(&self) -> Result<Vec<Option<T>>> {
        let present = texts(self.texts.as_ref())?;
        let rows = present.len() + self.absent.len();
        let mut present = present.into_iter();
        let mut absent = self.absent.iter().peekable();
        let mut column = Vec::with_capacity(rows);
        for place in 0..rows {
            if absent.next_if(|next| **next as usize == place).is_some() {
                column.push(None);
            } else {
                let text = present
                    .next()
                    .ok_or_else(|| malformed("the places without a text do not ascend"))?;
                column.push(Some(text.into()));
            }
        }
        Ok(column)
    }
}

impl Indexes {
    /// The column of `indexes`.
    #[must_use]
    pub fn of(indexes: &[GlobalIndex]) -> Self {
        Self {
            global_indexes: numbers(indexes),
        }
    }
}

/// Global indexes as plain numbers.
#[must_use]
pub fn numbers(indexes: &[GlobalIndex]) -> Vec<u64> {
    indexes.iter().map(|index| index.0).collect()
}

/// Plain numbers as global indexes.
#[must_use]
pub fn indexes(numbers: Vec<u64>) -> Vec<GlobalIndex> {
    // `GlobalIndex` is transparent, so this collects in place.
    numbers.into_iter().map(GlobalIndex).collect()
}

/// Names as a message has them.
#[must_use]
pub fn names(fields: &[FieldName]) -> Vec<String> {
    fields.iter().map(|field| String::from(&**field)).collect()
}

/// Names as the engine has them.
#[must_use]
pub fn field_names(names: Vec<String>) -> Vec<FieldName> {
    names.into_iter().map(FieldName::from).collect()
}

/// Positions as a message has them.
#[must_use]
pub fn from_positions(positions: &[usize]) -> Vec<u64> {
    positions.iter().map(|position| *position as u64).collect()
}

/// Positions among `rows` rows, which ascend.
///
/// # Errors
/// `Internal` where they do not.
pub fn to_positions(positions: &[u64], rows: usize) -> Result<Vec<usize>> {
    let mut next = 0;
    let mut found = Vec::with_capacity(positions.len());
    for position in positions {
        let position = usize::try_from(*position).unwrap_or(usize::MAX);
        if position < next || position >= rows {
            return Err(malformed(format_args!(
                "position {position} among {rows} rows"
            )));
        }
        found.push(position);
        next = position + 1;
    }
    Ok(found)
}

/// A count; one beyond the address space is as good as none.
#[must_use]
pub fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
