//! The way to a host over TCP: connect, prove the secret, and what for.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tq_proto::{Error, ErrorKind, Result};
use tq_wire::address::TcpAddress;
use tq_wire::handshake::{self, Purpose};
use tq_wire::secret::Secret;
use tq_wire::stream::Stream;
use tq_wire::tls::{TlsFiles, server_name};

use crate::config::ConnectConfig;

/// How connections to one host are made.
pub(crate) struct Way {
    address: TcpAddress,
    secret: Secret,
    tls: Option<TlsConnector>,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way")
            .field("address", &self.address)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl Way {
    /// The way to `address` with what `config` has.
    pub(crate) fn new(address: &TcpAddress, config: &ConnectConfig) -> Result<Self> {
        let secret = config.secret.clone().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("{address} takes in only those who know the cluster's secret; give it"),
            )
        })?;
        let tls = config.tls.as_ref().map(TlsFiles::connector);
        Ok(Self {
            address: address.clone(),
            secret,
            tls: tls.transpose()?,
        })
    }

    /// A connection for `purpose`, made within `deadline`.
    pub(crate) async fn connect(&self, purpose: Purpose, deadline: Duration) -> io::Result<Stream> {
        match timeout(deadline, self.meet(purpose)).await {
            Ok(met) => met,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    async fn meet(&self, purpose: Purpose) -> io::Result<Stream> {
        let socket = TcpStream::connect(self.address.authority()).await?;
        socket.set_nodelay(true)?;
        let mut stream = match &self.tls {
            None => Stream::Plain(socket),
            Some(tls) => {
                let name = server_name(&self.address.host).map_err(io::Error::other)?;
                Stream::Tls(Box::new(tls.connect(name, socket).await?.into()))
            }
        };
        handshake::call(&mut stream, &self.secret, purpose).await?;
        Ok(stream)
    }
}

/// A runtime for payload, so that its copies keep no call waiting.
pub(crate) fn bulk_runtime(threads: usize) -> Result<Runtime> {
    let number = Arc::new(AtomicUsize::new(0));
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name_fn(move || format!("tq-bulk-{}", number.fetch_add(1, Ordering::Relaxed)))
        .enable_all()
        .build()
        .map_err(|error| {
            Error::new(ErrorKind::System, "the system gave no threads for payload").caused_by(error)
        })
}
