//! `_core.Engine`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use tq_client::{ConnectConfig, Engine as Gateway, Remote};
use tq_engine::{Embedded, EmbeddedConfig, PlacementPolicy};
use tq_proto::{ErrorKind, Result};
use tq_server::{HostedSampler, Server, ServerConfig};
use tq_wire::secret::Secret;
use tq_wire::secret_file;
use tq_wire::tls::TlsFiles;

use super::arguments::{field_names, global_indexes, texts};
use super::hosting::PythonSampler;
use super::listing::Listed;
use super::planned::{PlannedGet, PlannedPut, Target};
use super::source::{self, Column};
use super::tags::TagReader;
use super::unit::{TlsPaths, addresses, tcp};
use crate::errors::{OrRaise, raise};
use crate::interrupts::INTERRUPT;

/// The engine of this process, or that of another process of this host.
#[pyclass(frozen, module = "transfer_queue._core")]
pub(crate) struct Engine {
    pub(super) engine: Gateway,
    threads: usize,
    listed: Listed,
    server: Mutex<Option<Server>>,
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (*, max_samples=None, capacity_bytes=None, segment_bytes=None, retain_bytes=None, threads=None, placement="local"))]
    fn new(
        py: Python<'_>,
        max_samples: Option<u64>,
        capacity_bytes: Option<u64>,
        segment_bytes: Option<u64>,
        retain_bytes: Option<u64>,
        threads: Option<usize>,
        placement: &str,
    ) -> PyResult<Self> {
        let default = EmbeddedConfig::default();
        let config = EmbeddedConfig {
            max_samples,
            capacity_bytes: capacity_bytes.unwrap_or(default.capacity_bytes),
            segment_bytes: segment_bytes.unwrap_or(default.segment_bytes),
            retain_bytes: retain_bytes.unwrap_or(default.retain_bytes),
            threads: threads.unwrap_or(default.threads).max(1),
            small_batches_only: false,
            placement: match placement {
                "local" => PlacementPolicy::Local,
                "balanced" => PlacementPolicy::Balanced,
                other => {
                    return Err(raise(
                        py,
                        ErrorKind::InvalidArgument,
                        format!("placement is {other:?}; it must be \"local\" or \"balanced\""),
                    ));
                }
            },
        };
        let engine = Embedded::new(config).or_raise(py)?;
        Ok(Self::of(engine.into(), config.threads))
    }

    /// Joins the engine of another process. `deadline`: seconds that a call may take; `secret`, or the
    /// file with it, and `tls` (files with certificate, key, authorities) are for one on TCP.
    #[staticmethod]
    #[pyo3(signature = (
        address, client_name, *, deadline=None, threads=None, secret=None, secret_file=None, tls=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn connect(
        py: Python<'_>,
        address: &str,
        client_name: String,
        deadline: Option<f64>,
        threads: Option<usize>,
        secret: Option<Vec<u8>>,
        secret_file: Option<PathBuf>,
        tls: Option<(Option<PathBuf>, Option<PathBuf>, Option<PathBuf>)>,
    ) -> PyResult<Self> {
        let default = ConnectConfig::default();
        let config = ConnectConfig {
            deadline: deadline.map_or(default.deadline, Duration::from_secs_f64),
            client_name,
            threads: threads.unwrap_or(default.threads).max(1),
            secret: known_secret(secret, secret_file).or_raise(py)?,
            tls: tls.map(|(certificate, key, authority)| TlsFiles {
                certificate,
                key,
                authority,
            }),
            interrupt: Some(INTERRUPT),
            ..default
        };
        let threads = config.threads;
        let remote = py
            .detach(|| Remote::connect(address, config))
            .or_raise(py)?;
        Ok(Self::of(remote.into(), threads))
    }

    /// Lets other processes join, by the addresses returned: those of this host at Unix sockets in
    /// `directory`; with `bind` (`host:port`), those of other machines that know `secret`, too.
    /// `about` is told to them; `sampler` chooses the batches they ask it for, see `hosting`.
    #[pyo3(signature = (
        directory, about, sampler, *, bind=None, advertise=None, secret=None, tls=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn serve(
        &self,
        py: Python<'_>,
        directory: &str,
        about: Vec<u8>,
        sampler: Option<Py<PyAny>>,
        bind: Option<String>,
        advertise: Option<String>,
        secret: Option<Vec<u8>>,
        tls: Option<TlsPaths>,
    ) -> PyResult<Vec<String>> {
        let Gateway::Here(engine) = &self.engine else {
            return Err(raise(
                py,
                ErrorKind::InvalidArgument,
                "an engine of another process cannot be served; join it where it runs",
            ));
        };
        let hosted = |callable| Arc::new(PythonSampler(callable)) as Arc<dyn HostedSampler>;
        let config = ServerConfig {
            about,
            sampler: sampler.map(hosted),
            tcp: tcp(bind, advertise, secret, tls).or_raise(py)?,
            ..ServerConfig::new(directory)
        };
        let server = py
            .detach(|| Server::start(engine.clone(), config))
            .or_raise(py)?;
        let addresses = addresses(&server);
        let replaced = self.lock_server().replace(server);
        py.detach(|| drop(replaced));
        Ok(addresses)
    }

    /// What the host of a joined engine tells about itself; nothing where the engine is here.
    fn about(&self) -> Vec<u8> {
        match &self.engine {
            Gateway::Here(_) => Vec::new(),
            Gateway::There(remote) => remote.about(),
        }
    }

    /// Raises where this process may not use the engine.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        self.engine.check().or_raise(py)
    }

    /// Plans a put: reads the columns' descriptions, copies nothing.
    fn plan_put(
        &self,
        py: Python<'_>,
        partition: String,
        keys: &Bound<'_, PyList>,
        columns: &Bound<'_, PyList>,
        tags: Option<&Bound<'_, PyList>>,
        allow_pickle: bool,
    ) -> PyResult<PlannedPut> {
        let keys = texts("keys", keys)?;
        self.plan(
            py,
            Target::Keys { partition, keys },
            columns,
            tags,
            allow_pickle,
        )
    }

    /// Plans a put for samples that exist: row `i` is sample `indexes[i]` of `partitions[i]`.
    fn plan_put_indexes(
        &self,
        py: Python<'_>,
        partitions: &Bound<'_, PyList>,
        indexes: &Bound<'_, PyList>,
        columns: &Bound<'_, PyList>,
        tags: Option<&Bound<'_, PyList>>,
        allow_pickle: bool,
    ) -> PyResult<PlannedPut> {
        let target = Target::Indexes {
            partitions: texts("partitions", partitions)?,
            indexes: global_indexes(indexes)?,
        };
        self.plan(py, target, columns, tags, allow_pickle)
    }

    /// Plans a get: resolves keys and leases rows, copies nothing.
    fn plan_get(
        &self,
        py: Python<'_>,
        partition: String,
        keys: &Bound<'_, PyList>,
        select: Option<&Bound<'_, PyList>>,
        allow_pickle: bool,
    ) -> PyResult<PlannedGet> {
        let keys = texts("keys", keys)?;
        let select = select.map(field_names).transpose()?;
        let engine = &self.engine;
        let batch = py
            .detach(|| engine.read(&partition, &keys, select.as_deref()))
            .or_raise(py)?;
        let missing = batch
            .missing
            .iter()
            .map(|position| keys[*position].to_string())
            .collect();
        let ready = batch.ready.iter().map(ToString::to_string).collect();
        let rows = batch.positions.len();
        let planned = PlannedGet::new(engine, self.threads, batch.columns, rows, allow_pickle);
        Ok(planned.with_found(missing, ready))
    }

    /// Plans a get of samples by global index: leases rows, copies nothing.
    fn plan_get_indexes(
        &self,
        py: Python<'_>,
        indexes: &Bound<'_, PyList>,
        fields: &Bound<'_, PyList>,
        allow_pickle: bool,
    ) -> PyResult<PlannedGet> {
        let indexes = global_indexes(indexes)?;
        let fields = field_names(fields)?;
        let engine = &self.engine;
        let columns = py
            .detach(|| engine.read_indexes(&indexes, &fields))
            .or_raise(py)?;
        Ok(PlannedGet::new(
            engine,
            self.threads,
            columns,
            indexes.len(),
            allow_pickle,
        ))
    }

    /// `{partition: {key: tags}}` in order of creation.
    fn list_samples<'py>(
        &self,
        py: Python<'py>,
        partition: Option<String>,
        allow_pickle: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let engine = &self.engine;
        let listings = py
            .detach(|| engine.list(partition.as_deref()))
            .or_raise(py)?;
        self.listed
            .write(py, listings, partition.is_none(), allow_pickle)
    }

    /// Clears samples by key; returns how many there were.
    fn clear(
        &self,
        py: Python<'_>,
        partition: String,
        keys: &Bound<'_, PyList>,
    ) -> PyResult<usize> {
        let keys = texts("keys", keys)?;
        let engine = &self.engine;
        py.detach(|| engine.clear(&partition, &keys)).or_raise(py)
    }

    /// Clears a whole partition; None where there is none.
    fn clear_partition(&self, py: Python<'_>, partition: String) -> PyResult<Option<usize>> {
        let engine = &self.engine;
        py.detach(|| engine.clear_partition(&partition))
            .or_raise(py)
    }

    /// Names of all partitions, oldest first.
    fn partitions(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let engine = &self.engine;
        let names = py.detach(|| engine.partitions()).or_raise(py)?;
        Ok(names.iter().map(ToString::to_string).collect())
    }

    /// How full the engine is: samples, and bytes by state.
    fn usage<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let engine = &self.engine;
        let usage = py.detach(|| engine.usage()).or_raise(py)?;
        let result = PyDict::new(py);
        let arena = &usage.storage.arena;
        for (name, value) in [
            ("samples", usage.storage.samples),
            ("capacity_bytes", arena.capacity),
            ("loaned_bytes", arena.loaned),
            ("committed_bytes", arena.committed),
            ("leased_bytes", arena.retired),
            ("free_resident_bytes", arena.free_resident),
            ("segments", arena.segments),
            ("live_views", arena.live_views),
            ("pooled_bytes", usage.pooled_bytes),
        ] {
            result.set_item(name, value)?;
        }
        Ok(result)
    }

    /// Refuses every later call, and ends what others have joined.
    fn close(&self, py: Python<'_>) {
        let server = self.lock_server().take();
        py.detach(|| {
            self.engine.close();
            drop(server);
        });
    }
}

impl Engine {
    fn of(engine: Gateway, threads: usize) -> Self {
        Self {
            engine,
            threads,
            listed: Listed::default(),
            server: Mutex::new(None),
        }
    }

    fn lock_server(&self) -> std::sync::MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plan(
        &self,
        py: Python<'_>,
        target: Target,
        columns: &Bound<'_, PyList>,
        tags: Option<&Bound<'_, PyList>>,
        allow_pickle: bool,
    ) -> PyResult<PlannedPut> {
        self.check(py)?;
        let columns: Vec<Column> = columns
            .iter()
            .map(|column| source::read(&column, target.rows(), allow_pickle))
            .collect::<PyResult<_>>()?;
        let tags = tags
            .map(|tags| TagReader::new(allow_pickle).read_all(tags))
            .transpose()?;
        Ok(PlannedPut::new(
            &self.engine,
            self.threads,
            target,
            columns,
            tags,
            allow_pickle,
        ))
    }
}

/// The secret that is given, or that of a file.
fn known_secret(secret: Option<Vec<u8>>, file: Option<PathBuf>) -> Result<Option<Secret>> {
    match (secret, file) {
        (Some(secret), _) => Secret::new(secret).map(Some),
        (None, Some(file)) => secret_file::read(&file).map(Some),
        (None, None) => Ok(None),
    }
}
