//! Direct calls: written and read by the caller's own thread, one at a time on each connection; see
//! [`tq_wire::direct`]. Connections are made when they are wanted and kept.

use std::future::Future;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, HeaderValue, Request, Response};
use tonic::codegen::{Bytes, Service, StdError};
use tonic::transport::Channel;
use tq_proto::{Error, ErrorKind, Result};
use tq_wire::address::{UnixAddress, check_peer, own_user};
use tq_wire::direct::{Frame, Frames, WELCOME};
use tq_wire::error::to_status;
use tq_wire::proto::CallHead;

use crate::interrupt::{Interrupt, LOOK};
use crate::remote::late;

/// Connections that are kept while nobody calls.
const KEPT: usize = 32;
/// How long a host may take to welcome a connection.
const WELCOME_LIMIT: Duration = Duration::from_secs(1);
/// For so long a host that has no place for direct calls is not asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// The way to a host's direct calls.
#[derive(Debug)]
pub(crate) struct Direct {
    address: UnixAddress,
    deadline: Duration,
    interrupt: Option<Interrupt>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Connection>,
    /// There was no place, or nobody who answers.
    refused: Option<Instant>,
    ended: bool,
}

#[derive(Debug)]
struct Connection {
    stream: UnixStream,
    frames: Frames,
}

/// A connection for one call.
pub(crate) struct Place {
    connection: Mutex<Option<Connection>>,
    home: Arc<Direct>,
}

impl Direct {
    pub(crate) fn new(
        address: UnixAddress,
        deadline: Duration,
        interrupt: Option<Interrupt>,
    ) -> Self {
        Self {
            address,
            deadline,
            interrupt,
            state: Mutex::default(),
        }
    }

    /// A connection for a call; `None` where there is none to be had, and the call has to go another
    /// way.
    pub(crate) fn place(self: &Arc<Self>) -> Option<Place> {
        let kept = {
            let mut state = self.lock();
            if state.ended || state.refused.is_some_and(|then| then.elapsed() < PAUSE) {
                return None;
            }
            state.idle.pop()
        };
        let connection = kept.or_else(|| {
            let made = self.connect();
            if let Err(error) = &made {
                tracing::debug!(%error, "no direct calls for now");
                self.lock().refused = Some(Instant::now());
            }
            made.ok()
        })?;
        Some(Place {
            connection: Mutex::new(Some(connection)),
            home: Arc::clone(self),
        })
    }

    /// Closes all connections. Calls under way go on to their end.
    pub(crate) fn end(&self) {
        let idle = {
            let mut state = self.lock();
            state.ended = true;
            std::mem::take(&mut state.idle)
        };
        drop(idle);
    }

    fn connect(&self) -> io::Result<Connection> {
        // Without waiting: where as many as the system queues are before us, HTTP/2 is as fast.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(self.address.direct())?)?;
        let peer = rustix::net::sockopt::socket_peercred(socket.as_fd())?;
        check_peer(peer.uid.as_raw(), own_user()).map_err(io::Error::other)?;
        let mut stream = UnixStream::from(socket);
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(WELCOME_LIMIT.min(self.deadline)))?;
        let mut welcome = [0];
        stream.read_exact(&mut welcome)?;
        if welcome != [WELCOME] {
            return Err(io::Error::other("the host serves as many as it can"));
        }
        stream.set_read_timeout(Some(LOOK))?;
        stream.set_write_timeout(Some(LOOK))?;
        Ok(Connection {
            stream,
            frames: Frames::default(),
        })
    }

    fn take_back(&self, connection: Connection) {
        let mut state = self.lock();
        if !state.ended && state.idle.len() < KEPT {
            state.idle.push(connection);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn call(&self, head: &CallHead, message: &[u8]) -> Result<Frame> {
        let taken = self.connection.lock().map(|mut place| place.take());
        let mut connection = taken.ok().flatten().ok_or_else(|| {
            Error::new(ErrorKind::Internal, "a place for one call was used for two")
        })?;
        let until = Until {
            begun: Instant::now(),
            home: &self.home,
        };
        let request = Frame::write(head, message)
            .map_err(|error| Error::new(ErrorKind::Unsupported, error.to_string()))?;
        let answer = connection.exchange(&request, &until)?;
        self.home.take_back(connection);
        Ok(answer)
    }
}

/// How long a call may go on.
struct Until<'a> {
    begun: Instant,
    home: &'a Direct,
}

impl Until<'_> {
    /// Whether to go on after the system let us wait no longer, or a signal came.
    fn go_on(&self) -> Result<()> {
        if let Some(interrupt) = self.home.interrupt {
            interrupt.check()?;
        }
        if self.home.lock().ended {
            return Err(self.lost(io::ErrorKind::ConnectionAborted.into()));
        }
        let deadline = self.home.deadline;
        if self.begun.elapsed() < deadline {
            return Ok(());
        }
        Err(late(deadline))
    }

    fn lost(&self, error: io::Error) -> Error {
        let address = &self.home.address;
        Error::new(
            ErrorKind::Unavailable,
            format!(
                "the connection to the host at {address} was lost; see whether its process still runs"
            ),
        )
        .caused_by(error)
    }
}

impl Connection {
    fn exchange(&mut self, request: &[u8], until: &Until<'_>) -> Result<Frame> {
        let mut rest = request;
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(bytes) => rest = &rest[bytes..],
                Err(error) if is_pause(&error) => until.go_on()?,
                Err(error) => return Err(until.lost(error)),
            }
        }
        loop {
            match self.stream.read(self.frames.space()) {
                Ok(0) => return Err(until.lost(io::ErrorKind::UnexpectedEof.into())),
                Ok(bytes) => match self.frames.take(bytes) {
                    Ok(Some(answer)) => return Ok(answer),
                    Ok(None) => {}
                    Err(lie) => return Err(until.lost(io::Error::other(lie))),
                },
                Err(error) if is_pause(&error) => until.go_on()?,
                Err(error) => return Err(until.lost(error)),
            }
        }
    }
}

fn is_pause(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

/// What carries the calls of a client.
#[derive(Clone)]
pub(crate) enum Carrier {
    /// HTTP/2, on a runtime's thread.
    Channel(Channel),
    /// This thread, for one call. The call's future is ready when it is polled first.
    Direct(Arc<Place>),
}

impl Service<Request<Body>> for Carrier {
    type Response = Response<Body>;
    type Error = StdError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, StdError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        match self {
            Self::Channel(channel) => channel.poll_ready(cx).map_err(Into::into),
            Self::Direct(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self {
            Self::Channel(channel) => {
                let answer = channel.call(request);
                Box::pin(async move { answer.await.map_err(Into::into) })
            }
            Self::Direct(place) => Box::pin(call_directly(Arc::clone(place), request)),
        }
    }
}

async fn call_directly(
    place: Arc<Place>,
    request: Request<Body>,
) -> Result<Response<Body>, StdError> {
    let (parts, body) = request.into_parts();
    let message = body.collect().await?.to_bytes();
    let head = CallHead::new(parts.uri.path(), &parts.headers);
    // With all that the error says.
    let answer = place
        .call(&head, &message)
        .map_err(|error| to_status(&error))?;
    let mut headers = answer.head.headers()?;
    let message = Full::new(Bytes::from(answer.message));
    let body = if headers.is_empty() {
        let mut went_well = HeaderMap::new();
        went_well.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
        Body::new(message.with_trailers(std::future::ready(Some(Ok(went_well)))))
    } else {
        Body::new(message)
    };
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    Ok(response)
}
