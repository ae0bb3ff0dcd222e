//! One batch on its way in: written into the host's memory, or sent there where that is out of
//! reach, or sent along where it is small.

use std::mem;
use std::sync::Arc;

use tq_controller::{Published, Tags};
use tq_engine::UnitInfo;
use tq_proto::{Error, ErrorKind, GlobalIndex, Result, UnitId};
use tq_storage::ColumnPlan;
use tq_wire::limits::INLINE_BYTES;
use tq_wire::proto::{
    self, BeginPutRequest, BeginStoreRequest, HoldRequest, PublishRequest, PutRequest, Target,
};
use tq_wire::request_id::RequestId;

use crate::filling::Filling;
use crate::link::Link;
use crate::remote::{Remote, call, change, is_open};
use crate::target::{indexes_target, keys_target};

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
    Held(Filling),
    /// The host has reserved the samples, another unit has loaned the memory.
    Elsewhere {
        reserved: Reserved,
        unit: Remote,
        rows: Filling,
    },
    /// Published, or given up.
    Over,
}

/// A put that the host holds, whose bytes are stored by another unit. Dropping it gives it up.
struct Reserved {
    link: Arc<Link>,
    /// `None` once it is published.
    number: Option<u64>,
}

/// Units that are tried for one put.
const UNITS: usize = 8;

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
        self.begin(keys_target(partition, keys), keys.len(), &columns)
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
        let target = match first {
            Some(first) if one => indexes_target(&[first], indexes),
            _ => indexes_target(partitions, indexes),
        };
        self.begin(target, indexes.len(), &columns)
    }

    fn begin(&self, target: Target, rows: usize, columns: &[ColumnPlan]) -> Result<RemotePut> {
        self.check()?;
        let plans = proto::ColumnPlan::of(columns);
        let sizes: Option<Vec<u64>> = columns.iter().map(|plan| plan.layout.bytes(rows)).collect();
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
            _ => self.borrow(&target, &plans)?,
        };
        Ok(put)
    }

    /// Has memory loaned for the batch, by the host or by the unit that it names.
    fn borrow(&self, target: &Target, plans: &[proto::ColumnPlan]) -> Result<State> {
        let mut avoid = Vec::new();
        loop {
            let link = self.link()?;
            let number = link.number();
            let request = BeginPutRequest {
                session: link.session,
                number,
                target: Some(target.clone()),
                columns: plans.to_vec(),
                host: self.shared.config.host.clone(),
                avoid: avoid.iter().map(|unit: &UnitId| unit.0).collect(),
            };
            let begun = self.ask_over(&link, call!(begin_put, request));
            let mut reply = begun.inspect_err(|_| {
                // The host may have begun all the same.
                link.chores.abandon(number);
            })?;
            let Some(unit) = reply.elsewhere.take() else {
                let pool = &self.shared.pool;
                return Filling::new(&link, number, reply, plans.len(), pool).map(State::Held);
            };
            let reserved = Reserved {
                link,
                number: Some(number),
            };
            let unit = unit.read();
            match self.borrow_at(&unit, reply.global_indexes, plans) {
                Ok((remote, rows)) => {
                    return Ok(State::Elsewhere {
                        reserved,
                        unit: remote,
                        rows,
                    });
                }
                Err(error) if is_elsewhere_better(&error) && avoid.len() < UNITS => {
                    tracing::debug!(%error, unit = unit.name, "a storage unit takes no batch");
                    drop(reserved);
                    avoid.push(unit.id);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Has memory loaned by a unit.
    fn borrow_at(
        &self,
        unit: &UnitInfo,
        global_indexes: Vec<u64>,
        plans: &[proto::ColumnPlan],
    ) -> Result<(Self, Filling)> {
        let remote = self.unit(unit)?;
        let link = remote.link()?;
        let number = link.number();
        let request = BeginStoreRequest {
            session: link.session,
            number,
            global_indexes,
            columns: plans.to_vec(),
        };
        let begun = remote.ask_over(&link, call!(begin_store, request));
        let reply = begun.inspect_err(|_| link.chores.abandon(number))?;
        let rows = Filling::new(&link, number, reply, plans.len(), &remote.shared.pool)?;
        Ok((remote, rows))
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
        let published = self.ask_from(link, change!(publish, request));
        if let Err(error) = &published
            && is_open(error)
        {
            link.chores.abandon(number);
        }
        published
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
            State::Held(rows) | State::Elsewhere { rows, .. } => rows.columns_mut(),
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
        let remote = self.remote.clone();
        let reply = match mem::replace(&mut self.state, State::Over) {
            State::Inline {
                target,
                plans,
                payload,
                columns,
            } => {
                let request = PutRequest {
                    target: Some(target),
                    columns: plans,
                    payload,
                    tags,
                };
                match remote.ask(change!(put, &request)) {
                    // Another unit may have room.
                    Err(error) if error.kind() == ErrorKind::CapacityExceeded => {
                        let target = request.target.unwrap_or_default();
                        let mut state = remote.borrow(&target, &request.columns)?;
                        if let State::Elsewhere { rows, .. } = &mut state {
                            copy(&request.payload, &columns, rows.columns_mut());
                            self.state = state;
                            return self.publish_wire(request.tags);
                        }
                        return Err(error);
                    }
                    reply => reply?,
                }
            }
            state @ (State::Held(_) | State::Elsewhere { .. }) => {
                self.state = state;
                return self.publish_wire(tags);
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

impl RemotePut {
    /// Publishes what was loaned.
    fn publish_wire(mut self, tags: Option<proto::Tags>) -> Result<Published> {
        let remote = self.remote.clone();
        let reply = match mem::replace(&mut self.state, State::Over) {
            State::Held(rows) => {
                let (link, number) = rows.finish()?;
                remote.publish_held(&link, number, tags)?
            }
            State::Elsewhere {
                mut reserved,
                unit,
                rows,
            } => {
                let (at, stored) = rows.finish()?;
                let commit = HoldRequest {
                    session: at.session,
                    numbers: vec![stored],
                };
                let committed = unit.ask_over(&at, call!(commit_store, commit));
                if let Err(error) = committed {
                    at.chores.abandon(stored);
                    return Err(error);
                }
                let link = Arc::clone(&reserved.link);
                let number = reserved.number.take().unwrap_or_default();
                remote.publish_held(&link, number, tags)?
            }
            State::Inline { .. } | State::Over => {
                return Err(Error::new(ErrorKind::Internal, "a put was published twice"));
            }
        };
        reply.read(self.rows)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let Some(number) = self.number.take() else {
            return;
        };
        if self.link.is_foreign() {
            return mem::forget(Arc::clone(&self.link));
        }
        self.link.chores.abandon(number);
    }
}

/// Whether another unit may do what this one does not.
fn is_elsewhere_better(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::CapacityExceeded | ErrorKind::Unavailable | ErrorKind::DeadlineExceeded
    )
}

/// Columns back to back, each to its place.
fn copy(payload: &[u8], sizes: &[u64], columns: Vec<&mut [u8]>) {
    let mut rest = payload;
    for (size, column) in sizes.iter().zip(columns) {
        let (own, tail) = rest.split_at(*size as usize);
        column.copy_from_slice(own);
        rest = tail;
    }
}
