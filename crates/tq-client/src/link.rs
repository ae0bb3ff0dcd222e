//! One connection to a host, and its session. A link is never mended: after a loss there is a new one.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustix::net::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Streaming};
use tq_proto::{Error, ErrorKind, Result};
use tq_wire::address::{Address, UnixAddress, check_peer, own_user};
use tq_wire::error::from_status;
use tq_wire::handshake::Purpose;
use tq_wire::limits::{MESSAGE_BYTES, VERSION, WINDOW_BYTES};
use tq_wire::proto::gateway_client::GatewayClient;
use tq_wire::proto::{Attached, Hello};

use crate::bulk::Bulk;
use crate::chores::Chores;
use crate::config::ConnectConfig;
use crate::direct::{Carrier, Direct};
use crate::membership::Orders;
use crate::tcp::Way;
use crate::tether::Tether;
use crate::wait::Waits;

/// How often a host on TCP that says nothing is asked whether it is there, and how long it may take
/// to answer.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// How long a connection that finds no place in the host's queue is put off, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The host's calls.
pub(crate) type Calls = GatewayClient<Carrier>;

pub(crate) struct Link {
    pub(crate) calls: Calls,
    /// For calls whose thread may wait; only on the host's own machine.
    direct: Option<Arc<Direct>>,
    pub(crate) session: u64,
    /// What the host tells about itself.
    pub(crate) about: Vec<u8>,
    pub(crate) chores: Arc<Chores>,
    pub(crate) reach: Reach,
    pub(crate) waits: Arc<Waits>,
    /// The same socket as that of `calls`, to end the connection whoever else inherited it.
    socket: OwnedFd,
    lost: Arc<AtomicBool>,
    numbers: AtomicU64,
    process: u32,
}

/// How payload of the host is reached.
pub(crate) enum Reach {
    /// Its segments are mapped here.
    Mapped(Arc<Tether>),
    /// Over connections of its own.
    Streamed(Arc<Bulk>),
}

impl Link {
    /// Connects to the host at `address` and attaches. Runs on the runtime that will carry the calls.
    pub(crate) async fn open(
        address: &Address,
        config: &ConnectConfig,
        orders: Arc<Orders>,
    ) -> Result<Self> {
        let missing = |error: io::Error| {
            let what = match error.kind() {
                io::ErrorKind::PermissionDenied => format!("the host at {address} was not met"),
                _ => {
                    format!("no host answers at {address}; see whether its process runs and serves")
                }
            };
            Error::new(ErrorKind::Unavailable, what).caused_by(error)
        };
        let foreign = |error: tonic::transport::Error| {
            Error::new(
                ErrorKind::Unavailable,
                format!("the host at {address} speaks another protocol"),
            )
            .caused_by(error)
        };
        let (channel, socket, way) = match address {
            Address::Unix(address) => {
                let stream = connect(address).await.map_err(missing)?;
                let socket = stream.as_fd().try_clone_to_owned().map_err(missing)?;
                (channel(stream, None).await.map_err(foreign)?, socket, None)
            }
            Address::Tcp(address) => {
                let way = Way::new(address, config)?;
                let met = way.connect(Purpose::Calls, config.deadline).await;
                let stream = met.map_err(missing)?;
                let socket = stream.socket().as_fd().try_clone_to_owned();
                let socket = socket.map_err(missing)?;
                let channel = channel(stream, Some(KEEPALIVE)).await.map_err(foreign)?;
                (channel, socket, Some(way))
            }
        };
        let mut calls = calls_over(Carrier::Channel(channel));
        let direct = match address {
            Address::Unix(address) => {
                let (deadline, interrupt) = (config.deadline, config.interrupt);
                Some(Arc::new(Direct::new(address.clone(), deadline, interrupt)))
            }
            Address::Tcp(_) => None,
        };
        let hello = Hello {
            client_name: config.client_name.clone(),
            process: std::process::id(),
            version: VERSION,
        };
        let attached = calls.attach(Request::new(hello)).await;
        let mut stream = attached
            .map_err(|status| from_status(&status))?
            .into_inner();
        let first = stream.message().await;
        let welcome = first
            .map_err(|status| from_status(&status))?
            .and_then(|first| first.welcome)
            .ok_or_else(|| {
                Error::new(ErrorKind::Unavailable, "the host ended the session at once")
            })?;
        let session = welcome.session;
        let chores = Arc::new(Chores::default());
        let waits = Arc::new(Waits::default());
        let lost = Arc::new(AtomicBool::new(false));
        let reach = match (address, way) {
            (Address::Unix(address), _) => Reach::Mapped(Arc::new(Tether::new(
                session,
                address.clone(),
                config.deadline,
                Arc::clone(&chores),
            ))),
            (Address::Tcp(address), way) => Reach::Streamed(Arc::new(Bulk::new(
                Arc::new(way.map_or_else(|| Way::new(address, config), Ok)?),
                session,
                config,
            ))),
        };
        let told_chores = Arc::clone(&chores);
        let following = follow(stream, Arc::clone(&waits), Arc::clone(&lost), orders);
        let told = calls.clone();
        tokio::spawn(async move {
            let telling = told_chores.run(told, session);
            tokio::select! {
                () = following => {}
                // Without chores the session would hold ever more, so it had better end.
                ended = telling => tracing::warn!(?ended, "the host could not be told"),
            }
            told_chores.close();
        });
        Ok(Self {
            calls,
            direct,
            session,
            about: welcome.about,
            chores,
            reach,
            waits,
            socket,
            lost,
            numbers: AtomicU64::new(1),
            process: std::process::id(),
        })
    }

    /// Whether the host, or the way to it, is gone.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Whether this process was forked from the one that connected.
    pub(crate) fn is_foreign(&self) -> bool {
        self.process != std::process::id()
    }

    /// Calls that the calling thread carries itself, where that is possible at the moment.
    pub(crate) fn direct_calls(&self) -> Option<Calls> {
        let place = self.direct.as_ref()?.place()?;
        Some(calls_over(Carrier::Direct(Arc::new(place))))
    }

    /// A number for a put, read or subscription.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Ends the connection. What was read stays.
    pub(crate) fn end(&self) {
        self.lost.store(true, Ordering::Release);
        self.chores.close();
        if let Some(direct) = &self.direct {
            direct.end();
        }
        // A host that is gone needs no telling.
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
        self.waits.wake_all();
    }
}

fn calls_over(carrier: Carrier) -> Calls {
    GatewayClient::new(carrier)
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES)
}

async fn connect(address: &UnixAddress) -> io::Result<UnixStream> {
    let mut pause = FIRST_PAUSE;
    let stream = loop {
        match UnixStream::connect(address.calls()).await {
            // As many as the system queues wait to be let in (net.core.somaxconn), and it tells nobody
            // when there is a place again. The deadline of connecting ends this.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            connected => break connected?,
        }
    };
    check_peer(stream.peer_cred()?.uid(), own_user()).map_err(io::Error::other)?;
    Ok(stream)
}

/// A channel over `stream`, and over nothing else: a host that is started anew knows no session of
/// the former one.
async fn channel<S>(
    stream: S,
    keepalive: Option<Duration>,
) -> Result<Channel, tonic::transport::Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let once = Arc::new(Mutex::new(Some(stream)));
    let connector = tower::service_fn(move |_| {
        let stream = once.lock().unwrap_or_else(PoisonError::into_inner).take();
        std::future::ready(
            stream
                .map(TokioIo::new)
                .ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionReset)),
        )
    });
    let mut endpoint = Endpoint::from_static("http://host.invalid")
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(4 * WINDOW_BYTES);
    if let Some(keepalive) = keepalive {
        endpoint = endpoint
            .http2_keep_alive_interval(keepalive)
            .keep_alive_timeout(keepalive)
            .keep_alive_while_idle(true);
    }
    endpoint.connect_with_connector(connector).await
}

/// Carries wakes from the host until it is lost.
async fn follow(
    mut stream: Streaming<Attached>,
    waits: Arc<Waits>,
    lost: Arc<AtomicBool>,
    orders: Arc<Orders>,
) {
    // Any error is the end, like the end itself.
    while let Ok(Some(attached)) = stream.message().await {
        let wakes = waits.take(&attached.wakes);
        if !wakes.is_empty() {
            // A wake may wait for an interpreter, and this thread has calls to carry.
            tokio::task::spawn_blocking(|| wakes.into_iter().for_each(|wake| wake()));
        }
        if !attached.orders.is_empty() {
            let orders = Arc::clone(&orders);
            // One after the other, and dropping much takes long.
            let given = move || orders.carry_out(attached.orders);
            let _ = tokio::task::spawn_blocking(given).await;
        }
    }
    lost.store(true, Ordering::Release);
    tokio::task::spawn_blocking(move || waits.wake_all());
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream as Plain};

    use super::*;

    #[test]
    fn who_comes_while_many_wait_to_be_let_in_waits_too() {
        let directory = std::env::temp_dir().join(format!("tq-link-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let address = UnixAddress::new(&directory).unwrap();
        let listener = UnixListener::bind(address.calls()).unwrap();
        // One place, which is taken.
        rustix::net::listen(&listener, 0).unwrap();
        let other = Plain::connect(address.calls()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let connected = runtime.block_on(async {
            let waiting = connect(&address);
            let letting_in = async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                listener.accept().unwrap()
            };
            tokio::join!(waiting, letting_in).0
        });
        drop(other);
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(connected.is_ok(), "{connected:?}");
    }
}
