//! Batches as they are put and got by all scenarios.

use tq_arena::copy_streamed;
use tq_client::Engine;
use tq_controller::Tags;
use tq_engine::{Delivered, Part};
use tq_proto::{DType, FieldName, Result};
use tq_storage::{ColumnLayout, ColumnPlan, ColumnRead};

use super::arguments::Column;

/// From here on, copies go past the cache, as those of the Python package do.
const STREAMED_FROM: usize = 8 << 20;

/// A column of `rows` rows.
pub(crate) fn plan(field: &str, column: Column, rows: usize, row_bytes: u64) -> ColumnPlan {
    let layout = match column {
        Column::Dense => ColumnLayout::Dense {
            dtype: DType::UInt8,
            row_shape: vec![row_bytes],
        },
        Column::Object => ColumnLayout::Object {
            row_sizes: vec![row_bytes; rows],
        },
    };
    ColumnPlan {
        field: field.into(),
        layout,
    }
}

/// Puts a batch whose bytes `fill` writes, column by column.
pub(crate) fn put(
    engine: &Engine,
    partition: &str,
    keys: &[String],
    plans: Vec<ColumnPlan>,
    tags: Option<Vec<Tags>>,
    fill: impl FnOnce(Vec<&mut [u8]>),
) -> Result<()> {
    let mut put = engine.begin_put(partition, keys, plans)?;
    fill(put.columns_mut());
    put.publish(tags).map(drop)
}

/// Copies columns of a batch that lie back to back in `source`.
pub(crate) fn copy(source: &[u8], columns: Vec<&mut [u8]>) {
    let mut rest = source;
    for column in columns {
        let (bytes, after) = rest.split_at(column.len());
        if source.len() < STREAMED_FROM {
            column.copy_from_slice(bytes);
        } else {
            copy_streamed(bytes, column);
        }
        rest = after;
    }
}

/// A batch that was got: what a user would hold.
pub(crate) struct Got {
    columns: Vec<(ColumnRead, Vec<Part>)>,
}

/// Gets fields of samples, each as its kind of column is delivered.
pub(crate) fn get(
    engine: &Engine,
    partition: &str,
    keys: &[String],
    fields: &[FieldName],
    column: Column,
) -> Result<Got> {
    let batch = engine.read(partition, keys, Some(fields))?;
    let deliver = |read: ColumnRead| {
        let parts = match column {
            Column::Object => engine.deliver_parts(&read)?,
            Column::Dense => vec![Part {
                rows: 0..read.rows(),
                bytes: engine.deliver(&read)?,
            }],
        };
        Ok((read, parts))
    };
    Ok(Got {
        columns: batch
            .columns
            .into_iter()
            .map(deliver)
            .collect::<Result<_>>()?,
    })
}

impl Got {
    /// The bytes of a field in the order of the samples, in pieces. Views are looked at through their
    /// leases, which show the same.
    pub(crate) fn slices(&self, field: &str) -> Vec<&[u8]> {
        let found = self
            .columns
            .iter()
            .find(|(read, _)| &**read.field() == field);
        let Some((read, parts)) = found else {
            return Vec::new();
        };
        let mut slices = Vec::new();
        for part in parts {
            match &part.bytes {
                Delivered::Warm(buffer) => slices.push(buffer.as_slice()),
                Delivered::View(_) => {
                    slices.extend(part.rows.clone().filter_map(|row| read.row_bytes(row)));
                }
            }
        }
        slices
    }
}

/// Where `slices`, laid end to end, differ from `wanted`; their end where that is another one.
pub(crate) fn first_wrong(slices: &[&[u8]], wanted: &[u8]) -> Option<usize> {
    let mut at = 0;
    for slice in slices {
        let Some(part) = wanted.get(at..at + slice.len()) else {
            return Some(wanted.len());
        };
        // Whole slices first: that is as fast as memory is.
        if *slice != part {
            let right = slice.iter().zip(part).take_while(|(a, b)| a == b).count();
            return Some(at + right);
        }
        at += slice.len();
    }
    (at < wanted.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_found_in_any_piece() {
        let wanted: Vec<u8> = (0..100).collect();
        let mut found = wanted.clone();
        let pieces = |found: &[u8]| first_wrong(&[&found[..40], &found[40..]], &wanted);
        assert_eq!(pieces(&found), None);
        found[41] = 7;
        assert_eq!(pieces(&found), Some(41));
        assert_eq!(first_wrong(&[&wanted[..99]], &wanted), Some(99));
        assert_eq!(first_wrong(&[&wanted, &wanted[..1]], &wanted), Some(100));
        assert_eq!(first_wrong(&[], &wanted), Some(0));
    }
}
