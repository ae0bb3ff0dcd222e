//! Reads of several storage units put together to one.

use tq_proto::{FieldName, Result};

use crate::error;
use crate::read::{ColumnRead, RowRef};
use crate::runs::{Piece, RunBuilder, Runs};

impl ColumnRead {
    /// One read of `rows` rows out of several of the same field, each with the positions that its
    /// rows have in the whole.
    ///
    /// # Errors
    /// `Internal` where the positions are not those of all rows, each once.
    pub fn merge(field: FieldName, parts: Vec<(Vec<usize>, Self)>, rows: usize) -> Result<Self> {
        let mut whole = Self {
            field,
            sources: Vec::new(),
            rows: Vec::new(),
            leases: Vec::new(),
            runs: Runs::default(),
            bytes: 0,
        };
        let refused = || error::merge(&whole.field, rows);
        // Where each row comes from: its part, and its position there.
        let mut origins = vec![None; rows];
        for (number, (positions, part)) in parts.iter().enumerate() {
            if positions.len() != part.rows() {
                return Err(refused());
            }
            for (own, position) in positions.iter().enumerate() {
                match origins.get_mut(*position) {
                    Some(origin @ None) => *origin = Some((number, own)),
                    _ => return Err(refused()),
                }
            }
        }
        let origins: Vec<(usize, usize)> = origins
            .into_iter()
            .collect::<Option<_>>()
            .ok_or_else(refused)?;
        let mut offsets = Vec::with_capacity(parts.len());
        for (_, part) in &parts {
            offsets.push((whole.sources.len() as u32, whole.leases.len() as u32));
            whole.sources.extend(part.sources.iter().cloned());
            whole.leases.extend(part.leases.iter().cloned());
        }
        let mut runs = RunBuilder::default();
        for (position, (number, own)) in (0u32..).zip(origins) {
            let (part, (first_source, first_lease)) = (&parts[number].1, offsets[number]);
            let at = part.rows[own];
            let source = first_source + at.source;
            whole.rows.push(RowRef { source, ..at });
            let Some((lease, offset, bytes)) = part.place(own) else {
                continue;
            };
            let lease = first_lease + lease;
            let piece = Piece {
                first_row: position,
                source,
                lease,
                offset,
                bytes,
            };
            runs.push(piece, whole.leases[lease as usize].id());
            whole.bytes += bytes;
        }
        whole.runs = runs.finish();
        Ok(whole)
    }
}
