//! One batch on its way in: written into the host's memory, or sent along where it is small.

use std::mem;
use std::sync::Arc;

use tq_arena::RemoteLoan;
use tq_controller::{Published, Tags};
use tq_proto::{ErrorKind, GlobalIndex, Result};
use tq_storage::{ColumnLayout, ColumnPlan};
use tq_wire::limits::INLINE_BYTES;
use tq_wire::proto::{self, BeginPutRequest, PublishRequest, PutRequest, Target, Texts};
use tq_wire::texts::numbers;

use crate::link::Link;
use crate::remote::{Remote, call};

/// A batch that is being put. Dropping it undoes it.
pub struct RemotePut {
    remote: Remote,
    rows: usize,
    bytes: u64,
    state: State,
}

enum State {
    /// So small that it is sent when it is published; the host knows nothing of it before.
    Inline {
        target: Target,
        plans: Vec<proto::ColumnPlan>,
        /// Bytes of each column.
        columns: Vec<u64>,
        payload: Vec<u8>,
    },
    /// The host has reserved the samples and loaned the memory.
    Loaned {
        link: Arc<Link>,
        number: u64,
        /// `None` for a column without bytes.
        loans: Vec<Option<RemoteLoan>>,
    },
    /// Published, or given up.
    Over,
}

impl Remote {
    /// As [`tq_engine::Embedded::begin_put`]. What speaks against a batch of at most 64 KiB is said
    /// when it is published.
    ///
    /// # Errors
    /// As there, and as every call, see [`Remote`].
    pub fn begin_put<K: AsRef<str>>(
        &self,
        partition: &str,
        keys: &[K],
        columns: Vec<ColumnPlan>,
    ) -> Result<RemotePut> {
        let target = Target {
            partitions: Some(Texts::of([partition])),
            keys: Some(Texts::of(keys)),
            ..Target::default()
        };
        self.begin(target, keys.len(), &columns)
    }

    /// As [`tq_engine::Embedded::begin_put_indexes`], with the difference of [`Self::begin_put`].
    ///
    /// # Errors
    /// As there, and as every call, see [`Remote`].
    pub fn begin_put_indexes<P: AsRef<str>>(
        &self,
        partitions: &[P],
        indexes: &[GlobalIndex],
        columns: Vec<ColumnPlan>,
    ) -> Result<RemotePut> {
        let mut each = partitions.iter().map(AsRef::as_ref);
        let first = each.next();
        let one = partitions.len() == indexes.len() && each.all(|next| Some(next) == first);
        let partitions = match first {
            Some(first) if one => Texts::of([first]),
            _ => Texts::of(partitions),
        };
        let target = Target {
            partitions: Some(partitions),
            global_indexes: numbers(indexes),
            by_index: true,
            ..Target::default()
        };
        self.begin(target, indexes.len(), &columns)
    }

    fn begin(&self, target: Target, rows: usize, columns: &[ColumnPlan]) -> Result<RemotePut> {
        self.check()?;
        let plans = proto::ColumnPlan::of(columns);
        let sizes: Option<Vec<u64>> = columns.iter().map(|plan| bytes_of(plan, rows)).collect();
        let total = sizes.as_ref().and_then(|sizes| {
            sizes
                .iter()
                .try_fold(0u64, |sum, size| sum.checked_add(*size))
        });
        let mut put = RemotePut {
            remote: self.clone(),
            rows,
            bytes: total.unwrap_or(u64::MAX),
            state: State::Over,
        };
        put.state = match (sizes, total) {
            (Some(columns), Some(bytes)) if bytes <= INLINE_BYTES => State::Inline {
                target,
                plans,
                columns,
                payload: vec![0; bytes as usize],
            },
            // Of an impossible size, too: the host says so best.
            _ => self.borrow(target, plans)?,
        };
        Ok(put)
    }

    fn borrow(&self, target: Target, plans: Vec<proto::ColumnPlan>) -> Result<State> {
        let link = self.link()?;
        let number = link.number();
        let columns = plans.len();
        let request = BeginPutRequest {
            session: link.session,
            number,
            target: Some(target),
            columns: plans,
        };
        let begun = self.ask_over(&link, call!(begin_put, request));
        let loans = begun.and_then(|reply| {
            let places = reply.read(columns)?.into_iter();
            places
                .map(|place| place.map(|place| link.tether.write(place)).transpose())
                .collect::<Result<Vec<_>>>()
        });
        match loans {
            Ok(loans) => Ok(State::Loaned {
                link,
                number,
                loans,
            }),
            Err(error) => {
                // The host may have begun all the same.
                link.tether.chores.abandon(number);
                Err(error)
            }
        }
    }
}

impl RemotePut {
    /// Bytes of the batch.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The bytes of each column, in the order given: rows back to back. All are to be written.
    pub fn columns_mut(&mut self) -> Vec<&mut [u8]> {
        match &mut self.state {
            State::Inline {
                columns, payload, ..
            } => {
                let mut rest = payload.as_mut_slice();
                let mut slices = Vec::with_capacity(columns.len());
                for bytes in columns {
                    let (column, tail) = mem::take(&mut rest).split_at_mut(*bytes as usize);
                    slices.push(column);
                    rest = tail;
                }
                slices
            }
            State::Loaned { loans, .. } => loans
                .iter_mut()
                .map(|loan| match loan {
                    Some(loan) => loan.as_mut_slice(),
                    None => Default::default(),
                })
                .collect(),
            State::Over => Vec::new(),
        }
    }

    /// Makes the batch visible, with `tags` (one per row) merged into those there are.
    ///
    /// # Errors
    /// As [`tq_engine::Put::publish`], and as every call, see [`Remote`].
    pub fn publish(mut self, tags: Option<Vec<Tags>>) -> Result<Published> {
        self.remote.check()?;
        let tags = tags.as_ref().map(proto::Tags::of);
        let reply = match mem::replace(&mut self.state, State::Over) {
            State::Inline {
                target,
                plans,
                payload,
                ..
            } => {
                let request = PutRequest {
                    target: Some(target),
                    columns: plans,
                    payload,
                    tags,
                };
                self.remote.ask(call!(put, request))?
            }
            State::Loaned {
                link,
                number,
                loans,
            } => {
                // Once it is told, the bytes are the host's.
                drop(loans);
                let request = PublishRequest {
                    session: link.session,
                    number,
                    tags,
                };
                let published = self.remote.ask_over(&link, call!(publish, request));
                if let Err(error) = &published
                    && error.kind() == ErrorKind::DeadlineExceeded
                {
                    link.tether.chores.abandon(number);
                }
                published?
            }
            State::Over => {
                return Ok(Published {
                    tags: Vec::new(),
                    fields: Vec::new(),
                    sequence: 0,
                });
            }
        };
        reply.read(self.rows)
    }
}

impl Drop for RemotePut {
    fn drop(&mut self) {
        let State::Loaned {
            link,
            number,
            loans,
        } = mem::replace(&mut self.state, State::Over)
        else {
            return;
        };
        if link.is_foreign() {
            mem::forget(loans);
            return mem::forget(link);
        }
        drop(loans);
        link.tether.chores.abandon(number);
    }
}

/// Bytes of a column; `None` where they exceed 64 bits.
fn bytes_of(plan: &ColumnPlan, rows: usize) -> Option<u64> {
    let sum = |sum: u64, bytes: Option<u64>| sum.checked_add(bytes?);
    match &plan.layout {
        ColumnLayout::Dense { dtype, row_shape } => {
            dtype.byte_len(row_shape)?.checked_mul(rows as u64)
        }
        ColumnLayout::Jagged { dtype, row_shapes } if row_shapes.rank() == 0 => {
            (dtype.item_size() as u64).checked_mul(row_shapes.rows() as u64)
        }
        ColumnLayout::Jagged { dtype, row_shapes } => row_shapes
            .iter()
            .map(|shape| dtype.byte_len(shape))
            .try_fold(0, sum),
        ColumnLayout::Object { row_sizes } => row_sizes.iter().copied().map(Some).try_fold(0, sum),
    }
}
