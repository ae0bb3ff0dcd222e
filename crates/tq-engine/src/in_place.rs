//! Which parcels of a read may be used where their objects are, without a copy: in memory that a
//! storage backend shares with this process. There, objects do not lie back to back.

use tq_proto::Parcel;
use tq_storage::ColumnLayout;

use crate::stored::{StoredBatch, StoredRead, StoredRun};

/// Objects of fewer bytes are copied: it costs less than keeping them, and they may share pages.
const IN_PLACE_FROM: u64 = 1 << 20;

/// Bytes of one object of a parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectRun {
    /// Which object.
    pub object: usize,
    /// Where the bytes begin in it.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
}

impl StoredBatch {
    /// For each parcel, whether its objects may be used where they are: they are large, and no row
    /// goes on from one to the next.
    #[must_use]
    pub fn usable_in_place(&self) -> Vec<bool> {
        let large = |parcel: &Parcel| parcel.objects.iter().all(|len| *len >= IN_PLACE_FROM);
        let mut usable: Vec<bool> = self.parcels.iter().map(|parcel| large(parcel)).collect();
        for column in self.columns.iter().filter(|column| may_be_cut(column)) {
            for run in &column.runs {
                let number = run.parcel as usize;
                let is_one = self
                    .parcels
                    .get(number)
                    .map(|parcel| parcel.objects.len() == 1);
                if let (Some(usable), Some(false)) = (usable.get_mut(number), is_one) {
                    *usable = false;
                }
            }
        }
        usable
    }
}

/// Rows of tensors are laid out back to back and cut wherever an object is full; packed buffers are
/// not cut.
fn may_be_cut(column: &StoredRead) -> bool {
    let is_packed = |layout: &ColumnLayout| matches!(layout, ColumnLayout::Object { .. });
    !column.parts.iter().all(|part| is_packed(&part.layout))
}

impl StoredRun {
    /// The same bytes of `parcel`, object by object.
    pub fn by_object(&self, parcel: &Parcel) -> impl Iterator<Item = ObjectRun> {
        let wanted = self.offset..self.offset.saturating_add(self.bytes);
        let mut end: u64 = 0;
        let objects = parcel.objects.iter().enumerate();
        objects.filter_map(move |(object, len)| {
            let start = end;
            end = end.saturating_add(*len);
            let (from, to) = (wanted.start.max(start), wanted.end.min(end));
            (from < to).then(|| ObjectRun {
                object,
                offset: from - start,
                bytes: to - from,
            })
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use tq_proto::{DType, RowShapes};
    use tq_storage::RowsPart;

    use super::*;

    const LARGE: u64 = IN_PLACE_FROM;

    fn parcel(objects: &[u64]) -> Parcel {
        Parcel {
            key: "k".into(),
            objects: objects.to_vec(),
            block: 8,
            checksums: Vec::new(),
        }
    }

    fn column(layout: ColumnLayout, parcel: u32) -> StoredRead {
        StoredRead {
            field: "x".into(),
            parts: vec![RowsPart { rows: 1, layout }],
            runs: vec![StoredRun {
                parcel,
                offset: 0,
                bytes: 64,
            }],
        }
    }

    #[test]
    fn packed_buffers_in_large_objects_and_tensors_in_one_are_usable() {
        let packed = || ColumnLayout::Object {
            row_sizes: vec![64],
        };
        let mut row_shapes = RowShapes::with_capacity(1, 1);
        row_shapes.push(&[64]);
        let tensor = || ColumnLayout::Jagged {
            dtype: DType::UInt8,
            row_shapes: row_shapes.clone(),
        };
        let parcels = [
            parcel(&[LARGE, LARGE]),
            parcel(&[LARGE, LARGE]),
            parcel(&[LARGE]),
            parcel(&[LARGE, LARGE - 1]),
        ];
        let batch = StoredBatch {
            parcels: parcels.into_iter().map(Arc::new).collect(),
            columns: vec![
                column(packed(), 0),
                column(tensor(), 1),
                column(tensor(), 2),
                column(packed(), 3),
            ],
            ..StoredBatch::default()
        };
        assert_eq!(batch.usable_in_place(), [true, false, true, false]);
    }

    proptest! {
        #[test]
        fn a_run_is_the_bytes_of_its_objects(
            objects in prop::collection::vec(1..9u64, 1..6),
            offset in 0..50u64,
            bytes in 0..50u64,
        ) {
            let parcel = parcel(&objects);
            let places: Vec<(usize, u64)> = (objects.iter().enumerate())
                .flat_map(|(object, len)| (0..*len).map(move |at| (object, at)))
                .collect();
            let run = StoredRun { parcel: 0, offset, bytes };
            let found: Vec<(usize, u64)> = run
                .by_object(&parcel)
                .flat_map(|run| (run.offset..run.offset + run.bytes).map(move |at| (run.object, at)))
                .collect();
            let wanted: Vec<_> = places
                .into_iter()
                .skip(offset as usize)
                .take(bytes as usize)
                .collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
