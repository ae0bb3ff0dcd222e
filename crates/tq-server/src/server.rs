//! Start and stop.

use std::io;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tq_engine::Embedded;
use tq_proto::{Error, ErrorKind, Result};
use tq_wire::address::Address;
use tq_wire::limits::{MESSAGE_BYTES, STREAMS, WINDOW_BYTES};
use tq_wire::proto::gateway_server::GatewayServer;

use crate::config::ServerConfig;
use crate::directory::Directory;
use crate::door;
use crate::gateway::Gateway;
use crate::incoming::Incoming;
use crate::session::Sessions;

/// An engine that other processes of the host can use. Dropping it stops it.
///
/// The engine itself goes on: its owner closes it.
#[derive(Debug)]
pub struct Server {
    running: Option<Running>,
    address: Address,
    process: u32,
}

#[derive(Debug)]
struct Running {
    runtime: Runtime,
    sessions: Arc<Sessions>,
    stop: oneshot::Sender<()>,
    calls: JoinHandle<()>,
    door: JoinHandle<()>,
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
        let address = Address::new(config.directory)?;
        let directory = Directory::take(address.clone())?;
        let (calls, segments) = directory.listen()?;
        let threads = Arc::new(AtomicUsize::new(0));
        let runtime = Builder::new_multi_thread()
            .worker_threads(config.threads.max(1))
            .thread_name_fn(move || {
                format!("tq-server-{}", threads.fetch_add(1, Ordering::Relaxed))
            })
            .enable_all()
            .build()
            .map_err(refused)?;
        let sessions = Arc::new(Sessions::new(first_session()));
        let (stop, stopped) = oneshot::channel();
        let calls = incoming(&runtime, calls)?;
        let segments = incoming(&runtime, segments)?;
        let door = door::serve(segments, engine.arena().clone(), Arc::clone(&sessions));
        let gateway = Gateway {
            engine,
            sessions: Arc::clone(&sessions),
            about: config.about,
            sampler: config.sampler,
        };
        let calls = runtime.spawn(serve(gateway, calls, stopped));
        let door = runtime.spawn(door);
        Ok(Self {
            running: Some(Running {
                runtime,
                sessions,
                stop,
                calls,
                door,
                directory,
                stop_limit: config.stop_limit,
            }),
            address,
            process: std::process::id(),
        })
    }

    /// What guests connect to: `unix:<directory>`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
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
            sessions,
            stop,
            calls,
            door,
            directory,
            stop_limit,
        } = running;
        drop(directory);
        sessions.close();
        // Where nobody listens any more, the calls have ended already.
        let _ = stop.send(());
        let ended = runtime.block_on(async { tokio::time::timeout(stop_limit, calls).await });
        if ended.is_err() {
            tracing::warn!("calls of guests were cut off; they took longer than the stop waits");
        }
        door.abort();
        runtime.shutdown_timeout(stop_limit);
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

async fn serve(gateway: Gateway, calls: Incoming, stopped: oneshot::Receiver<()>) {
    let (reporter, health) = tonic_health::server::health_reporter();
    let gateway = GatewayServer::new(gateway)
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES);
    set_serving(&reporter, &gateway).await;
    let served = tonic::transport::Server::builder()
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(4 * WINDOW_BYTES)
        .max_concurrent_streams(STREAMS)
        .add_service(health)
        .add_service(gateway)
        .serve_with_incoming_shutdown(calls, async {
            // A sender that is gone says the same.
            let _ = stopped.await;
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
