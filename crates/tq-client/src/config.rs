//! Settings of a connection.

use std::time::Duration;

use tq_engine::units::host_id;
use tq_wire::secret::Secret;
use tq_wire::tls::TlsFiles;

use crate::interrupt::Interrupt;

/// How a guest calls its host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectConfig {
    /// How long a call may take. What is not answered by then is an error.
    pub deadline: Duration,
    /// Name of this guest, for the host's logs.
    pub client_name: String,
    /// The most threads one call copies with, its own among them.
    pub threads: usize,
    /// Free memory in bytes that is kept resident for copies of scattered reads, and as much again
    /// for what comes from another host.
    pub retain_bytes: u64,
    /// What a host on TCP wants its guests to know.
    pub secret: Option<Secret>,
    /// Certificates, where the host's connections are encrypted.
    pub tls: Option<TlsFiles>,
    /// The machine this process runs on: only units of the same one are reached at Unix sockets.
    pub host: String,
    /// Connections over which payload of one host comes and goes at once, beside that for calls.
    pub connections: usize,
    /// Asked by threads that wait; see there.
    pub interrupt: Option<Interrupt>,
}

impl Default for ConnectConfig {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(60),
            client_name: String::from("guest"),
            threads: std::thread::available_parallelism()
                .map_or(1, usize::from)
                .min(8),
            retain_bytes: 2 << 30,
            secret: None,
            tls: None,
            host: host_id().into(),
            connections: std::thread::available_parallelism()
                .map_or(1, usize::from)
                .min(4),
            interrupt: None,
        }
    }
}
