//! Columns of tags and of their values.

use std::collections::HashMap;
use std::slice;
use std::vec;

use tq_controller::{TagName, TagValue, Tags};
use tq_proto::Result;

use crate::malformed::{malformed, required};
use crate::proto::{self, Values};
use crate::texts::texts;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INTEGER: u8 = 3;
const FLOAT: u8 = 4;
const TEXT: u8 = 5;
const OPAQUE: u8 = 6;

impl Values {
    /// The column of `values`.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a TagValue>) -> Self {
        let mut column = Self::default();
        values.into_iter().for_each(|value| column.push(value));
        column
    }

    fn push(&mut self, value: &TagValue) {
        let kind = match value {
            TagValue::Null => NULL,
            TagValue::Bool(false) => FALSE,
            TagValue::Bool(true) => TRUE,
            TagValue::Int(integer) => {
                self.integers.push(*integer);
                INTEGER
            }
            TagValue::Float(float) => {
                self.floats.push(*float);
                FLOAT
            }
            TagValue::Str(text) => {
                self.texts.get_or_insert_default().push(text);
                TEXT
            }
            TagValue::Opaque(bytes) => {
                self.opaque.get_or_insert_default().push(bytes);
                OPAQUE
            }
        };
        self.kinds.push(kind);
    }

    /// The values, in order.
    ///
    /// # Errors
    /// `Internal` for an unknown kind, and where a kind has other than its values.
    pub fn read(&self) -> Result<Vec<TagValue>> {
        let mut reader = ValueReader::new(self)?;
        let values = self.kinds.iter().map(|_| reader.next()).collect();
        reader.end()?;
        values
    }
}

struct ValueReader<'a> {
    kinds: slice::Iter<'a, u8>,
    integers: slice::Iter<'a, i64>,
    floats: slice::Iter<'a, f64>,
    texts: vec::IntoIter<&'a str>,
    opaque: vec::IntoIter<&'a [u8]>,
}

impl<'a> ValueReader<'a> {
    fn new(values: &'a Values) -> Result<Self> {
        let opaque = match &values.opaque {
            Some(opaque) => opaque.read()?,
            None => Vec::new(),
        };
        Ok(Self {
            kinds: values.kinds.iter(),
            integers: values.integers.iter(),
            floats: values.floats.iter(),
            texts: texts(values.texts.as_ref())?.into_iter(),
            opaque: opaque.into_iter(),
        })
    }

    fn next(&mut self) -> Result<TagValue> {
        let value = match self.kinds.next().copied() {
            Some(NULL) => Some(TagValue::Null),
            Some(FALSE) => Some(TagValue::Bool(false)),
            Some(TRUE) => Some(TagValue::Bool(true)),
            Some(INTEGER) => self.integers.next().map(|integer| TagValue::Int(*integer)),
            Some(FLOAT) => self.floats.next().map(|float| TagValue::Float(*float)),
            Some(TEXT) => self.texts.next().map(|text| TagValue::Str(text.into())),
            Some(OPAQUE) => self
                .opaque
                .next()
                .map(|bytes| TagValue::Opaque(bytes.into())),
            Some(_) | None => None,
        };
        value.ok_or_else(|| malformed("a tag of an unknown kind or without its value"))
    }

    fn end(&self) -> Result<()> {
        let left = self.kinds.len()
            + self.integers.len()
            + self.floats.len()
            + self.texts.len()
            + self.opaque.len();
        if left == 0 {
            return Ok(());
        }
        Err(malformed(format_args!("{left} values of no tag")))
    }
}

impl proto::Tags {
    /// The column of `rows`.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Tags>) -> Self {
        let mut column = Self::default();
        let mut names = proto::Texts::default();
        let mut values = Values::default();
        let mut places: HashMap<&'a str, u32> = HashMap::new();
        // Most samples repeat the names of the one before them, in its order.
        let mut before: Option<&'a Tags> = None;
        for tags in rows {
            column.counts.push(tags.len() as u32);
            let start = column.name_of.len() - before.map_or(0, Tags::len);
            let mut earlier = before.into_iter().flat_map(Tags::iter);
            for (at, (name, value)) in tags.iter().enumerate() {
                let same = earlier.next().is_some_and(|(earlier, _)| earlier == name);
                let place = if same {
                    column.name_of[start + at]
                } else {
                    let next = places.len() as u32;
                    *places.entry(name).or_insert_with(|| {
                        names.push(name);
                        next
                    })
                };
                column.name_of.push(place);
                values.push(value);
            }
            before = Some(tags);
        }
        if !column.name_of.is_empty() {
            column.names = Some(names);
            column.values = Some(values);
        }
        column
    }

    /// The tags of `rows` samples, in order.
    ///
    /// # Errors
    /// `Internal` where the columns contradict each other.
    pub fn read(&self, rows: usize) -> Result<Vec<Tags>> {
        crate::malformed::same_length("sets of tags", self.counts.len(), rows)?;
        let tags: u64 = self.counts.iter().copied().map(u64::from).sum();
        if tags == 0 {
            return Ok(vec![Tags::default(); rows]);
        }
        let values = required("values of tags", self.values.as_ref())?;
        if tags != self.name_of.len() as u64 || tags != values.kinds.len() as u64 {
            return Err(malformed("tags, their names and values differ in number"));
        }
        let names: Vec<TagName> = texts(self.names.as_ref())?
            .into_iter()
            .map(TagName::from)
            .collect();
        let mut reader = ValueReader::new(values)?;
        let mut places = self.name_of.iter();
        let mut pair = || {
            let place = places.next().copied().unwrap_or(u32::MAX);
            let name = names
                .get(place as usize)
                .ok_or_else(|| malformed("a tag with no name"))?;
            Ok((name.clone(), reader.next()?))
        };
        let read = self
            .counts
            .iter()
            .map(|count| (0..*count).map(|_| pair()).collect())
            .collect();
        reader.end()?;
        read
    }
}

/// The tags of a reply, which may be left out where there is no row.
///
/// # Errors
/// As [`proto::Tags::read`].
pub fn tags(column: Option<&proto::Tags>, rows: usize) -> Result<Vec<Tags>> {
    match column {
        None if rows == 0 => Ok(Vec::new()),
        column => required("tags", column)?.read(rows),
    }
}
