//! `_core.StorageUnit`, and what a process says about where it serves.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tq_client::{ConnectConfig, Membership, Remote};
use tq_controller::PlacedRows;
use tq_engine::units::host_id;
use tq_engine::{Embedded, EmbeddedConfig, UnitInfo};
use tq_proto::{PartitionId, Result, UnitId};
use tq_server::{Server, ServerConfig, TcpConfig};
use tq_wire::secret::Secret;
use tq_wire::tls::TlsFiles;

use super::class::Engine;
use crate::errors::OrRaise;
use crate::interrupts::INTERRUPT;

/// Files with certificate, key and authorities.
pub(super) type TlsPaths = (Option<PathBuf>, Option<PathBuf>, Option<PathBuf>);

pub(super) fn tls_files(paths: TlsPaths) -> TlsFiles {
    let (certificate, key, authority) = paths;
    TlsFiles {
        certificate,
        key,
        authority,
    }
}

/// How other machines reach a server, from the arguments of Python; nobody does without `bind`.
pub(super) fn tcp(
    bind: Option<String>,
    advertise: Option<String>,
    secret: Option<Vec<u8>>,
    tls: Option<TlsPaths>,
) -> Result<Option<TcpConfig>> {
    let Some(bind) = bind else { return Ok(None) };
    let secret = match secret {
        Some(secret) => Secret::new(secret)?,
        None => Secret::generate()?,
    };
    Ok(Some(TcpConfig {
        bind,
        advertise,
        secret,
        tls: tls.map(tls_files),
    }))
}

/// Where a server is reached, the Unix sockets first.
pub(super) fn addresses(server: &Server) -> Vec<String> {
    let tcp = server.tcp_address().map(str::to_owned);
    std::iter::once(server.address()).chain(tcp).collect()
}

/// This process as a storage unit of another engine.
#[pyclass(frozen, module = "transfer_queue._core")]
pub(crate) struct StorageUnit {
    engine: Embedded,
    addresses: Vec<String>,
    id: UnitId,
    running: Mutex<Option<(Membership, Server)>>,
}

#[pymethods]
impl StorageUnit {
    /// Starts a storage unit and joins the engine at `controller`, within `deadline` seconds.
    #[staticmethod]
    #[pyo3(signature = (
        controller, *, directory, name, bind=None, advertise=None, secret=None, tls=None,
        deadline=None, max_samples=None, capacity_bytes=None, segment_bytes=None,
        retain_bytes=None, threads=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn start(
        py: Python<'_>,
        controller: &str,
        directory: PathBuf,
        name: String,
        bind: Option<String>,
        advertise: Option<String>,
        secret: Option<Vec<u8>>,
        tls: Option<TlsPaths>,
        deadline: Option<f64>,
        max_samples: Option<u64>,
        capacity_bytes: Option<u64>,
        segment_bytes: Option<u64>,
        retain_bytes: Option<u64>,
        threads: Option<usize>,
    ) -> PyResult<Self> {
        let default = EmbeddedConfig::default();
        let config = EmbeddedConfig {
            max_samples,
            capacity_bytes: capacity_bytes.unwrap_or(default.capacity_bytes),
            segment_bytes: segment_bytes.unwrap_or(default.segment_bytes),
            retain_bytes: retain_bytes.unwrap_or(default.retain_bytes),
            threads: threads.unwrap_or(default.threads).max(1),
            ..default
        };
        py.detach(|| -> Result<Self> {
            let guest = ConnectConfig::default();
            let guest = ConnectConfig {
                deadline: deadline.map_or(guest.deadline, Duration::from_secs_f64),
                client_name: name.clone(),
                secret: secret.clone().map(Secret::new).transpose()?,
                tls: tls.clone().map(tls_files),
                interrupt: Some(INTERRUPT),
                ..guest
            };
            let remote = Remote::connect(controller, guest)?;
            let engine = Embedded::new(config)?;
            let mut server = ServerConfig::new(directory);
            server.tcp = tcp(bind, advertise, secret, tls)?;
            let server = Server::start(engine.clone(), server)?;
            let addresses = addresses(&server);
            let unit = UnitInfo {
                id: UnitId::HOME,
                name,
                host: host_id().into(),
                addresses: addresses.clone(),
                capacity_bytes: config.capacity_bytes,
                used_bytes: 0,
                samples: 0,
                is_lost: false,
            };
            let membership = Membership::join(remote, engine.clone(), unit)?;
            Ok(Self {
                engine,
                addresses,
                id: membership.id(),
                running: Mutex::new(Some((membership, server))),
            })
        })
        .or_raise(py)
    }

    /// Where it is reached.
    #[getter]
    fn addresses(&self) -> Vec<String> {
        self.addresses.clone()
    }

    /// The number that the controller gave it.
    #[getter]
    fn id(&self) -> u32 {
        self.id.0
    }

    /// Leaves the cluster: what is stored here cannot be read any more.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| {
            let running = self
                .running
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            // First out of the cluster, so that nobody is sent here any more.
            if let Some((membership, server)) = running {
                drop(membership);
                drop(server);
            }
            self.engine.close();
        });
    }
}

/// Rows of one field of one partition in one unit: (partition, unit, field, global indexes).
type LostRows = (String, u32, String, Vec<u64>);

#[pymethods]
impl Engine {
    /// All storage units as dicts, that of the engine itself first.
    fn units<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let units = py.detach(|| self.engine.units()).or_raise(py)?;
        let dict = |unit: UnitInfo| {
            let dict = PyDict::new(py);
            dict.set_item("id", unit.id.0)?;
            dict.set_item("name", unit.name)?;
            dict.set_item("host", unit.host)?;
            dict.set_item("addresses", unit.addresses)?;
            dict.set_item("capacity_bytes", unit.capacity_bytes)?;
            dict.set_item("used_bytes", unit.used_bytes)?;
            dict.set_item("samples", unit.samples)?;
            dict.set_item("is_lost", unit.is_lost)?;
            Ok(dict)
        };
        units.into_iter().map(dict).collect()
    }

    /// Rows that lie in units that are lost; with `reset` they are given up, too.
    fn lost_rows(
        &self,
        py: Python<'_>,
        partition: Option<&str>,
        reset: bool,
    ) -> PyResult<Vec<LostRows>> {
        let rows = py.detach(|| {
            if reset {
                self.engine.reset_lost(partition)
            } else {
                self.engine.lost_rows(partition)
            }
        });
        let plain = |(partition, rows): (PartitionId, PlacedRows)| {
            let indexes = rows.global_indexes.iter().map(|index| index.0).collect();
            (
                partition.to_string(),
                rows.unit.0,
                rows.field.to_string(),
                indexes,
            )
        };
        Ok(rows.or_raise(py)?.into_iter().map(plain).collect())
    }
}
