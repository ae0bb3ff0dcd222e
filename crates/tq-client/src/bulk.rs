//! Payload to and from a host whose memory cannot be mapped here: stripes over several connections,
//! from where they lie to where they are going to lie.
//!
//! The stripes of a transfer wait in one queue, from which each connection takes as many as may be
//! under way on it. Those that a lost connection did not bring home go back into the queue, and the
//! transfer goes on over another one: it is given up on only when a connection can neither be kept
//! nor be made.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tq_arena::{Stripes, WarmBuffer};
use tq_proto::{Error, ErrorKind, Result};
use tq_wire::bulk::{
    ANSWER_BYTES, Request, STRIPE_BYTES, Status, WINDOW, What, read_answer, stripes,
};
use tq_wire::handshake::Purpose;
use tq_wire::stream::Stream;

use crate::config::ConnectConfig;
use crate::interrupt::{Interrupt, receive};
use crate::tcp::{Way, bulk_runtime};

/// Connections that may be lost during one transfer before it is given up on.
const LOSSES: usize = 3;

/// The way to one host's payload.
#[derive(Debug)]
pub(crate) struct Bulk {
    way: Arc<Way>,
    session: u64,
    /// How long the bytes of one stripe may take.
    deadline: Duration,
    connections: usize,
    interrupt: Option<Interrupt>,
    /// Connections between two transfers.
    idle: Arc<Mutex<Vec<Stream>>>,
    /// Made for the first transfer.
    runtime: Mutex<Option<Runtime>>,
    process: u32,
}

/// Where the bytes of a transfer come from or go to.
#[derive(Clone)]
enum End {
    /// They are fetched into a loan.
    Into(Stripes),
    /// They are sent from a buffer.
    From(Arc<WarmBuffer>),
}

/// One transfer.
struct Transfer {
    end: End,
    session: u64,
    number: u64,
    bytes: u64,
    deadline: Duration,
    queue: Mutex<Queue>,
}

struct Queue {
    stripes: VecDeque<usize>,
    losses: usize,
}

impl Bulk {
    pub(crate) fn new(way: Arc<Way>, session: u64, config: &ConnectConfig) -> Self {
        Self {
            way,
            session,
            deadline: config.deadline,
            connections: config.connections.max(1),
            interrupt: config.interrupt,
            idle: Arc::default(),
            runtime: Mutex::new(None),
            process: std::process::id(),
        }
    }

    /// Fetches the read that the host holds as `number` into `loan`, all of it.
    ///
    /// # Errors
    /// `Unavailable` where the host is lost or has given the read up; `DeadlineExceeded` where a
    /// stripe does not come in time.
    pub(crate) fn fetch(&self, number: u64, loan: &Stripes) -> Result<()> {
        self.carry(number, loan.len(), End::Into(loan.clone()))
    }

    /// Sends `bytes` to where the host has loaned memory as put `number`.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub(crate) fn fill(&self, number: u64, bytes: Arc<WarmBuffer>) -> Result<()> {
        self.carry(number, bytes.len(), End::From(bytes))
    }

    fn carry(&self, number: u64, bytes: u64, end: End) -> Result<()> {
        let count = stripes(bytes);
        let transfer = Arc::new(Transfer {
            end,
            session: self.session,
            number,
            bytes,
            deadline: self.deadline,
            queue: Mutex::new(Queue {
                stripes: (0..count).collect(),
                losses: 0,
            }),
        });
        let connections = self.connections.min(count);
        let (way, idle) = (Arc::clone(&self.way), Arc::clone(&self.idle));
        let carried = async move {
            let mut carriers = JoinSet::new();
            for _ in 0..connections {
                let transfer = Arc::clone(&transfer);
                carriers.spawn(transfer.carry(Arc::clone(&way), Arc::clone(&idle)));
            }
            let mut result = Ok(());
            while let Some(ended) = carriers.join_next().await {
                let ended = ended.unwrap_or_else(|panicked| Err(panicked.into()));
                // The first reason is the reason; the others only stop sooner for it.
                if result.is_ok() && ended.is_err() {
                    result = ended;
                    carriers.abort_all();
                }
            }
            result
        };
        let (answer, answered) = sync_channel(1);
        let call = {
            let mut runtime = self.lock();
            let runtime = match &mut *runtime {
                Some(runtime) => runtime,
                none => none.insert(bulk_runtime(self.connections)?),
            };
            runtime.spawn(async move {
                // Whoever asked waits until this is sent.
                let _ = answer.send(carried.await);
            })
        };
        // Each stripe has its own deadline.
        let ended = receive(&answered, Duration::MAX, self.interrupt).inspect_err(|_| {
            call.abort();
            // Memory is not left to somebody who writes to it.
            let _ = answered.recv();
        });
        match ended? {
            Some(Ok(())) | None => Ok(()),
            Some(Err(error)) => Err(self.failed(error)),
        }
    }

    fn failed(&self, error: io::Error) -> Error {
        let kind = match error.kind() {
            io::ErrorKind::TimedOut => ErrorKind::DeadlineExceeded,
            _ => ErrorKind::Unavailable,
        };
        let why = match kind {
            ErrorKind::DeadlineExceeded => "did not move a stripe of payload in time",
            _ => "was lost while payload was on its way",
        };
        Error::new(kind, format!("the host at {} {why}", self.way)).caused_by(error)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Runtime>> {
        self.runtime.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Bulk {
    fn drop(&mut self) {
        let runtime = self.runtime.get_mut();
        let Some(runtime) = runtime.unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        if self.process == std::process::id() {
            // Waits for nothing: this may be a runtime's own thread.
            runtime.shutdown_background();
        } else {
            std::mem::forget(runtime);
        }
    }
}

impl Transfer {
    /// Carries stripes until none is left.
    async fn carry(
        self: Arc<Self>,
        way: Arc<Way>,
        idle: Arc<Mutex<Vec<Stream>>>,
    ) -> io::Result<()> {
        loop {
            if self.queue().stripes.is_empty() {
                return Ok(());
            }
            let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let was_idle = kept.is_some();
            let connection = match kept {
                Some(connection) => connection,
                None => way.connect(Purpose::Bulk, self.deadline).await?,
            };
            let mut under_way = VecDeque::new();
            match self.over(connection, &mut under_way).await {
                Ok(connection) => {
                    idle.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(connection);
                    return Ok(());
                }
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => {
                    let mut queue = self.queue();
                    queue.stripes.extend(under_way);
                    // One that nobody watched may have been lost long ago.
                    queue.losses += usize::from(!was_idle);
                    if queue.losses > LOSSES {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Carries stripes over one connection, and gives it back when none is left. What was asked for
    /// and not brought home when it is lost stands in `under_way`.
    async fn over(
        &self,
        connection: Stream,
        under_way: &mut VecDeque<usize>,
    ) -> io::Result<Stream> {
        let (mut read, mut write) = tokio::io::split(connection);
        let mut ended = false;
        loop {
            while !ended && under_way.len() < WINDOW {
                let Some(stripe) = self.queue().stripes.pop_front() else {
                    ended = true;
                    break;
                };
                under_way.push_back(stripe);
                self.within(self.ask(&mut write, stripe)).await?;
            }
            let Some(stripe) = under_way.front().copied() else {
                return Ok(read.unsplit(write));
            };
            self.within(self.receive(&mut read, stripe)).await?;
            under_way.pop_front();
        }
    }

    async fn ask(&self, write: &mut WriteHalf<Stream>, stripe: usize) -> io::Result<()> {
        let offset = stripe as u64 * STRIPE_BYTES;
        let bytes = self.stripe_bytes(stripe);
        let request = Request {
            what: match self.end {
                End::Into(_) => What::Fetch,
                End::From(_) => What::Fill,
            },
            session: self.session,
            number: self.number,
            offset,
            bytes,
        };
        write.write_all(&request.write()).await?;
        if let End::From(buffer) = &self.end {
            let from = offset as usize;
            let own = buffer.as_slice().get(from..from + bytes as usize);
            write.write_all(own.ok_or_else(lies)?).await?;
        }
        write.flush().await
    }

    async fn receive(&self, read: &mut ReadHalf<Stream>, stripe: usize) -> io::Result<()> {
        let mut answer = [0; ANSWER_BYTES];
        read.read_exact(&mut answer).await?;
        let (status, bytes) = read_answer(&answer).ok_or_else(lies)?;
        match status {
            Status::Done if bytes == self.stripe_bytes(stripe) => {}
            Status::Ended => return Err(given_up("the host has given it up")),
            Status::OutOfRange => return Err(given_up("the host knows no such range of it")),
            // A connection that was lost may still be writing there; another attempt comes later.
            Status::Busy => return Err(io::ErrorKind::WouldBlock.into()),
            Status::Done => return Err(lies()),
        }
        if let End::Into(loan) = &self.end {
            let mut stripe = loan.take(stripe).ok_or_else(lies)?;
            read.read_exact(stripe.as_mut_slice()).await?;
        }
        Ok(())
    }

    async fn within<T>(&self, done: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        match timeout(self.deadline, done).await {
            Ok(done) => done,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn stripe_bytes(&self, stripe: usize) -> u64 {
        STRIPE_BYTES.min(self.bytes - stripe as u64 * STRIPE_BYTES)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether another connection would change nothing.
fn is_final(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::NotFound | io::ErrorKind::InvalidData
    )
}

fn given_up(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, why)
}

fn lies() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the host's answer does not fit what was asked",
    )
}
