//! Hosts and engines for the tests.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tq_client::{ConnectConfig, Engine, Remote};
use tq_controller::{TagValue, Tags};
use tq_engine::{Delivered, Embedded, EmbeddedConfig};
use tq_proto::{DType, FieldName, Result};
use tq_server::{Server, ServerConfig, TcpConfig};
use tq_storage::{ColumnLayout, ColumnPlan, ColumnRead};
use tq_wire::secret::Secret;

/// Long enough that only what never comes reaches it.
pub const LIMIT: Duration = Duration::from_secs(20);

/// An engine that is served. Its directory goes with it.
pub struct Host {
    pub engine: Embedded,
    server: Option<Server>,
    directory: PathBuf,
}

pub fn directory() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("tq-test-{}-{number}", std::process::id()))
}

impl Host {
    pub fn new() -> Self {
        Self::with(EmbeddedConfig {
            threads: 2,
            ..EmbeddedConfig::default()
        })
    }

    pub fn with(config: EmbeddedConfig) -> Self {
        Self::in_directory(directory(), config)
    }

    pub fn in_directory(directory: PathBuf, config: EmbeddedConfig) -> Self {
        let engine = Embedded::new(config).unwrap();
        let mut config = ServerConfig::new(&directory);
        config.tcp = Some(TcpConfig::new("127.0.0.1:0", secret()));
        let server = Server::start(engine.clone(), config).unwrap();
        Self {
            engine,
            server: Some(server),
            directory,
        }
    }

    pub fn address(&self) -> String {
        format!("unix:{}", self.directory.display())
    }

    /// Where guests of other hosts would connect.
    pub fn tcp_address(&self) -> String {
        let server = self.server.as_ref().unwrap();
        server.tcp_address().unwrap().to_owned()
    }

    /// A guest that behaves as if it were of another host.
    pub fn connect_over_tcp(&self) -> Remote {
        Remote::connect(&self.tcp_address(), over_tcp()).unwrap()
    }

    pub fn connect(&self) -> Remote {
        self.connect_within(LIMIT)
    }

    pub fn connect_within(&self, deadline: Duration) -> Remote {
        let config = ConnectConfig {
            deadline,
            threads: 2,
            ..ConnectConfig::default()
        };
        Remote::connect(&self.address(), config).unwrap()
    }

    pub fn stop(&mut self) {
        drop(self.server.take());
    }

    /// Serves another engine in the same place, as a host that was started anew does.
    pub fn restart(&mut self) {
        self.stop();
        self.engine = Embedded::new(EmbeddedConfig::default()).unwrap();
        let config = ServerConfig::new(&self.directory);
        self.server = Some(Server::start(self.engine.clone(), config).unwrap());
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

pub fn secret() -> Secret {
    Secret::new(*b"only for the tests of this crate").unwrap()
}

/// How a guest of another host connects.
pub fn over_tcp() -> ConnectConfig {
    ConnectConfig {
        deadline: LIMIT,
        threads: 2,
        connections: 2,
        secret: Some(secret()),
        ..ConnectConfig::default()
    }
}

/// Runs a test on an engine of this process, on one that is reached through a Unix socket, and on
/// one that is reached over TCP.
pub fn on_all(test: impl Fn(&Engine)) {
    let config = EmbeddedConfig {
        threads: 2,
        ..EmbeddedConfig::default()
    };
    test(&Embedded::new(config).unwrap().into());
    let host = Host::new();
    test(&host.connect().into());
    let host = Host::new();
    test(&host.connect_over_tcp().into());
}

pub fn keys(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("k{number}")).collect()
}

pub fn dense(field: &str, row_bytes: u64) -> ColumnPlan {
    ColumnPlan {
        field: field.into(),
        layout: ColumnLayout::Dense {
            dtype: DType::UInt8,
            row_shape: vec![row_bytes],
        },
    }
}

pub fn tags(name: &str, value: i64) -> Tags {
    [(name.into(), TagValue::Int(value))].into_iter().collect()
}

/// Puts one dense column in which every byte of row `i` is `fill + i`.
pub fn put(
    engine: &Engine,
    partition: &str,
    keys: &[String],
    field: &str,
    row_bytes: u64,
    fill: u8,
) -> Result<()> {
    let mut put = engine.begin_put(partition, keys, vec![dense(field, row_bytes)])?;
    for column in put.columns_mut() {
        fill_rows(column, row_bytes as usize, fill);
    }
    put.publish(None).map(drop)
}

pub fn fill_rows(column: &mut [u8], row_bytes: usize, fill: u8) {
    for (row, bytes) in column.chunks_mut(row_bytes.max(1)).enumerate() {
        bytes.fill(fill.wrapping_add(row as u8));
    }
}

/// The bytes of a column, as it is delivered. A view's are looked at through the leases, which show
/// the same.
pub fn bytes_of(engine: &Engine, column: &ColumnRead) -> Vec<u8> {
    let delivered = engine.deliver(column).unwrap();
    assert_eq!(delivered.len(), column.bytes());
    match delivered {
        Delivered::Warm(buffer) => buffer.as_slice().to_vec(),
        Delivered::View(_) => column.slices().flatten().copied().collect(),
    }
}

/// The bytes of one field of keys.
pub fn get(engine: &Engine, partition: &str, keys: &[String], field: &str) -> Result<Vec<u8>> {
    let batch = engine.read(partition, keys, Some(&[FieldName::from(field)]))?;
    Ok(bytes_of(engine, &batch.columns[0]))
}

/// Waits until something that happens by itself has happened.
pub fn eventually(what: &str, happened: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !happened() {
        assert!(start.elapsed() < LIMIT, "{what} did not happen");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// No sample, no reservation, no loan, and nothing leased.
pub fn is_empty(engine: &Embedded) -> bool {
    let usage = engine.usage().unwrap().storage;
    usage.samples == 0 && usage.pending_samples == 0 && usage.arena.in_use() == 0
}
