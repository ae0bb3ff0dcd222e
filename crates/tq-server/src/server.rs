//! Start and stop.

use std::io;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tonic::transport::server::Connected;
use tq_engine::Embedded;
use tq_proto::{Error, ErrorKind, Result};
use tq_wire::address::UnixAddress;
use tq_wire::limits::{MESSAGE_BYTES, STREAMS, WINDOW_BYTES};
use tq_wire::proto::gateway_server::GatewayServer;

use crate::config::ServerConfig;
use crate::direct;
use crate::directory::{Directory, Listeners};
use crate::door;
use crate::gateway::Gateway;
use crate::incoming::Incoming;
use crate::session::Sessions;
use crate::tcp::{Guests, Port};

/// Guests that were let in and not yet served.
const WAITING_GUESTS: usize = 64;
/// More threads than this gain nothing on any network known to us.
const MOST_BULK_THREADS: usize = 8;
/// A host that is gone says nothing: so often it is asked, and so long it may take to answer.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// An engine that other processes of the host can use. Dropping it stops it.
///
/// The engine itself goes on: its owner closes it.
#[derive(Debug)]
pub struct Server {
    running: Option<Running>,
    address: UnixAddress,
    tcp: Option<String>,
    process: u32,
}

#[derive(Debug)]
struct Running {
    runtime: Runtime,
    /// Payload of other hosts, so that copies do not keep calls waiting.
    payload: Option<Runtime>,
    sessions: Arc<Sessions>,
    stop: watch::Sender<bool>,
    calls: Vec<JoinHandle<()>>,
    /// Those who let guests in.
    doors: Vec<JoinHandle<()>>,
    directory: Directory,
    stop_limit: Duration,
}

impl Server {
    /// Serves `engine` in `config.directory`, from the return of this call on.
    ///
    /// # Errors
    /// `InvalidArgument` where the directory is somebody else's, open to others, in use by another
    /// server, or of too long a path; `System` where the system refuses threads or sockets; `Closed`,
    /// `Forked` as the engine says.
    pub fn start(engine: Embedded, config: ServerConfig) -> Result<Self> {
        engine.check()?;
        let address = UnixAddress::new(config.directory)?;
        let directory = Directory::take(address.clone())?;
        let Listeners {
            calls,
            direct,
            segments,
        } = directory.listen()?;
        let port = config.tcp.map(Port::open).transpose()?;
        let runtime = runtime("tq-server", config.threads)?;
        let sessions = Arc::new(Sessions::new(first_session()));
        let (stop, stopped) = watch::channel(false);
        let calls = incoming(&runtime, calls)?;
        let direct = incoming(&runtime, direct)?;
        let segments = incoming(&runtime, segments)?;
        let door = door::serve(segments, engine.arena().clone(), Arc::clone(&sessions));
        let gateway = Gateway {
            engine,
            sessions: Arc::clone(&sessions),
            about: config.about,
            sampler: config.sampler,
            replies: Arc::default(),
            since: Instant::now(),
        };
        let mut running = Running {
            calls: vec![
                runtime.spawn(serve(gateway.clone(), calls, stopped.clone(), None)),
                runtime.spawn(direct::serve(
                    service(gateway.clone()),
                    direct,
                    stopped.clone(),
                )),
            ],
            doors: vec![runtime.spawn(door)],
            runtime,
            payload: None,
            sessions,
            stop,
            directory,
            stop_limit: config.stop_limit,
        };
        let tcp = port
            .map(|port| running.listen(port, gateway, stopped))
            .transpose()?;
        Ok(Self {
            running: Some(running),
            address,
            tcp,
            process: std::process::id(),
        })
    }

    /// What guests connect to: `unix:<directory>`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// What guests of other hosts connect to: `tcp:<host>:<port>`. `None` where none can.
    #[must_use]
    pub fn tcp_address(&self) -> Option<&str> {
        self.tcp.as_deref()
    }

    /// Accepts no more, ends what guests wait for, and waits for calls under way, as long as the
    /// configuration says. What guests have mapped stays theirs: its memory is not used again.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        // The threads are the parent's.
        if self.process != std::process::id() {
            return std::mem::forget(running);
        }
        let Running {
            runtime,
            payload,
            sessions,
            stop,
            calls,
            doors,
            directory,
            stop_limit,
        } = running;
        drop(directory);
        doors.iter().for_each(JoinHandle::abort);
        sessions.close();
        // Where nobody listens any more, the calls have ended already.
        let _ = stop.send(true);
        let all = async {
            for calls in calls {
                // One that panicked has ended, too.
                let _ = calls.await;
            }
        };
        let ended = runtime.block_on(async { tokio::time::timeout(stop_limit, all).await });
        if ended.is_err() {
            tracing::warn!("calls of guests were cut off; they took longer than the stop waits");
        }
        if let Some(payload) = payload {
            payload.shutdown_timeout(stop_limit);
        }
        runtime.shutdown_timeout(stop_limit);
    }
}

impl Running {
    /// Lets guests of other hosts in; the address that they are to use.
    fn listen(
        &mut self,
        port: Port,
        gateway: Gateway,
        stopped: watch::Receiver<bool>,
    ) -> Result<String> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let payload = runtime("tq-bulk", cores.min(MOST_BULK_THREADS))?;
        let address = port.address.to_string();
        let (let_in, guests) = mpsc::channel(WAITING_GUESTS);
        let sessions = Arc::clone(&self.sessions);
        let door = port.serve(let_in, sessions, payload.handle().clone());
        self.doors.push(self.runtime.spawn(door));
        let calls = serve(gateway, Guests(guests), stopped, Some(KEEPALIVE));
        self.calls.push(self.runtime.spawn(calls));
        self.payload = Some(payload);
        Ok(address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn incoming(runtime: &Runtime, listener: UnixListener) -> Result<Incoming> {
    let _inside = runtime.enter();
    let listener = tokio::net::UnixListener::from_std(listener).map_err(refused)?;
    Ok(Incoming::new(listener))
}

fn runtime(name: &'static str, threads: usize) -> Result<Runtime> {
    let number = Arc::new(AtomicUsize::new(0));
    Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        .thread_name_fn(move || format!("{name}-{}", number.fetch_add(1, Ordering::Relaxed)))
        .enable_all()
        .build()
        .map_err(refused)
}

fn service(gateway: Gateway) -> GatewayServer<Gateway> {
    GatewayServer::new(gateway)
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES)
}

async fn serve<I, S>(
    gateway: Gateway,
    calls: I,
    mut stopped: watch::Receiver<bool>,
    keepalive: Option<Duration>,
) where
    I: Stream<Item = io::Result<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    S::ConnectInfo: Clone + Send + Sync + 'static,
{
    let (reporter, health) = tonic_health::server::health_reporter();
    let gateway = service(gateway);
    set_serving(&reporter, &gateway).await;
    let served = tonic::transport::Server::builder()
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(4 * WINDOW_BYTES)
        .max_concurrent_streams(STREAMS)
        .http2_keepalive_interval(keepalive)
        .http2_keepalive_timeout(keepalive)
        .add_service(health)
        .add_service(gateway)
        .serve_with_incoming_shutdown(calls, async move {
            // A sender that is gone says the same.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        })
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "calls of guests are served no more");
    }
}

async fn set_serving<S: tonic::server::NamedService>(
    reporter: &tonic_health::server::HealthReporter,
    _: &S,
) {
    reporter.set_serving::<S>().await;
}

/// The number before that of the first session: another one at each start, so that a guest of a
/// former host is not taken for one of this.
fn first_session() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_nanos() as u64) ^ (u64::from(std::process::id()) << 40)
}

fn refused(error: io::Error) -> Error {
    Error::new(
        ErrorKind::System,
        "the system gave no threads or sockets for a server",
    )
    .caused_by(error)
}
