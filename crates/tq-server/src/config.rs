//! Settings of a server.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tq_controller::FetchRequest;
use tq_proto::{GlobalIndex, Result};
use tq_wire::secret::Secret;
use tq_wire::tls::TlsFiles;

/// A sampler that is no part of the engine, such as one written in Python.
pub trait HostedSampler: Debug + Send + Sync {
    /// Chooses a batch for `request` and claims it; `None` where too little is ready. `config` is
    /// what the guest tells the sampler beside the request. May block.
    ///
    /// # Errors
    /// What the sampler or the engine refuses; nothing is claimed then.
    fn fetch(&self, request: &FetchRequest, config: &[u8]) -> Result<Option<Vec<GlobalIndex>>>;
}

/// How a server is reached from other hosts.
#[derive(Clone, Debug)]
pub struct TcpConfig {
    /// `host:port` to listen on; port 0 for one that the system chooses.
    pub bind: String,
    /// The host that guests are told to connect to, where it is not that of `bind`.
    pub advertise: Option<String>,
    /// What guests have to know.
    pub secret: Secret,
    /// Certificates, where connections are to be encrypted.
    pub tls: Option<TlsFiles>,
}

impl TcpConfig {
    /// Plain connections to `bind`.
    #[must_use]
    pub fn new(bind: impl Into<String>, secret: Secret) -> Self {
        Self {
            bind: bind.into(),
            advertise: None,
            secret,
            tls: None,
        }
    }
}

/// Where a server listens, what it tells, and how it ends.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The directory for the sockets. Made where it does not exist; refused where others than this
    /// user could look into it.
    pub directory: PathBuf,
    /// The port for other hosts; none where `None`.
    pub tcp: Option<TcpConfig>,
    /// Threads that serve calls; those that take long get threads of their own.
    pub threads: usize,
    /// How long a stop waits for calls under way.
    pub stop_limit: Duration,
    /// Told to every guest when it joins, such as the configuration.
    pub about: Vec<u8>,
    /// Chooses the batches that guests ask it for.
    pub sampler: Option<Arc<dyn HostedSampler>>,
}

impl ServerConfig {
    /// The defaults, with sockets in `directory`.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            tcp: None,
            threads: 2,
            stop_limit: Duration::from_secs(5),
            about: Vec::new(),
            sampler: None,
        }
    }
}
