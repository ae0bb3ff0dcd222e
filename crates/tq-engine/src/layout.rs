//! How the columns of a put are laid out in parcels: few large objects, and the rows of a column
//! back to back, so that any of them can be read without the others.

use std::ops::Range;

use tq_proto::Parcel;

use crate::stored::ColumnPlace;

/// Bytes of an object, where a column takes more. Larger objects are no faster to move, and smaller
/// ones cost a round trip each.
const OBJECT: u64 = 16 << 20;
/// Columns of less share a parcel. What is large lies alone, so that its memory is free as soon as
/// it is overwritten.
const ALONE: u64 = 4 << 20;
/// Rows start on such a boundary, for tensors of any dtype.
const ALIGN: u64 = 64;
/// Blocks are at least so large, at most so large, and at most about so many in a parcel: checking
/// costs nothing much, and whoever reads one row reads a block.
const BLOCKS: (u64, u64, u64) = (64 << 10, 1 << 20, 1024);

/// What the layout needs to know of a column.
#[derive(Debug, Clone, Copy)]
pub struct ColumnBytes<'a> {
    /// Bytes of its rows.
    pub bytes: u64,
    /// Bytes of each row, where no row may be cut.
    pub rows: Option<&'a [u64]>,
}

/// A piece of a column in an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPiece {
    /// Which column.
    pub column: usize,
    /// Which of its bytes.
    pub bytes: Range<u64>,
    /// Which of its rows, where no row may be cut.
    pub rows: Range<usize>,
    /// Where the piece begins in the object. Up to there, the object is padded with zeros.
    pub at: u64,
}

/// An object: its bytes, and the pieces that they are, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectLayout {
    /// Bytes of the object.
    pub bytes: u64,
    /// What it consists of.
    pub pieces: Vec<ObjectPiece>,
}

/// A parcel to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParcelLayout {
    /// Its objects, none of them empty.
    pub objects: Vec<ObjectLayout>,
    /// Bytes under one checksum.
    pub block: u64,
}

impl ParcelLayout {
    /// Bytes of all objects.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.objects.iter().map(|object| object.bytes).sum()
    }

    /// The parcel, whose objects were written under `key` with these checksums, in order.
    #[must_use]
    pub fn parcel(&self, key: &str, checksums: Vec<u64>) -> Parcel {
        Parcel {
            key: key.into(),
            objects: self.objects.iter().map(|object| object.bytes).collect(),
            block: self.block,
            checksums,
        }
    }

    fn close(mut self) -> Self {
        self.objects.retain(|object| object.bytes > 0);
        let (least, most, count) = BLOCKS;
        self.block = (self.bytes() / count)
            .next_power_of_two()
            .clamp(least, most);
        self
    }
}

/// Lays out the columns of a put: the parcels, and for each column where it lies.
#[must_use]
pub fn lay_out(columns: &[ColumnBytes<'_>]) -> (Vec<ParcelLayout>, Vec<ColumnPlace>) {
    let mut places = vec![
        ColumnPlace {
            parcel: 0,
            start: 0
        };
        columns.len()
    ];
    let mut parcels: Vec<ParcelLayout> = Vec::new();
    let mut shared = ObjectLayout::default();
    let mut sharing: Vec<usize> = Vec::new();
    for (number, column) in columns.iter().enumerate() {
        if column.bytes >= ALONE {
            places[number].parcel = parcels.len() as u32;
            parcels.push(alone(number, column));
            continue;
        }
        let at = shared.bytes.next_multiple_of(ALIGN);
        if at + column.bytes > OBJECT {
            finish(&mut parcels, &mut shared, &mut sharing, &mut places);
        }
        let at = shared.bytes.next_multiple_of(ALIGN);
        places[number].start = at;
        sharing.push(number);
        shared.pieces.push(ObjectPiece {
            column: number,
            bytes: 0..column.bytes,
            rows: 0..column.rows.map_or(0, <[u64]>::len),
            at,
        });
        shared.bytes = at + column.bytes;
    }
    finish(&mut parcels, &mut shared, &mut sharing, &mut places);
    (parcels, places)
}

fn finish(
    parcels: &mut Vec<ParcelLayout>,
    shared: &mut ObjectLayout,
    sharing: &mut Vec<usize>,
    places: &mut [ColumnPlace],
) {
    if sharing.is_empty() {
        return;
    }
    for column in sharing.drain(..) {
        places[column].parcel = parcels.len() as u32;
    }
    let layout = ParcelLayout {
        objects: vec![std::mem::take(shared)],
        block: 0,
    };
    parcels.push(layout.close());
}

fn alone(number: usize, column: &ColumnBytes<'_>) -> ParcelLayout {
    let mut objects = Vec::new();
    let mut object = |bytes: Range<u64>, rows: Range<usize>| {
        objects.push(ObjectLayout {
            bytes: bytes.end - bytes.start,
            pieces: vec![ObjectPiece {
                column: number,
                bytes,
                rows,
                at: 0,
            }],
        });
    };
    match column.rows {
        None => {
            let mut start = 0;
            while start < column.bytes {
                let end = column.bytes.min(start + OBJECT);
                object(start..end, 0..0);
                start = end;
            }
        }
        Some(rows) => {
            let (mut start, mut first, mut end) = (0, 0, 0);
            for (row, bytes) in rows.iter().enumerate() {
                if end > start && end + bytes > start + OBJECT {
                    object(start..end, first..row);
                    (start, first) = (end, row);
                }
                end += bytes;
            }
            object(start..end, first..rows.len());
        }
    }
    ParcelLayout { objects, block: 0 }.close()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(bytes: u64) -> ColumnBytes<'static> {
        ColumnBytes { bytes, rows: None }
    }

    #[test]
    fn small_columns_share_an_object_and_large_ones_lie_alone() {
        let columns = [plain(100), plain(40 << 20), plain(8)];
        let (parcels, places) = lay_out(&columns);
        assert_eq!(parcels.len(), 2);
        let sizes: Vec<u64> = parcels[0]
            .objects
            .iter()
            .map(|object| object.bytes)
            .collect();
        assert_eq!(sizes, [16 << 20, 16 << 20, 8 << 20]);
        assert_eq!(parcels[1].objects.len(), 1);
        assert_eq!(parcels[1].bytes(), 136);
        let found: Vec<_> = places
            .iter()
            .map(|place| (place.parcel, place.start))
            .collect();
        assert_eq!(found, [(1, 0), (0, 0), (1, 128)]);
    }

    #[test]
    fn what_does_not_fit_one_object_goes_to_the_next_parcel() {
        let columns = [plain(3 << 20); 7];
        let (parcels, places) = lay_out(&columns);
        assert_eq!(parcels.len(), 2);
        assert_eq!(places.iter().filter(|place| place.parcel == 0).count(), 5);
        assert_eq!(
            places[5],
            ColumnPlace {
                parcel: 1,
                start: 0
            }
        );
    }

    #[test]
    fn no_row_of_packed_buffers_is_cut() {
        let rows = [10 << 20, 10 << 20, 40 << 20, 64];
        let column = ColumnBytes {
            bytes: rows.iter().sum(),
            rows: Some(&rows),
        };
        let (parcels, _) = lay_out(&[column]);
        let found: Vec<_> = parcels[0]
            .objects
            .iter()
            .map(|object| object.pieces[0].rows.clone())
            .collect();
        assert_eq!(found, [0..1, 1..2, 2..3, 3..4]);
        assert_eq!(parcels[0].bytes(), column.bytes);
    }

    #[test]
    fn columns_without_bytes_have_a_place_and_no_object() {
        let (parcels, places) = lay_out(&[plain(0)]);
        assert_eq!((parcels.len(), places.len()), (1, 1));
        assert!(parcels[0].objects.is_empty());
        assert_eq!(parcels[0].parcel("k", Vec::new()).check().ok(), Some(()));
    }

    #[test]
    fn blocks_grow_with_the_parcel() {
        let block = |bytes| lay_out(&[plain(bytes)]).0[0].block;
        assert_eq!(block(1), 64 << 10);
        assert_eq!(block(256 << 20), 256 << 10);
        assert_eq!(block(64 << 30), 1 << 20);
    }
}
