//! The engine in this process: controller and storage unit, without sockets.

use std::hash::{BuildHasher, RandomState};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tq_arena::{Arena, ArenaConfig, WarmPool};
use tq_controller::Controller;
use tq_controller::sampler::{Sampler, SamplerConfig};
use tq_proto::{Error, ErrorKind, Result};
use tq_storage::{StorageConfig, StorageUnit, StorageUsage};

use crate::config::EmbeddedConfig;
use crate::units::UnitBoard;
use crate::wait::WaitBoard;

/// A handle on the engine of this process. Clones are the same engine; any number of threads may
/// use it.
#[derive(Clone)]
pub struct Embedded {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    /// Guards all status. Held for one request, never while payload is copied, and never while
    /// waiting for anything else.
    controller: Mutex<Controller>,
    /// Taken after the controller's lock, never before it.
    sampler: Mutex<Sampler>,
    pub(crate) waits: WaitBoard,
    /// Never locked while the controller is.
    pub(crate) units: UnitBoard,
    pub(crate) unit: StorageUnit,
    pub(crate) pool: WarmPool,
    pub(crate) config: EmbeddedConfig,
    pub(crate) epoch: u64,
    /// A forked child has a copy of everything here, but the shared memory is its parent's.
    owner: u32,
    closed: AtomicBool,
}

/// How full the engine is.
#[derive(Clone, Debug)]
pub struct Usage {
    /// Samples and payload.
    pub storage: StorageUsage,
    /// Memory kept for copies of scattered reads, in bytes.
    pub pooled_bytes: u64,
}

impl Embedded {
    /// Starts an engine; takes no memory before the first put.
    ///
    /// # Errors
    /// `System` where the operating system refuses shared memory.
    pub fn new(config: EmbeddedConfig) -> Result<Self> {
        let arena = Arena::new(ArenaConfig {
            segment_bytes: config.segment_bytes,
            capacity_bytes: config.capacity_bytes,
            retain_bytes: config.retain_bytes,
        })
        .map_err(|error| {
            Error::new(ErrorKind::System, "shared memory cannot be had").caused_by(error)
        })?;
        let unit = StorageUnit::new(
            arena,
            StorageConfig {
                max_samples: config.max_samples,
            },
        );
        let shared = Shared {
            controller: Mutex::new(Controller::default()),
            sampler: Mutex::new(Sampler::new(SamplerConfig::Sequential)?),
            waits: WaitBoard::default(),
            units: UnitBoard::default(),
            unit,
            pool: WarmPool::new(config.retain_bytes / 2),
            config,
            epoch: RandomState::new().hash_one(process::id()),
            owner: process::id(),
            closed: AtomicBool::new(false),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Ends the engine: every later call is refused and whoever waits is woken. What was read stays
    /// valid; memory goes with the last handle and view.
    pub fn close(&self) {
        // In a forked child, those who wait are threads of the parent.
        if self.shared.owner == process::id() {
            self.shared.closed.store(true, Ordering::Release);
            self.shared.waits.closed();
        }
    }

    /// Whether this process may use the engine.
    ///
    /// # Errors
    /// `Closed` after [`Self::close`], `Forked` in a forked child.
    pub fn check(&self) -> Result<()> {
        // First the fork: its answer must not depend on a lock or flag that the fork copied.
        let here = process::id();
        if self.shared.owner != here {
            let owner = self.shared.owner;
            return Err(Error::new(
                ErrorKind::Forked,
                format!(
                    "this process ({here}) was forked from process {owner} after the engine \
                     started there, and cannot use that engine; start workers with the `spawn` \
                     method, or call init() in the child for an engine of its own"
                ),
            ));
        }
        if self.shared.closed.load(Ordering::Acquire) {
            return Err(Error::new(
                ErrorKind::Closed,
                "the engine was closed; call init() again",
            ));
        }
        Ok(())
    }

    /// The memory that payload lies in, for a server that hands its segments to other processes.
    #[must_use]
    pub fn arena(&self) -> &Arena {
        self.shared.unit.arena()
    }

    /// Whether no other call is at the controller at this moment, so that one made now hardly waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.shared.controller.try_lock().is_ok()
    }

    /// How full the engine is.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn usage(&self) -> Result<Usage> {
        self.check()?;
        Ok(Usage {
            storage: self.shared.unit.usage(),
            pooled_bytes: self.shared.pool.retained_bytes(),
        })
    }

    /// Names of all partitions, oldest first.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn partitions(&self) -> Result<Vec<tq_proto::PartitionId>> {
        self.check()?;
        Ok(self.shared.controller().partitions())
    }
}

impl Shared {
    pub(crate) fn controller(&self) -> MutexGuard<'_, Controller> {
        // The state machine validates before it changes anything, so a panic leaves it whole.
        self.controller
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sampler(&self) -> MutexGuard<'_, Sampler> {
        self.sampler.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
