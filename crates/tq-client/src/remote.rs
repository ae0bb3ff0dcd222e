//! Connect, close, and how every call is made.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::pin;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tonic::Status;
use tq_arena::{Arena, ArenaConfig, WarmPool};
use tq_proto::{Error, ErrorKind, Result};
use tq_wire::address::Address;
use tq_wire::error::from_status;
use tq_wire::request_id::RequestId;

use crate::config::ConnectConfig;
use crate::interrupt::{Interrupt, receive};
use crate::link::{Calls, Link};
use crate::membership::Orders;
use crate::requests::Requests;
use crate::units::{Units, end_all};

/// How much later than its deadline a call is given up on where not even its deadline is noticed.
const GRACE: Duration = Duration::from_secs(1);
/// Segments of our own, for small columns that were sent along.
const SMALL_SEGMENT_BYTES: u64 = 16 << 20;
/// The same where all that is read comes from another host.
const LARGE_SEGMENT_BYTES: u64 = 1 << 30;

/// The engine of another process, of this host or another. Clones are the same connection; any number of threads
/// may use it.
///
/// Every call ends by the deadline of its configuration; where the connection has to be made anew,
/// or a segment mapped for the first time, that has as much time again. A call may fail so:
///
/// - `DeadlineExceeded`: there was no answer in time. What changes something may have been carried
///   out all the same.
/// - `Unavailable`: the host cannot be reached, or was lost during the call. Calls are made once more
///   over a new connection before that is said; those that change something are numbered, so that the
///   host carries them out once. When it is said, they may have been carried out.
/// - `Interrupted`: a signal ended the wait, as far as the configuration asks for signals; also what
///   changes something may have been carried out.
/// - `Closed`: this engine was closed, here or at the host; `Forked`: in a forked child.
#[derive(Clone)]
pub struct Remote {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    address: Address,
    pub(crate) config: ConnectConfig,
    handle: Handle,
    /// Only to end it; `None` where it is another connection's.
    runtime: Mutex<Option<Runtime>>,
    /// Locked for a look or a change, never while connecting.
    link: Mutex<Arc<Link>>,
    /// Locked while connecting, so that a loss is mended once. Attempts that have ended.
    mending: Mutex<u64>,
    /// As in `mending`, to be read without waiting.
    attempts: AtomicU64,
    /// Numbers of the requests that change something.
    pub(crate) requests: Requests,
    /// Connections to the storage units of the host's cluster.
    pub(crate) units: Units,
    /// What is done with the orders that the host gives, where this process is a unit of its.
    pub(crate) orders: Arc<Orders>,
    /// For columns that were sent along or fetched.
    pub(crate) local: Arena,
    pub(crate) pool: WarmPool,
    owner: u32,
    closed: AtomicBool,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("address", &self.shared.address)
            .finish_non_exhaustive()
    }
}

/// One call, as a function of the connection's calls.
macro_rules! call {
    ($call:ident, $request:expr) => {{
        let request = $request;
        move |mut calls: $crate::link::Calls, deadline: std::time::Duration| async move {
            let mut request = tonic::Request::new(request);
            request.set_timeout(deadline);
            calls.$call(request).await.map(tonic::Response::into_inner)
        }
    }};
}
pub(crate) use call;

/// One call that changes something, as a function of the connection's calls that can be called
/// again: the host knows by its id that it is the same.
macro_rules! change {
    ($call:ident, $request:expr) => {{
        let request = $request;
        move |mut calls: $crate::link::Calls, deadline: std::time::Duration, id: RequestId| {
            let mut request = tonic::Request::new(request.clone());
            request.set_timeout(deadline);
            id.write(request.metadata_mut());
            async move { calls.$call(request).await.map(tonic::Response::into_inner) }
        }
    }};
}
pub(crate) use change;

impl Remote {
    /// Connects to the host at `address` (`unix:<directory>` or `tcp:<host>:<port>`).
    ///
    /// # Errors
    /// `InvalidArgument` for another kind of address, and for one on TCP without a secret;
    /// `Unavailable` where no host of this user
    /// answers there; `DeadlineExceeded`; `System` where the system refuses a thread.
    pub fn connect(address: &str, config: ConnectConfig) -> Result<Self> {
        let address = Address::parse(address)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("tq-client")
            .enable_all()
            .build()
            .map_err(refused)?;
        let orders = Arc::default();
        let deadline = config.deadline;
        let link = open(runtime.handle(), &address, &config, &orders, deadline);
        let link = match link {
            Ok(link) => link,
            Err(error) => {
                // Its drop would wait, and must not happen where waiting is forbidden.
                runtime.shutdown_background();
                return Err(error);
            }
        };
        let (segment_bytes, retain_bytes) = match &address {
            Address::Unix(_) => (SMALL_SEGMENT_BYTES, SMALL_SEGMENT_BYTES),
            Address::Tcp(_) => (LARGE_SEGMENT_BYTES, config.retain_bytes),
        };
        let local = Arena::new(ArenaConfig {
            segment_bytes,
            retain_bytes,
            ..ArenaConfig::default()
        })
        .map_err(refused)?;
        let memory = Memory {
            local,
            pool: WarmPool::new(config.retain_bytes),
        };
        let handle = runtime.handle().clone();
        let shared = Shared::new(address, config, handle, link, orders, memory);
        *shared
            .runtime
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(runtime);
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// A connection of its own to the host at `address`, as by [`Self::connect`], but with the means of
    /// this one: its thread and its memory, also for what was read. For programs that hold many
    /// connections; they are of use as long as this one, or a clone of it, is kept.
    ///
    /// # Errors
    /// As [`Self::connect`], and `Closed` or `Forked` as [`Self::check`] says.
    pub fn connect_beside(&self, address: &str, config: ConnectConfig) -> Result<Self> {
        let limit = config.deadline;
        self.open_beside(&Address::parse(address)?, config, limit)
    }

    /// As [`Self::connect_beside`], within `limit` where that is less than the deadline.
    pub(crate) fn open_beside(
        &self,
        address: &Address,
        config: ConnectConfig,
        limit: Duration,
    ) -> Result<Self> {
        self.check()?;
        let handle = self.shared.handle.clone();
        let orders = Arc::default();
        let limit = limit.min(config.deadline);
        let link = open(&handle, address, &config, &orders, limit)?;
        let memory = Memory {
            local: self.shared.local.clone(),
            pool: self.shared.pool.clone(),
        };
        let shared = Shared::new(address.clone(), config, handle, link, orders, memory);
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Whether rows were ever found in, or put to, another unit than the host itself.
    pub(crate) fn has_units(&self) -> bool {
        let units = self.shared.units.lock();
        !units.unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Ends the connection: every later call is refused, and whoever waits is woken. What was read
    /// stays valid.
    pub fn close(&self) {
        if self.shared.owner == process::id() {
            self.shared.closed.store(true, Ordering::Release);
            self.shared.current().end();
            end_all(&self.shared.units);
        }
    }

    /// What the host tells about itself, as it did when it was joined.
    #[must_use]
    pub fn about(&self) -> Vec<u8> {
        self.shared.lock().about.clone()
    }

    /// Whether this process may make calls. Asks nobody.
    ///
    /// # Errors
    /// `Closed` after [`Self::close`], `Forked` in a forked child.
    pub fn check(&self) -> Result<()> {
        // First the fork: its answer must not depend on a lock or flag that the fork copied.
        let (here, owner) = (process::id(), self.shared.owner);
        if owner != here {
            return Err(Error::new(
                ErrorKind::Forked,
                format!(
                    "this process ({here}) was forked from process {owner} after that connected \
                     to its host, and cannot use the connection; start workers with the `spawn` \
                     method, or call init() in the child for a connection of its own"
                ),
            ));
        }
        if self.shared.closed.load(Ordering::Acquire) {
            return Err(Error::new(
                ErrorKind::Closed,
                "the connection to the host was closed; call init() again",
            ));
        }
        Ok(())
    }

    /// Where the host is.
    #[must_use]
    pub fn address(&self) -> String {
        self.shared.address.to_string()
    }

    /// The connection; a new one where the last was lost.
    pub(crate) fn link(&self) -> Result<Arc<Link>> {
        self.check()?;
        let shared = &self.shared;
        let link = shared.current();
        if !link.is_lost() {
            return Ok(link);
        }
        let before = shared.attempts.load(Ordering::Acquire);
        let mut mending = shared
            .mending
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let link = shared.current();
        if !link.is_lost() {
            return Ok(link);
        }
        if *mending != before {
            // Whoever waited for an attempt in vain does not wait for one more.
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("the host at {} was lost and is not back", shared.address),
            ));
        }
        let deadline = shared.config.deadline;
        let opened = open(
            &shared.handle,
            &shared.address,
            &shared.config,
            &shared.orders,
            deadline,
        );
        *mending += 1;
        shared.attempts.store(*mending, Ordering::Release);
        let link = opened?;
        *shared.lock() = Arc::clone(&link);
        // `close` may have come meanwhile, and ended the former link only.
        if let Err(closed) = self.check() {
            link.end();
            return Err(closed);
        }
        Ok(link)
    }

    /// Makes a call that changes something; again, where the host was lost meanwhile and is back. It
    /// is carried out once all the same.
    pub(crate) fn ask<R, F, A>(&self, call: F) -> Result<R>
    where
        R: Send + 'static,
        F: Fn(Calls, Duration, RequestId) -> A,
        A: Future<Output = Result<R, Status>> + Send + 'static,
    {
        let link = self.link()?;
        self.ask_from(&link, call)
    }

    /// As [`Self::ask`], the first time over `link`.
    pub(crate) fn ask_from<R, F, A>(&self, link: &Link, call: F) -> Result<R>
    where
        R: Send + 'static,
        F: Fn(Calls, Duration, RequestId) -> A,
        A: Future<Output = Result<R, Status>> + Send + 'static,
    {
        let request = self.shared.requests.begin();
        let attempt = |link: &Link| {
            let id = request.id();
            self.ask_over(link, |calls, deadline| call(calls, deadline, id))
        };
        match attempt(link) {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                let link = self.link().map_err(|again| again.caused_by(error))?;
                attempt(&link)
            }
            done => done,
        }
    }

    /// Makes a call that only reads: again, where the host was lost meanwhile and is back.
    pub(crate) fn ask_again<R, F, C, A>(&self, call: F) -> Result<R>
    where
        R: Send + 'static,
        F: Fn() -> C,
        C: FnOnce(Calls, Duration) -> A,
        A: Future<Output = Result<R, Status>> + Send + 'static,
    {
        self.again(|link| self.ask_over(link, call()))
    }

    /// Does something over the connection, and again over a new one where it was lost.
    pub(crate) fn again<R>(&self, attempt: impl Fn(&Arc<Link>) -> Result<R>) -> Result<R> {
        match attempt(&self.link()?) {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                let link = self.link().map_err(|again| again.caused_by(error))?;
                attempt(&link)
            }
            done => done,
        }
    }

    /// Makes a call over `link`.
    pub(crate) fn ask_over<R, F, A>(&self, link: &Link, call: F) -> Result<R>
    where
        R: Send + 'static,
        F: FnOnce(Calls, Duration) -> A,
        A: Future<Output = Result<R, Status>> + Send + 'static,
    {
        let config = &self.shared.config;
        let answered = |answer: Result<R, Status>| answer.map_err(|status| from_status(&status));
        let answer = match link.direct_calls() {
            Some(calls) => answered(carried_here(call(calls, config.deadline))),
            None => {
                let call = call(link.calls.clone(), config.deadline);
                let asked = async move { answered(call.await) };
                wait(
                    &self.shared.handle,
                    config.deadline,
                    config.interrupt,
                    asked,
                )
            }
        };
        match answer {
            // The stream tells of the loss too, but perhaps later than the next call.
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                link.end();
                Err(error)
            }
            answer => answer,
        }
    }
}

/// Memory of our own that connections share.
struct Memory {
    local: Arena,
    pool: WarmPool,
}

impl Shared {
    fn new(
        address: Address,
        config: ConnectConfig,
        handle: Handle,
        link: Arc<Link>,
        orders: Arc<Orders>,
        memory: Memory,
    ) -> Self {
        Self {
            address,
            config,
            handle,
            runtime: Mutex::new(None),
            link: Mutex::new(link),
            mending: Mutex::default(),
            attempts: AtomicU64::new(0),
            requests: Requests::default(),
            units: Units::default(),
            orders,
            local: memory.local,
            pool: memory.pool,
            owner: process::id(),
            closed: AtomicBool::new(false),
        }
    }

    /// The connection, lost or not.
    pub(crate) fn current(&self) -> Arc<Link> {
        Arc::clone(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Link>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // `get_mut`, as in a forked child no thread will ever release a lock held at the fork.
        let runtime = self
            .runtime
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let link = self.link.get_mut().unwrap_or_else(PoisonError::into_inner);
        if self.owner != process::id() {
            // Their threads are the parent's, and so is the connection.
            mem::forget(Arc::clone(link));
            return mem::forget(runtime.take());
        }
        link.end();
        if let Some(runtime) = runtime.take() {
            // Waits for nothing: this may be the runtime's own thread.
            runtime.shutdown_background();
        }
    }
}

fn open(
    runtime: &Handle,
    address: &Address,
    config: &ConnectConfig,
    orders: &Arc<Orders>,
    limit: Duration,
) -> Result<Arc<Link>> {
    let (address, config, orders) = (address.clone(), config.clone(), Arc::clone(orders));
    let interrupt = config.interrupt;
    let opened = async move { Link::open(&address, &config, orders).await };
    wait(runtime, limit, interrupt, opened).map(Arc::new)
}

/// What a direct call gives: it is carried by this thread, and so has ended when it was polled once.
fn carried_here<R>(call: impl Future<Output = Result<R, Status>>) -> Result<R, Status> {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => Err(Status::internal("a direct call waits for nobody")),
    }
}

/// What `future` gives, run on the runtime's thread and waited for here: so it may be called from
/// within another runtime, too.
fn wait<R: Send + 'static>(
    runtime: &Handle,
    deadline: Duration,
    interrupt: Option<Interrupt>,
    future: impl Future<Output = Result<R>> + Send + 'static,
) -> Result<R> {
    let (answer, answered) = sync_channel(1);
    let call = runtime.spawn(async move {
        // Whoever asked may have given up.
        let _ = answer.send(tokio::time::timeout(deadline, future).await);
    });
    let received = receive(&answered, deadline + GRACE, interrupt);
    match received.inspect_err(|_| call.abort())? {
        Some(Ok(result)) => result,
        Some(Err(_)) | None => Err(late(deadline)),
    }
}

/// Whether the host may have done, or do, what it was asked all the same.
pub(crate) fn is_open(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DeadlineExceeded | ErrorKind::Interrupted
    )
}

/// There was no answer before the deadline.
pub(crate) fn late(deadline: Duration) -> Error {
    Error::new(
        ErrorKind::DeadlineExceeded,
        format!(
            "the host did not answer within {deadline:?}; see whether it is overloaded or stopped, \
             or raise the deadline"
        ),
    )
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(
        ErrorKind::System,
        "the system gave no thread or memory for a connection",
    )
    .caused_by(error)
}
