//! A controller with storage units, each an engine of its own behind real sockets.

use tq_client::{ConnectConfig, Engine, Membership, Remote};
use tq_engine::units::host_id;
use tq_engine::{Embedded, EmbeddedConfig, PlacementPolicy, UnitInfo};
use tq_proto::UnitId;
use tq_server::{Server, ServerConfig, TcpConfig};

use crate::common::*;

/// What the controller's own unit takes, in bytes: small batches only.
pub(crate) const HOME_BYTES: u64 = 1 << 20;

pub(crate) struct Cluster {
    pub(crate) head: Host,
    pub(crate) units: Vec<Unit>,
}

pub(crate) struct Unit {
    pub(crate) engine: Embedded,
    server: Option<Server>,
    membership: Option<Membership>,
    pub(crate) id: UnitId,
    directory: std::path::PathBuf,
}

impl Cluster {
    /// A controller, and units of these capacities on machines of these names.
    pub(crate) fn new(units: &[(u64, &str)]) -> Self {
        Self::with(PlacementPolicy::Local, units)
    }

    pub(crate) fn with(placement: PlacementPolicy, units: &[(u64, &str)]) -> Self {
        let config = EmbeddedConfig {
            placement,
            ..EmbeddedConfig::default()
        };
        Self::of(config, units)
    }

    /// A controller that leaves all it can to its units.
    pub(crate) fn small_only(units: &[(u64, &str)]) -> Self {
        let config = EmbeddedConfig {
            small_batches_only: true,
            ..EmbeddedConfig::default()
        };
        Self::of(config, units)
    }

    fn of(config: EmbeddedConfig, units: &[(u64, &str)]) -> Self {
        let head = Host::with(EmbeddedConfig {
            threads: 2,
            capacity_bytes: HOME_BYTES,
            ..config
        });
        let address = head.address();
        let units = units
            .iter()
            .map(|(bytes, host)| Unit::join(&address, *bytes, host));
        Self {
            units: units.collect(),
            head,
        }
    }

    /// A guest of this machine, or of one of that name, which maps nothing.
    pub(crate) fn guest(&self, host: &str) -> Engine {
        let config = ConnectConfig {
            host: host.into(),
            ..over_tcp()
        };
        let address = match host {
            own if own == host_id() => self.head.address(),
            _ => self.head.tcp_address(),
        };
        Remote::connect(&address, config).unwrap().into()
    }

    pub(crate) fn samples_at(&self, unit: usize) -> u64 {
        self.units[unit].engine.usage().unwrap().storage.samples
    }
}

impl Unit {
    pub(crate) fn join(controller: &str, capacity_bytes: u64, host: &str) -> Self {
        let engine = Embedded::new(EmbeddedConfig {
            capacity_bytes,
            ..EmbeddedConfig::default()
        })
        .unwrap();
        let directory = directory();
        let mut config = ServerConfig::new(&directory);
        config.tcp = Some(TcpConfig::new("127.0.0.1:0", secret()));
        let server = Server::start(engine.clone(), config).unwrap();
        let controller = Remote::connect(controller, over_tcp()).unwrap();
        let unit = UnitInfo {
            id: UnitId::HOME,
            name: format!("unit on {host}"),
            host: host.into(),
            addresses: vec![server.address(), server.tcp_address().unwrap().into()],
            capacity_bytes,
            used_bytes: 0,
            samples: 0,
            is_lost: false,
        };
        let membership = Membership::join(controller, engine.clone(), unit).unwrap();
        Self {
            engine,
            server: Some(server),
            id: membership.id(),
            membership: Some(membership),
            directory,
        }
    }

    /// Ends the unit, as the end of its process would.
    pub(crate) fn end(&mut self) {
        drop(self.membership.take());
        drop(self.server.take());
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        self.end();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Whether row `i` of what is read is all `fill + i`.
pub(crate) fn is_filled(
    engine: &Engine,
    keys: &[String],
    field: &str,
    row_bytes: usize,
    fill: u8,
) -> bool {
    let mut wanted = vec![0; keys.len() * row_bytes];
    fill_rows(&mut wanted, row_bytes, fill);
    get(engine, "p", keys, field).unwrap() == wanted
}
