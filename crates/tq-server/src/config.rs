//! Settings of a server.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tq_controller::FetchRequest;
use tq_proto::{GlobalIndex, Result};

/// A sampler that is no part of the engine, such as one written in Python.
pub trait HostedSampler: Debug + Send + Sync {
    /// Chooses a batch for `request` and claims it; `None` where too little is ready. `config` is
    /// what the guest tells the sampler beside the request. May block.
    ///
    /// # Errors
    /// What the sampler or the engine refuses; nothing is claimed then.
    fn fetch(&self, request: &FetchRequest, config: &[u8]) -> Result<Option<Vec<GlobalIndex>>>;
}

/// Where a server listens, what it tells, and how it ends.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The directory for the sockets. Made where it does not exist; refused where others than this
    /// user could look into it.
    pub directory: PathBuf,
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
            threads: 2,
            stop_limit: Duration::from_secs(5),
            about: Vec::new(),
            sampler: None,
        }
    }
}
