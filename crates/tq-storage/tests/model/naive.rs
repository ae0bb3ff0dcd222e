//! The model: one map entry per (field, sample).

use std::collections::{BTreeMap, BTreeSet};

use tq_proto::DType;
use tq_storage::RowLayout;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Tensor { dtype: DType, shape: Vec<u64> },
    Object,
}

/// One stored value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) bytes: Vec<u8>,
}

impl Row {
    pub(crate) fn layout(&self) -> RowLayout<'_> {
        match &self.kind {
            Kind::Tensor { dtype, shape } => RowLayout::Tensor {
                dtype: *dtype,
                shape,
            },
            Kind::Object => RowLayout::Object {
                bytes: self.bytes.len() as u64,
            },
        }
    }
}

/// A put that has begun: its samples, its rows per field, and who of them was cleared since.
pub(crate) struct InFlight {
    pub(crate) indexes: Vec<u64>,
    pub(crate) columns: Vec<(&'static str, Vec<Row>)>,
    pub(crate) lost: BTreeSet<u64>,
}

#[derive(Default)]
pub(crate) struct Naive {
    pub(crate) rows: BTreeMap<(&'static str, u64), Row>,
    pub(crate) in_flight: Vec<InFlight>,
}

impl Naive {
    pub(crate) fn samples(&self) -> BTreeSet<u64> {
        self.rows.keys().map(|(_, index)| *index).collect()
    }

    pub(crate) fn in_use(&self) -> BTreeSet<u64> {
        let pending = self
            .in_flight
            .iter()
            .flat_map(|put| put.indexes.iter().copied());
        self.samples().into_iter().chain(pending).collect()
    }

    pub(crate) fn fields(&self) -> BTreeSet<&'static str> {
        self.rows.keys().map(|(name, _)| *name).collect()
    }

    pub(crate) fn commit(&mut self, put: InFlight) {
        for (name, rows) in put.columns {
            for (index, row) in put.indexes.iter().zip(rows) {
                if !put.lost.contains(index) {
                    self.rows.insert((name, *index), row);
                }
            }
        }
    }

    pub(crate) fn clear(&mut self, indexes: &[u64]) -> usize {
        let before = self.samples().len();
        self.rows.retain(|(_, index), _| !indexes.contains(index));
        for put in &mut self.in_flight {
            put.lost
                .extend(put.indexes.iter().filter(|index| indexes.contains(index)));
        }
        before - self.samples().len()
    }
}
