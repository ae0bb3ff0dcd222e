//! Connections over TCP. Nothing is parsed before the peer has proved that it knows the secret.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tonic::transport::server::Connected;
use tq_proto::{Error, ErrorKind, Result};
use tq_wire::address::TcpAddress;
use tq_wire::handshake::{self, Purpose};
use tq_wire::secret::Secret;
use tq_wire::stream::Stream;

use crate::bulk;
use crate::config::TcpConfig;
use crate::session::Sessions;

/// How long a stranger may take to prove himself.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Strangers at a time.
const STRANGERS: usize = 256;
/// Without file descriptors left, accepting fails at once again and again.
const PAUSE: Duration = Duration::from_millis(100);

/// A port that this process listens on.
#[derive(Debug)]
pub(crate) struct Port {
    listener: std::net::TcpListener,
    gate: Gate,
    /// Where guests reach it.
    pub(crate) address: TcpAddress,
}

/// What a connection has to pass.
#[derive(Clone)]
struct Gate {
    secret: Secret,
    tls: Option<TlsAcceptor>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate")
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

impl Port {
    /// Listens as `config` says.
    pub(crate) fn open(config: TcpConfig) -> Result<Self> {
        let asked = TcpAddress::parse(&config.bind)?;
        let tls = config.tls.map(|files| files.acceptor()).transpose()?;
        let refused = |error: io::Error| {
            Error::new(
                ErrorKind::System,
                format!("{asked} cannot be listened on; is the port taken?"),
            )
            .caused_by(error)
        };
        let addresses: Vec<SocketAddr> = asked
            .authority()
            .to_socket_addrs()
            .map_err(refused)?
            .collect();
        let listener = std::net::TcpListener::bind(addresses.as_slice()).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let bound = listener.local_addr().map_err(refused)?;
        let host = match config.advertise {
            Some(host) => host,
            // Nobody reaches a wildcard.
            None if bound.ip().is_unspecified() => {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!(
                        "{asked} is no address that others could connect to; say also which \
                             one they are to use"
                    ),
                ));
            }
            None => bound.ip().to_string(),
        };
        Ok(Self {
            listener,
            gate: Gate {
                secret: config.secret,
                tls,
            },
            address: TcpAddress {
                host,
                port: bound.port(),
            },
        })
    }

    /// Lets guests in until it is dropped: connections for calls go to `calls`, those for payload
    /// are served on `payload`.
    pub(crate) async fn serve(
        self,
        calls: mpsc::Sender<Guest>,
        sessions: Arc<Sessions>,
        payload: Handle,
    ) {
        let listener = match TcpListener::from_std(self.listener) {
            Ok(listener) => listener,
            Err(error) => {
                return tracing::error!(%error, "guests of other hosts cannot be let in");
            }
        };
        let strangers = Arc::new(Semaphore::new(STRANGERS));
        loop {
            let Ok(place) = Arc::clone(&strangers).acquire_owned().await else {
                return;
            };
            let socket = match listener.accept().await {
                Ok((socket, _)) => socket,
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let gate = self.gate.clone();
            let (calls, sessions) = (calls.clone(), Arc::clone(&sessions));
            let payload = payload.clone();
            tokio::spawn(async move {
                let met = timeout(HANDSHAKE_LIMIT, gate.meet(socket)).await;
                drop(place);
                match met {
                    Ok(Ok((stream, Purpose::Calls))) => {
                        // Nobody listens any more where the server is ending.
                        let _ = calls.send(Guest(stream)).await;
                    }
                    Ok(Ok((stream, Purpose::Bulk))) => {
                        send_to(stream, sessions, &payload);
                    }
                    Ok(Err(error)) => tracing::warn!(%error, "a peer was turned away"),
                    Err(_) => tracing::warn!("a peer that said nothing was turned away"),
                }
            });
        }
    }
}

impl Gate {
    async fn meet(&self, socket: TcpStream) -> io::Result<(Stream, Purpose)> {
        socket.set_nodelay(true)?;
        let mut stream = match &self.tls {
            None => Stream::Plain(socket),
            Some(tls) => Stream::Tls(Box::new(tls.accept(socket).await?.into())),
        };
        let purpose = handshake::answer(&mut stream, &self.secret).await?;
        Ok((stream, purpose))
    }
}

/// Serves payload where it does not keep calls waiting.
fn send_to(stream: Stream, sessions: Arc<Sessions>, payload: &Handle) {
    payload.spawn(async move {
        let moved = match moved_here(stream) {
            Ok(stream) => bulk::serve(stream, &sessions).await,
            Err(error) => Err(error),
        };
        if let Err(error) = moved {
            tracing::debug!(%error, "a connection for payload has ended");
        }
    });
}

/// The connection, known to the runtime that this runs on and no longer to the one it came from.
fn moved_here(stream: Stream) -> io::Result<Stream> {
    match stream {
        Stream::Plain(socket) => Ok(Stream::Plain(TcpStream::from_std(socket.into_std()?)?)),
        // Its state cannot be taken apart; it stays with the runtime it came from.
        tls @ Stream::Tls(_) => Ok(tls),
    }
}

/// A connection for calls.
#[derive(Debug)]
pub(crate) struct Guest(Stream);

impl Connected for Guest {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Guest {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Guest {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

/// Guests that were let in, one after the other.
pub(crate) struct Guests(pub(crate) mpsc::Receiver<Guest>);

impl tokio_stream::Stream for Guests {
    type Item = io::Result<Guest>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|guest| guest.map(Ok))
    }
}
