//! Memory that a host has loaned for rows on their way in, and what fills it from here.

use std::mem;
use std::ops::Range;
use std::sync::Arc;

use tq_arena::{RemoteLoan, SegmentRange, WarmBuffer, WarmPool};
use tq_proto::{Error, ErrorKind, Result};
use tq_wire::proto::LoanReply;

use crate::link::{Link, Reach};

/// Rows that a host holds for us under a number, until they are all written. Dropping it gives them
/// up.
pub(crate) struct Filling {
    link: Arc<Link>,
    number: u64,
    /// `None` once all is written, or given up.
    memory: Option<Memory>,
}

enum Memory {
    /// The host's own, mapped here; `None` for a column without bytes.
    Mapped(Vec<Option<RemoteLoan>>),
    /// Ours, until it is sent: the host's cannot be mapped.
    Staged {
        staging: WarmBuffer,
        /// The bytes of each column, ascending.
        columns: Vec<Range<u64>>,
    },
}

impl Filling {
    /// What the host has loaned for `columns` columns under `number`.
    pub(crate) fn new(
        link: &Arc<Link>,
        number: u64,
        reply: LoanReply,
        columns: usize,
        pool: &WarmPool,
    ) -> Result<Self> {
        // Whatever fails from here on, the host has begun.
        let mut filling = Self {
            link: Arc::clone(link),
            number,
            memory: Some(Memory::Mapped(Vec::new())),
        };
        filling.memory = Some(match &link.reach {
            Reach::Mapped(tether) => {
                let loan = |place: Option<SegmentRange>| {
                    place.map(|place| tether.write(place)).transpose()
                };
                let places = reply.read(columns)?.into_iter();
                Memory::Mapped(places.map(loan).collect::<Result<_>>()?)
            }
            Reach::Streamed(_) => {
                let (columns, bytes) = reply.in_loan(columns)?;
                Memory::Staged {
                    staging: staging(pool, &columns, bytes)?,
                    columns,
                }
            }
        });
        Ok(filling)
    }

    /// The bytes of each column, to write.
    pub(crate) fn columns_mut(&mut self) -> Vec<&mut [u8]> {
        match &mut self.memory {
            Some(Memory::Mapped(loans)) => loans
                .iter_mut()
                .map(|loan| match loan {
                    Some(loan) => loan.as_mut_slice(),
                    None => Default::default(),
                })
                .collect(),
            Some(Memory::Staged { staging, columns }) => split(staging.as_mut_slice(), columns),
            None => Vec::new(),
        }
    }

    /// All is written: the bytes are the host's from now on. The connection and the number.
    ///
    /// # Errors
    /// `Unavailable`, `DeadlineExceeded` where they cannot be sent; they are given up then.
    pub(crate) fn finish(mut self) -> Result<(Arc<Link>, u64)> {
        if let Some(Memory::Staged { staging, .. }) = &mut self.memory
            && !staging.is_empty()
            && let Reach::Streamed(bulk) = &self.link.reach
        {
            let staging = mem::replace(staging, WarmPool::new(0).take(0).map_err(no_memory)?);
            bulk.fill(self.number, Arc::new(staging))?;
        }
        self.memory = None;
        Ok((Arc::clone(&self.link), self.number))
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        let Some(memory) = self.memory.take() else {
            return;
        };
        if self.link.is_foreign() {
            mem::forget(memory);
            return mem::forget(Arc::clone(&self.link));
        }
        drop(memory);
        self.link.chores.abandon(self.number);
    }
}

/// Memory that looks like the loan at the host, for the columns to be written into.
fn staging(pool: &WarmPool, columns: &[Range<u64>], bytes: u64) -> Result<WarmBuffer> {
    let mut staging = pool.take(bytes).map_err(no_memory)?;
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

fn split<'a>(mut rest: &'a mut [u8], columns: &[Range<u64>]) -> Vec<&'a mut [u8]> {
    let mut taken = 0;
    let mut slices = Vec::with_capacity(columns.len());
    for column in columns {
        let (_, tail) = mem::take(&mut rest).split_at_mut((column.start - taken) as usize);
        let (own, tail) = tail.split_at_mut((column.end - column.start) as usize);
        slices.push(own);
        rest = tail;
        taken = column.end;
    }
    slices
}

fn no_memory(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::System, "no memory for the rows that are put").caused_by(error)
}
