//! Settings of a connection.

use std::time::Duration;

/// How a guest calls its host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectConfig {
    /// How long a call may take. What is not answered by then is an error.
    pub deadline: Duration,
    /// Name of this guest, for the host's logs.
    pub client_name: String,
    /// The most threads one call copies with, its own among them.
    pub threads: usize,
    /// Free memory in bytes that is kept resident for copies of scattered reads.
    pub retain_bytes: u64,
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
        }
    }
}
