//! One batch on its way out: its rows lie in the host's memory, which is mapped here, or are fetched
//! from there where that is out of reach, or came along where they are few bytes.

use std::sync::Arc;

use tq_arena::{Extent, SegmentRange};
use tq_engine::{Batch, Delivered, Delivery, Part};
use tq_proto::{Error, ErrorKind, FieldName, GlobalIndex, Result};
use tq_storage::{ColumnDescription, ColumnRead};
use tq_wire::bulk::{ReadSpace, STRIPE_BYTES};
use tq_wire::proto::{Column, Fields, ReadReply, ReadRequest, Texts};
use tq_wire::texts::{field_names, names, numbers, to_positions};

use crate::bulk::Bulk;
use crate::link::{Link, Reach};
use crate::remote::{Remote, call, is_open};
use crate::tether::Tether;

/// Rows may move between the question where they lie and the reading; they are looked for again.
const ATTEMPTS: usize = 4;

/// What a host has answered a read with.
struct Held {
    described: Vec<Column>,
    payload: Option<Vec<u8>>,
    link: Arc<Link>,
    number: u64,
}

fn by_index(indexes: &[GlobalIndex], fields: &[FieldName], stored: bool) -> ReadRequest {
    ReadRequest {
        global_indexes: numbers(indexes),
        by_index: true,
        stored,
        select: Some(Fields {
            names: names(fields),
        }),
        ..ReadRequest::default()
    }
}

impl Remote {
    /// As [`tq_engine::Embedded::read`].
    ///
    /// # Errors
    /// As there, and as every call, see [`Remote`].
    pub fn read<K: AsRef<str>>(
        &self,
        partition: &str,
        keys: &[K],
        select: Option<&[FieldName]>,
    ) -> Result<Batch> {
        let request = || ReadRequest {
            partition: partition.into(),
            keys: Some(Texts::of(keys)),
            select: select.map(|fields| Fields {
                names: names(fields),
            }),
            ..ReadRequest::default()
        };
        self.while_rows_move(|| {
            let (mut reply, held) = self.read_with(request)?;
            let missing = to_positions(&reply.missing, keys.len())?;
            let found = keys.len() - missing.len();
            let columns = match reply.spread.take() {
                None => self.columns(held, found)?,
                Some(spread) => self.read_spread(&spread.read()?)?,
            };
            let mut absent = missing.iter().copied().peekable();
            let is_there = |position: &usize| absent.next_if_eq(position).is_none();
            Ok(Batch {
                positions: (0..keys.len()).filter(is_there).collect(),
                ready: field_names(reply.ready),
                columns,
                missing,
            })
        })
    }

    /// As [`tq_engine::Embedded::read_indexes`].
    ///
    /// # Errors
    /// As there, and as every call, see [`Remote`].
    pub fn read_indexes(
        &self,
        indexes: &[GlobalIndex],
        fields: &[FieldName],
    ) -> Result<Vec<ColumnRead>> {
        self.while_rows_move(|| {
            let (mut reply, held) = self.read_with(|| by_index(indexes, fields, false))?;
            match reply.spread.take() {
                None => self.columns(held, indexes.len()),
                Some(spread) => self.read_spread(&spread.read()?),
            }
        })
    }

    /// Reads what is stored at this host, whatever its controller knows.
    pub(crate) fn read_here(
        &self,
        indexes: &[GlobalIndex],
        fields: &[FieldName],
    ) -> Result<Vec<ColumnRead>> {
        let (_, held) = self.read_with(|| by_index(indexes, fields, true))?;
        self.columns(held, indexes.len())
    }

    /// Reads again where rows went elsewhere between the question where they lie and the reading.
    fn while_rows_move<R>(&self, read: impl Fn() -> Result<R>) -> Result<R> {
        let mut attempt = 1;
        loop {
            match read() {
                Err(error) if error.kind() == ErrorKind::NotFound && attempt < ATTEMPTS => {
                    // Of one unit alone, the host itself has tried as often.
                    if !self.has_units() {
                        return Err(error);
                    }
                    attempt += 1;
                }
                read => return read,
            }
        }
    }

    /// The reply, and what is needed to make columns of it.
    fn read_with(&self, request: impl Fn() -> ReadRequest) -> Result<(ReadReply, Held)> {
        let (mut reply, link, number) = self.again(|link| {
            let number = link.number();
            let request = ReadRequest {
                session: link.session,
                number,
                ..request()
            };
            match self.ask_over(link, call!(read, request)) {
                Ok(reply) => Ok((reply, Arc::clone(link), number)),
                Err(error) => {
                    if is_open(&error) {
                        // The host may hold it all the same.
                        link.chores.release(number);
                    }
                    Err(error)
                }
            }
        })?;
        let held = Held {
            described: std::mem::take(&mut reply.columns),
            payload: reply.payload.take(),
            link,
            number,
        };
        Ok((reply, held))
    }

    /// The columns of a reply, of `rows` rows each.
    fn columns(&self, held: Held, rows: usize) -> Result<Vec<ColumnRead>> {
        let Held {
            described,
            payload,
            link,
            number,
        } = held;
        match (payload, &link.reach) {
            (Some(payload), _) => self.local_columns(described, &payload, rows),
            (None, Reach::Mapped(tether)) => held_columns(tether, number, described, rows),
            (None, Reach::Streamed(bulk)) => {
                let columns = self.fetched_columns(bulk, number, described, rows);
                link.chores.release(number);
                columns
            }
        }
    }

    /// Columns whose bytes came along, put into memory of our own.
    fn local_columns(
        &self,
        described: Vec<Column>,
        payload: &[u8],
        rows: usize,
    ) -> Result<Vec<ColumnRead>> {
        let mut rest = payload;
        let column = |column: Column| {
            let bytes = usize::try_from(column.inline_bytes).unwrap_or(usize::MAX);
            let (own, tail) = rest.split_at_checked(bytes).ok_or_else(|| {
                Error::new(
                    ErrorKind::Internal,
                    "the host sent fewer bytes than it said",
                )
            })?;
            rest = tail;
            let extent = (!own.is_empty()).then(|| self.store(own)).transpose()?;
            own_column(column.read()?, extent.as_ref(), own.len() as u64, rows)
        };
        described.into_iter().map(column).collect()
    }

    /// Columns whose bytes the host holds as read `number`, fetched into memory of our own.
    fn fetched_columns(
        &self,
        bulk: &Bulk,
        number: u64,
        described: Vec<Column>,
        rows: usize,
    ) -> Result<Vec<ColumnRead>> {
        let described: Vec<_> = described
            .into_iter()
            .map(Column::read)
            .collect::<Result<_>>()?;
        let bytes = |column: &ColumnDescription| {
            let runs = column.runs.iter().map(|run| run.len);
            runs.fold(0, u64::saturating_add)
        };
        let sizes: Vec<u64> = described.iter().map(bytes).collect();
        let too_large = || {
            Error::new(
                ErrorKind::Internal,
                "the host found more than 64 bits of bytes",
            )
        };
        let space = ReadSpace::new(sizes.iter().copied()).ok_or_else(too_large)?;
        let mut extents = Vec::new();
        if space.bytes() > 0 {
            let loan = self.shared.local.loan(space.bytes());
            let loan = loan.map_err(|error| no_memory(space.bytes(), error.into()))?;
            let stripes = loan.stripes(STRIPE_BYTES);
            bulk.fetch(number, &stripes)?;
            let filled = stripes.join().ok_or_else(|| {
                Error::new(
                    ErrorKind::Internal,
                    "a read was fetched and is still being fetched",
                )
            })?;
            let starts = space.columns().iter().filter(|range| !range.is_empty());
            let cuts: Vec<u64> = starts.map(|range| range.start).skip(1).collect();
            let committed = filled.commit(&cuts);
            extents = committed.map_err(|error| no_memory(space.bytes(), error.into()))?;
        }
        let mut extents = extents.into_iter();
        let column = |(description, bytes): (ColumnDescription, u64)| {
            let extent = if bytes > 0 { extents.next() } else { None };
            own_column(description, extent.as_ref(), bytes, rows)
        };
        described.into_iter().zip(sizes).map(column).collect()
    }

    fn store(&self, bytes: &[u8]) -> Result<Extent> {
        let refused = |error| no_memory(bytes.len() as u64, error);
        let loan = self.shared.local.loan(bytes.len() as u64);
        let mut loan = loan.map_err(|error| refused(error.into()))?;
        loan.as_mut_slice().copy_from_slice(bytes);
        let extents = loan.commit(&[]).map_err(|error| refused(error.into()))?;
        extents
            .into_iter()
            .next()
            .ok_or_else(|| refused("nothing was committed".into()))
    }

    /// As [`tq_engine::Embedded::deliver`].
    ///
    /// # Errors
    /// `System` where there is no memory for a copy.
    pub fn deliver(&self, column: &ColumnRead) -> Result<Delivered> {
        self.delivery().whole(column)
    }

    /// As [`tq_engine::Embedded::deliver_parts`].
    ///
    /// # Errors
    /// `System` where there is no memory for a copy.
    pub fn deliver_parts(&self, column: &ColumnRead) -> Result<Vec<Part>> {
        self.delivery().parts(column)
    }

    fn delivery(&self) -> Delivery<'_> {
        Delivery {
            pool: &self.shared.pool,
            threads: self.shared.config.threads,
        }
    }
}

/// A column whose `bytes` bytes lie at the start of memory of our own; of none where it has none.
fn own_column(
    mut description: ColumnDescription,
    extent: Option<&Extent>,
    bytes: u64,
    rows: usize,
) -> Result<ColumnRead> {
    (description.spans, description.runs) = (Vec::new(), Vec::new());
    let mut leases = Vec::new();
    if let Some(extent) = extent {
        let range = extent.id().range();
        description.spans = vec![range];
        description.runs = vec![SegmentRange {
            len: bytes,
            ..range
        }];
        leases.push(extent.lease());
    }
    ColumnRead::from_description(description, leases, rows)
}

fn no_memory(bytes: u64, error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::new(ErrorKind::System, "no memory for the rows that were read")
        .with("bytes", bytes)
        .caused_by(error)
}

/// Columns that lie in the host's memory, which it holds for us as read `number`.
fn held_columns(
    tether: &Arc<Tether>,
    number: u64,
    described: Vec<Column>,
    rows: usize,
) -> Result<Vec<ColumnRead>> {
    // Released when the last lease is gone, or here, where something is wrong.
    let hold = tether.hold(number);
    let column = |column: Column| {
        let description = column.read()?;
        let leases = description
            .spans
            .iter()
            .map(|span| tether.lease(*span, &hold))
            .collect::<Result<_>>()?;
        ColumnRead::from_description(description, leases, rows)
    };
    described.into_iter().map(column).collect()
}
