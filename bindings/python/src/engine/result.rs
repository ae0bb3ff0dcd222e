//! Columns that were read, as tensors and values. Python puts them into containers
//! (`transfer_queue/_columns.py`).

use std::ops::Range;

use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};
use tq_client::Engine;
use tq_engine::{Delivered, Delivery, Part};
use tq_proto::{DType, ErrorKind};
use tq_storage::{ColumnRead, ReadLayout, RowLayout, RowShapes};

use crate::codec::decode::unpack_with;
use crate::codec::early::{self, EARLY_FROM, Early};
use crate::codec::tensor::tensor_of;
use crate::errors::raise;
use crate::fence::OwnedBytes;

/// A column with its bytes at hand.
pub(super) struct ReadColumn {
    read: ColumnRead,
    layout: ReadLayout,
    /// In request order; one part where the rows have to lie back to back.
    parts: Vec<(Range<usize>, OwnedBytes)>,
    /// Objects of the packed buffers that are there already: of all of them in order, or of none.
    early: Vec<Early>,
}

/// What turns reads into bytes: an engine, or the region that a storage backend fills.
pub(super) trait Deliver {
    fn whole(&self, column: &ColumnRead) -> tq_proto::Result<Delivered>;
    fn parts(&self, column: &ColumnRead) -> tq_proto::Result<Vec<Part>>;
}

impl Deliver for Engine {
    fn whole(&self, column: &ColumnRead) -> tq_proto::Result<Delivered> {
        self.deliver(column)
    }

    fn parts(&self, column: &ColumnRead) -> tq_proto::Result<Vec<Part>> {
        self.deliver_parts(column)
    }
}

impl Deliver for Delivery<'_> {
    fn whole(&self, column: &ColumnRead) -> tq_proto::Result<Delivered> {
        Delivery::whole(self, column)
    }

    fn parts(&self, column: &ColumnRead) -> tq_proto::Result<Vec<Part>> {
        Delivery::parts(self, column)
    }
}

impl ReadColumn {
    /// Delivers a column's bytes. Runs detached.
    pub(super) fn deliver(from: &impl Deliver, read: ColumnRead) -> tq_proto::Result<Self> {
        let layout = read.layout();
        let parts = match layout {
            // Rows that become one tensor have to lie back to back.
            ReadLayout::Dense { .. } | ReadLayout::Jagged { .. } => {
                vec![(0..read.rows(), owned(from.whole(&read)?))]
            }
            ReadLayout::Mixed { .. } | ReadLayout::Object { .. } | ReadLayout::Heterogeneous => {
                let parts = from.parts(&read)?;
                parts
                    .into_iter()
                    .map(|part| (part.rows, owned(part.bytes)))
                    .collect()
            }
        };
        Ok(Self {
            read,
            layout,
            parts,
            early: Vec::new(),
        })
    }

    /// The same with objects of all packed buffers that were made before, or of none.
    pub(super) fn with_early(mut self, early: Vec<Early>) -> Self {
        self.early = early;
        self
    }

    /// The packed buffers, in order.
    fn packed<'a>(&'a self, py: Python<'_>) -> Vec<&'a [u8]> {
        let mut packed = Vec::new();
        for (positions, bytes) in &self.parts {
            let (mut at, bytes) = (0, bytes.as_slice(py));
            for layout in positions.clone().map_while(|row| self.read.row_layout(row)) {
                let len = len_of(layout);
                if let (RowLayout::Object { .. }, Some(row)) = (layout, bytes.get(at..at + len)) {
                    packed.push(row);
                }
                at += len;
            }
        }
        packed
    }

    fn whole(&self) -> OwnedBytes {
        self.parts.first().map_or_else(
            || OwnedBytes::of_vec(Vec::new()),
            |(_, bytes)| bytes.clone(),
        )
    }
}

/// Bytes of a row.
fn len_of(layout: RowLayout<'_>) -> usize {
    match layout {
        RowLayout::Tensor { dtype, shape } => dtype.byte_len(shape).unwrap_or(0) as usize,
        RowLayout::Object { bytes } => bytes as usize,
    }
}

fn owned(delivered: Delivered) -> OwnedBytes {
    match delivered {
        Delivered::View(view) => OwnedBytes::of_view(view),
        Delivered::Warm(buffer) => OwnedBytes::of_warm(buffer),
    }
}

/// Makes the columns of one batch.
pub(super) struct Columns<'py> {
    py: Python<'py>,
    allow_pickle: bool,
    threads: usize,
    /// Columns whose rows are of equal lengths share their offsets, and so torch knows that they
    /// fit each other.
    offsets: Vec<Offsets<'py>>,
}

/// Lengths of the rows of a jagged column.
#[derive(PartialEq, Eq)]
enum Lengths {
    /// All rows have this one.
    Alike {
        rows: usize,
        length: u64,
    },
    Each(Vec<u64>),
}

struct Offsets<'py> {
    lengths: Lengths,
    tensor: Bound<'py, PyAny>,
    shortest: u64,
    longest: u64,
}

impl Lengths {
    fn new(lengths: Vec<u64>) -> Self {
        match lengths.split_first() {
            Some((length, others)) if others.iter().all(|other| other == length) => Self::Alike {
                rows: lengths.len(),
                length: *length,
            },
            _ => Self::Each(lengths),
        }
    }

    fn total(&self) -> u64 {
        match self {
            Self::Alike { rows, length } => *rows as u64 * length,
            Self::Each(lengths) => lengths.iter().sum(),
        }
    }

    fn extremes(&self) -> (u64, u64) {
        match self {
            Self::Alike { length, .. } => (*length, *length),
            Self::Each(lengths) => (
                lengths.iter().copied().min().unwrap_or(0),
                lengths.iter().copied().max().unwrap_or(0),
            ),
        }
    }

    /// Where each row begins, and the last one ends.
    fn offsets(&self) -> Vec<u64> {
        let mut end = 0;
        let mut ends = vec![0];
        let mut add = |length: u64| {
            end += length;
            ends.push(end);
        };
        match self {
            Self::Alike { rows, length } => (0..*rows).for_each(|_| add(*length)),
            Self::Each(lengths) => lengths.iter().copied().for_each(add),
        }
        ends
    }
}

impl<'py> Columns<'py> {
    /// `threads`: the most that make values.
    pub(super) fn new(py: Python<'py>, allow_pickle: bool, threads: usize) -> Self {
        Self {
            py,
            allow_pickle,
            threads,
            offsets: Vec::new(),
        }
    }

    /// `(field, kind, content...)`: `("dense", tensor)`, `("jagged", values, offsets, shortest row,
    /// longest row)` or `("rows", [value, ...])`.
    pub(super) fn make(&mut self, column: &ReadColumn) -> PyResult<Bound<'py, PyTuple>> {
        let py = self.py;
        let field = PyString::new(py, column.read.field());
        let rows = column.read.rows() as u64;
        match &column.layout {
            ReadLayout::Dense { dtype, row_shape } if row_shape.is_empty() => {
                let tensor = tensor_of(py, &column.whole(), *dtype, &[rows])?;
                (field, "dense", tensor).into_pyobject(py)
            }
            ReadLayout::Dense { dtype, row_shape } => {
                let lengths = Lengths::Alike {
                    rows: column.read.rows(),
                    length: row_shape[0],
                };
                self.jagged(&field, column, *dtype, lengths, &row_shape[1..])
            }
            ReadLayout::Jagged { dtype, row_shapes } => {
                let rest = row_shapes
                    .get(0)
                    .map(|shape| shape[1..].to_vec())
                    .unwrap_or_default();
                let ragged_first = row_shapes.iter().all(|shape| shape[1..] == rest);
                if ragged_first {
                    let lengths = row_shapes.iter().map(|shape| shape[0]).collect();
                    let lengths = Lengths::new(lengths);
                    return self.jagged(&field, column, *dtype, lengths, &rest);
                }
                let rows = self.tensors(column, *dtype, row_shapes)?;
                (field, "rows", rows).into_pyobject(py)
            }
            ReadLayout::Mixed { .. } | ReadLayout::Object { .. } | ReadLayout::Heterogeneous => {
                (field, "rows", self.values(column)?).into_pyobject(py)
            }
        }
    }

    fn jagged(
        &mut self,
        field: &Bound<'py, PyString>,
        column: &ReadColumn,
        dtype: DType,
        lengths: Lengths,
        rest: &[u64],
    ) -> PyResult<Bound<'py, PyTuple>> {
        let py = self.py;
        let shape: Vec<u64> = std::iter::once(lengths.total())
            .chain(rest.iter().copied())
            .collect();
        let values = tensor_of(py, &column.whole(), dtype, &shape)?;
        let Offsets {
            tensor,
            shortest,
            longest,
            ..
        } = self.offsets(lengths)?;
        (field, "jagged", values, tensor, shortest, longest).into_pyobject(py)
    }

    fn offsets(&mut self, lengths: Lengths) -> PyResult<&Offsets<'py>> {
        let known = self
            .offsets
            .iter()
            .position(|known| known.lengths == lengths);
        let place = match known {
            Some(place) => place,
            None => {
                let offsets = lengths.offsets();
                let count = offsets.len() as u64;
                let bytes = offsets.into_iter().flat_map(u64::to_le_bytes).collect();
                let bytes = OwnedBytes::of_vec(bytes);
                let (shortest, longest) = lengths.extremes();
                self.offsets.push(Offsets {
                    lengths,
                    tensor: tensor_of(self.py, &bytes, DType::Int64, &[count])?,
                    shortest,
                    longest,
                });
                self.offsets.len() - 1
            }
        };
        Ok(&self.offsets[place])
    }

    fn tensors(
        &self,
        column: &ReadColumn,
        dtype: DType,
        shapes: &RowShapes,
    ) -> PyResult<Bound<'py, PyList>> {
        let rows = PyList::empty(self.py);
        let bytes = column.whole();
        let mut at = 0;
        for shape in shapes.iter() {
            let len = dtype.byte_len(shape).unwrap_or(0) as usize;
            rows.append(tensor_of(
                self.py,
                &self.part(&bytes, at, len)?,
                dtype,
                shape,
            )?)?;
            at += len;
        }
        Ok(rows)
    }

    /// Rows that differ: each is what it was put as.
    fn values(&self, column: &ReadColumn) -> PyResult<Bound<'py, PyList>> {
        let rows = PyList::empty(self.py);
        let none = Early::default();
        let made = self.early(column)?;
        let mut early = if made.is_empty() {
            column.early.iter()
        } else {
            made.iter()
        };
        for (positions, bytes) in &column.parts {
            let mut at = 0;
            for position in positions.clone() {
                let Some(layout) = column.read.row_layout(position) else {
                    break;
                };
                let len = len_of(layout);
                let bytes = self.part(bytes, at, len)?;
                let early = match layout {
                    RowLayout::Object { .. } => early.next(),
                    RowLayout::Tensor { .. } => None,
                };
                rows.append(self.value(&bytes, layout, early.unwrap_or(&none))?)?;
                at += len;
            }
        }
        // Rows without bytes in a column that has none at all belong to no part.
        for position in rows.len()..column.read.rows() {
            let Some(layout) = column.read.row_layout(position) else {
                break;
            };
            let bytes = OwnedBytes::of_vec(Vec::new());
            rows.append(self.value(&bytes, layout, &none)?)?;
        }
        Ok(rows)
    }

    /// Objects of the column's packed buffers that are worth making by several threads, unless they
    /// are there already.
    fn early(&self, column: &ReadColumn) -> PyResult<Vec<Early>> {
        if !column.early.is_empty() || column.read.bytes() < EARLY_FROM as u64 {
            return Ok(Vec::new());
        }
        early::make(self.py, &column.packed(self.py), self.threads)
    }

    fn value(
        &self,
        bytes: &OwnedBytes,
        layout: RowLayout<'_>,
        early: &Early,
    ) -> PyResult<Bound<'py, PyAny>> {
        match layout {
            RowLayout::Tensor { dtype, shape } => tensor_of(self.py, bytes, dtype, shape),
            RowLayout::Object { .. } => unpack_with(self.py, bytes, early, self.allow_pickle),
        }
    }

    fn part(&self, bytes: &OwnedBytes, at: usize, len: usize) -> PyResult<OwnedBytes> {
        bytes.slice(at..at + len).ok_or_else(|| {
            raise(
                self.py,
                ErrorKind::Internal,
                "a column has fewer bytes than its rows need",
            )
        })
    }
}
