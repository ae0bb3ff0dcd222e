//! Columns of receipts.

use std::collections::HashMap;

use tq_controller::Receipts;
use tq_proto::{FieldName, Result};

use crate::malformed::{malformed, same_length};
use crate::proto::{self, Blobs, Texts};
use crate::texts::texts;

impl proto::Receipts {
    /// The column of `rows`.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Receipts>) -> Self {
        let mut column = Self::default();
        let mut fields = Texts::default();
        let mut bytes = Blobs::default();
        let mut places: HashMap<&'a str, u32> = HashMap::new();
        for receipts in rows {
            column.counts.push(receipts.len() as u32);
            for (field, receipt) in receipts.iter() {
                let next = places.len() as u32;
                let place = places.entry(field).or_insert_with(|| {
                    fields.push(field);
                    next
                });
                column.field_of.push(*place);
                bytes.push(receipt);
            }
        }
        if !column.field_of.is_empty() {
            column.fields = Some(fields);
            column.receipts = Some(bytes);
        }
        column
    }

    /// The receipts of `rows` samples, in order.
    ///
    /// # Errors
    /// `Internal` where the columns contradict each other.
    pub fn read(&self, rows: usize) -> Result<Vec<Receipts>> {
        same_length("sets of receipts", self.counts.len(), rows)?;
        let blobs = match &self.receipts {
            Some(blobs) => blobs.read()?,
            None => Vec::new(),
        };
        let receipts: u64 = self.counts.iter().copied().map(u64::from).sum();
        if receipts != self.field_of.len() as u64 || receipts != blobs.len() as u64 {
            return Err(malformed("receipts and their fields differ in number"));
        }
        let fields: Vec<FieldName> = texts(self.fields.as_ref())?
            .into_iter()
            .map(FieldName::from)
            .collect();
        let mut pairs = self.field_of.iter().zip(blobs).map(|(place, bytes)| {
            let field = fields
                .get(*place as usize)
                .ok_or_else(|| malformed("a receipt of no field"))?;
            Ok((field.clone(), bytes.into()))
        });
        self.counts
            .iter()
            .map(|count| pairs.by_ref().take(*count as usize).collect())
            .collect()
    }
}
