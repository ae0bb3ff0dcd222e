//! A host, and calls to it that are made by hand.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::future::Future;
use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};
use tq_engine::{Embedded, EmbeddedConfig};
use tq_proto::ErrorKind;
use tq_server::{Server, ServerConfig};
use tq_wire::address::UnixAddress;
use tq_wire::error::from_status;
use tq_wire::limits::VERSION;
use tq_wire::proto::gateway_client::GatewayClient;
use tq_wire::proto::{Attached, Hello};

pub type Calls = GatewayClient<Channel>;

pub struct Host {
    pub engine: Embedded,
    server: Option<Server>,
    pub address: UnixAddress,
    directory: PathBuf,
}

impl Host {
    pub fn new(test: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("tq-{test}-{}", std::process::id()));
        let engine = Embedded::new(EmbeddedConfig::default()).unwrap();
        let server = Server::start(engine.clone(), ServerConfig::new(&directory)).unwrap();
        let address = UnixAddress::new(&directory).unwrap();
        Self {
            engine,
            server: Some(server),
            address,
            directory,
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.server.take());
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// What calls are made with.
pub struct Caller(pub Runtime);

impl Caller {
    pub fn new() -> Self {
        let mut builder = Builder::new_multi_thread();
        Self(builder.worker_threads(1).enable_all().build().unwrap())
    }

    pub fn channel(&self, socket: &Path) -> Channel {
        let path = socket.to_owned();
        let connect = tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://host.invalid");
        let connected = endpoint.connect_with_connector(connect);
        self.0.block_on(connected).unwrap()
    }

    pub fn calls(&self, address: &UnixAddress) -> Calls {
        GatewayClient::new(self.channel(&address.calls()))
    }

    /// A session, and the stream that keeps it.
    pub fn attach(&self, calls: &mut Calls) -> (u64, tonic::Streaming<Attached>) {
        let hello = Hello {
            client_name: "by hand".into(),
            process: 0,
            version: VERSION,
        };
        self.0.block_on(async {
            let mut stream = calls.attach(hello).await.unwrap().into_inner();
            let first = stream.message().await.unwrap().unwrap();
            (first.welcome.unwrap().session, stream)
        })
    }

    pub fn refused<T: std::fmt::Debug>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> ErrorKind {
        let status = self.0.block_on(call).unwrap_err();
        from_status(&status).kind()
    }
}
