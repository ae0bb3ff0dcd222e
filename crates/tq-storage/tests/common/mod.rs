//! What the tests of this crate share.
#![allow(dead_code, reason = "each test file uses a part of it")]

use tq_arena::{Arena, ArenaConfig, Lease};
use tq_proto::{DType, FieldName, GlobalIndex, Result};
use tq_storage::{ColumnLayout, ColumnPlan, ColumnRead, PendingPut, StorageConfig, StorageUnit};

/// A unit over an arena of its own.
pub(crate) fn unit(max_samples: Option<u64>, capacity_bytes: u64) -> StorageUnit {
    let config = ArenaConfig {
        segment_bytes: 64 << 20,
        capacity_bytes,
        ..ArenaConfig::default()
    };
    StorageUnit::new(Arena::new(config).unwrap(), StorageConfig { max_samples })
}

pub(crate) fn indexes(range: std::ops::Range<u64>) -> Vec<GlobalIndex> {
    range.map(GlobalIndex).collect()
}

pub(crate) fn field(name: &str) -> FieldName {
    name.into()
}

/// Dense rows of `row_bytes` bytes.
pub(crate) fn bytes_column(name: &str, row_bytes: u64) -> ColumnPlan {
    let layout = ColumnLayout::Dense {
        dtype: DType::UInt8,
        row_shape: vec![row_bytes],
    };
    ColumnPlan {
        field: field(name),
        layout,
    }
}

/// Bytes that differ by `seed` and position.
pub(crate) fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = vec![0; len];
    for word in bytes.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        word.copy_from_slice(&state.to_le_bytes()[..word.len()]);
    }
    bytes
}

/// Begins a put of one dense column whose row of sample `i` is `pattern(seed + i)`.
pub(crate) fn begin_filled(
    unit: &StorageUnit,
    at: &[GlobalIndex],
    name: &str,
    row_bytes: u64,
    seed: u64,
) -> Result<PendingPut> {
    let mut put = unit.begin_put(at, vec![bytes_column(name, row_bytes)])?;
    let rows = put
        .columns_mut()
        .remove(0)
        .chunks_mut((row_bytes as usize).max(1));
    for (row, index) in rows.zip(at) {
        row.copy_from_slice(&pattern(seed + index.0, row_bytes as usize));
    }
    Ok(put)
}

pub(crate) fn put(unit: &StorageUnit, at: &[GlobalIndex], name: &str, row_bytes: u64, seed: u64) {
    let lost = begin_filled(unit, at, name, row_bytes, seed)
        .unwrap()
        .commit()
        .unwrap();
    assert_eq!(lost, []);
}

pub(crate) fn read_one(unit: &StorageUnit, at: &[GlobalIndex], name: &str) -> ColumnRead {
    unit.read(at, &[field(name)]).unwrap().remove(0)
}

pub(crate) fn gathered(read: &ColumnRead) -> Vec<u8> {
    let mut bytes = vec![0; read.bytes() as usize];
    read.gather_into(&mut bytes, 2).unwrap();
    bytes
}

/// Whether the rows of `at` are those [`put`] wrote with `seed`.
pub(crate) fn is_pattern(read: &ColumnRead, at: &[GlobalIndex], row_bytes: u64, seed: u64) -> bool {
    let rows = at
        .iter()
        .map(|index| pattern(seed + index.0, row_bytes as usize));
    gathered(read) == rows.collect::<Vec<_>>().concat()
}

/// The bytes of adjacent leases as one.
pub(crate) fn joined(leases: &[Lease]) -> Vec<u8> {
    leases
        .iter()
        .map(Lease::as_slice)
        .collect::<Vec<_>>()
        .concat()
}
