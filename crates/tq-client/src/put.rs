//! One batch on its way in: written into the host's memory, or sent there where that is out of
//! reach, or sent along where it is small.

use std::mem;
use std::ops::Range;
use std::sync::Arc;

use tq_arena::{RemoteLoan, SegmentRange, WarmBuffer};
use tq_controller::{Published, Tags};
use tq_proto::{Error, ErrorKind, GlobalIndex, Result};
use tq_storage::{ColumnLayout, ColumnPlan};
use tq_wire::limits::INLINE_BYTES;
use tq_wire::proto::{self, BeginPutRequest, PublishRequest, PutRequest, Target, Texts};
use tq_wire::texts::numbers;

use crate::link::{Link, Reach};
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
    /// The same at a host whose memory cannot be mapped: the bytes wait here until they are sent.
    Staged {
        link: Arc<Link>,
        number: u64,
        staging: WarmBuffer,
        /// The bytes of each column, ascending.
        columns: Vec<Range<u64>>,
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
        let state = begun.and_then(|reply| {
            Ok(match &link.reach {
                Reach::Mapped(tether) => {
                    let places = reply.read(columns)?.into_iter();
                    let loan = |place: Option<SegmentRange>| {
                        place.map(|place| tether.write(place)).transpose()
                    };
                    State::Loaned {
                        loans: places.map(loan).collect::<Result<_>>()?,
                        link: Arc::clone(&link),
                        number,
                    }
                }
                Reach::Streamed(_) => {
                    let (columns, bytes) = reply.in_loan(columns)?;
                    State::Staged {
                        staging: self.staging(&columns, bytes)?,
                        columns,
                        link: Arc::clone(&link),
                        number,
                    }
                }
            })
        });
        if state.is_err() {
            // The host may have begun all the same.
            link.chores.abandon(number);
        }
        state
    }

    fn publish_held(
        &self,
        link: &Link,
        number: u64,
        tags: Option<proto::Tags>,
    ) -> Result<proto::PublishedReply> {
        let request = PublishRequest {
            session: link.session,
            number,
            tags,
        };
        let published = self.ask_over(link, call!(publish, request));
        if let Err(error) = &published
            && error.kind() == ErrorKind::DeadlineExceeded
        {
            link.chores.abandon(number);
        }
        published
    }

    /// Memory that looks like the loan at the host, for the columns to be written into.
    fn staging(&self, columns: &[Range<u64>], bytes: u64) -> Result<WarmBuffer> {
        let mut staging = self.shared.pool.take(bytes).map_err(|error| {
            Error::new(ErrorKind::System, "no memory for the rows that are put")
                .with("bytes", bytes)
                .caused_by(error)
        })?;
        // What lies between columns is sent, too, and is nobody's business.
        let memory = staging.as_mut_slice();
        let mut end = 0;
        for column in columns {
            memory[end..column.start as usize].fill(0);
            end = column.end as usize;
        }
        memory[end..].fill(0);
        Ok(staging)
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
            State::Staged {
                staging, columns, ..
            } => {
                let mut rest = staging.as_mut_slice();
                let mut taken = 0;
                let mut slices = Vec::with_capacity(columns.len());
                for column in columns {
                    let (_, tail) =
                        mem::take(&mut rest).split_at_mut((column.start - taken) as usize);
                    let bytes = (column.end - column.start) as usize;
                    let (own, tail) = tail.split_at_mut(bytes);
                    slices.push(own);
                    rest = tail;
                    taken = column.end;
                }
                slices
            }
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
                self.remote.publish_held(&link, number, tags)?
            }
            State::Staged {
                link,
                number,
                staging,
                ..
            } => {
                let Reach::Streamed(bulk) = &link.reach else {
                    return Err(Error::new(ErrorKind::Internal, "a put was staged for nobody"));
                };
                if !staging.is_empty() {
                    let sent = bulk.fill(number, Arc::new(staging));
                    sent.inspect_err(|_| link.chores.abandon(number))?;
                }
                self.remote.publish_held(&link, number, tags)?
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
        let state = mem::replace(&mut self.state, State::Over);
        let (link, number) = match &state {
            State::Loaned { link, number, .. } | State::Staged { link, number, .. } => {
                (Arc::clone(link), *number)
            }
            State::Inline { .. } | State::Over => return,
        };
        if link.is_foreign() {
            mem::forget(state);
            return mem::forget(link);
        }
        drop(state);
        link.chores.abandon(number);
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
