//! This process as a storage unit of another engine: it has joined, carries out what it is told, and
//! joins again after a loss.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tq_engine::{Embedded, UnitInfo};
use tq_proto::{Error, ErrorKind, Result, UnitId};
use tq_wire::proto::{JoinUnitRequest, Order, ReportUnitRequest, Unit};

use crate::remote::{Remote, call};

/// How often the controller is told how full the unit is, where that has changed.
const REPORT: Duration = Duration::from_secs(1);
/// Pauses between attempts to join again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A loss and the wish to stop, with room to spare: there is one of each at a time.
const NEWS: usize = 8;

/// What is done with the orders of a host.
#[derive(Default)]
pub(crate) struct Orders {
    engine: Mutex<Option<Embedded>>,
    /// Number of the last that was carried out.
    done: AtomicU64,
}

impl Orders {
    fn obey(&self, engine: Option<Embedded>) {
        *self.lock() = engine;
    }

    pub(crate) fn carry_out(&self, orders: Vec<Order>) {
        let engine = self.lock().clone();
        let Some(engine) = engine else {
            return tracing::warn!(
                "a host gives orders, but this process is no storage unit of it"
            );
        };
        for order in orders {
            let number = order.number;
            engine.carry_out(order.read());
            self.done.fetch_max(number, Ordering::Release);
        }
    }

    fn done(&self) -> u64 {
        self.done.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Embedded>> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A storage unit's place in a cluster. Dropping it leaves the cluster: the rows stored here cannot
/// be read any more.
pub struct Membership {
    controller: Remote,
    stop: Option<mpsc::SyncSender<News>>,
    thread: Option<JoinHandle<()>>,
    id: UnitId,
    process: u32,
}

enum News {
    Lost,
    Stop,
}

struct Member {
    controller: Remote,
    engine: Embedded,
    unit: UnitInfo,
    /// Of the controller that knows the unit.
    epoch: u64,
    news: mpsc::SyncSender<News>,
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership")
            .field("id", &self.id)
            .field("controller", &self.controller)
            .finish_non_exhaustive()
    }
}

impl Membership {
    /// Joins the engine behind `controller` as a storage unit that stores in `engine`, which is
    /// served at the addresses of `unit`. Its number is given by the controller.
    ///
    /// # Errors
    /// As every call, see [`Remote`]; `InvalidArgument` where the unit has no address.
    pub fn join(controller: Remote, engine: Embedded, unit: UnitInfo) -> Result<Self> {
        controller.shared.orders.obey(Some(engine.clone()));
        let (news, heard) = mpsc::sync_channel(NEWS);
        let mut member = Member {
            controller: controller.clone(),
            engine,
            unit,
            epoch: 0,
            news: news.clone(),
        };
        member.join(false)?;
        let id = member.unit.id;
        let thread = thread::Builder::new()
            .name("tq-unit".into())
            .spawn(move || member.stay(&heard))
            .map_err(|error| {
                Error::new(
                    ErrorKind::System,
                    "the system gave no thread for a storage unit",
                )
                .caused_by(error)
            })?;
        Ok(Self {
            controller,
            stop: Some(news),
            thread: Some(thread),
            id,
            process: std::process::id(),
        })
    }

    /// The number that the controller gave the unit when it joined.
    #[must_use]
    pub fn id(&self) -> UnitId {
        self.id
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        // The thread is the parent's.
        if self.process != std::process::id() {
            return std::mem::forget(self.thread.take());
        }
        if let Some(stop) = self.stop.take() {
            // A thread that has ended needs no telling.
            let _ = stop.send(News::Stop);
        }
        self.controller.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that kept a storage unit in its cluster panicked");
        }
        self.controller.shared.orders.obey(None);
    }
}

impl Member {
    fn join(&mut self, returns: bool) -> Result<()> {
        let link = self.controller.link()?;
        let request = JoinUnitRequest {
            session: link.session,
            unit: Some(Unit::of(&self.unit)),
            returns,
            epoch: self.epoch,
        };
        let reply = self.controller.ask_over(&link, call!(join_unit, request))?;
        if !reply.keeps {
            // Of no use to a controller that does not know of it.
            self.engine.drop_all_stored();
            self.controller
                .shared
                .orders
                .done
                .store(0, Ordering::Release);
        }
        self.unit.id = UnitId(reply.id);
        self.epoch = reply.epoch;
        let news = self.news.clone();
        link.waits.at_loss(
            link.number(),
            Box::new(move || {
                // Whoever has left does not listen, and a loss that was told need not be told again.
                let _ = news.try_send(News::Lost);
            }),
        );
        Ok(())
    }

    /// Reports, and joins again after each loss, until it is to stop.
    fn stay(mut self, heard: &mpsc::Receiver<News>) {
        let mut reported = None;
        loop {
            match heard.recv_timeout(REPORT) {
                Ok(News::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(News::Lost) => {
                    if !self.join_again(heard) {
                        return;
                    }
                    reported = None;
                }
                Err(RecvTimeoutError::Timeout) => {
                    let Ok(usage) = self.engine.usage() else {
                        return;
                    };
                    let (used, samples) = (usage.storage.arena.in_use(), usage.storage.samples);
                    let now = Some((used, samples, self.controller.shared.orders.done()));
                    if reported != now && self.report(used, samples).is_ok() {
                        reported = now;
                    }
                }
            }
        }
    }

    fn report(&self, used_bytes: u64, samples: u64) -> Result<()> {
        let link = self.controller.link()?;
        let request = ReportUnitRequest {
            session: link.session,
            used_bytes,
            samples,
            done: self.controller.shared.orders.done(),
        };
        let told = self.controller.ask_over(&link, call!(report_unit, request));
        told.map(drop)
    }

    /// Tries until it is in again; false where it is to stop.
    fn join_again(&mut self, heard: &mpsc::Receiver<News>) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.join(true) {
                Ok(()) => {
                    tracing::info!(unit = %self.unit.id, "the storage unit is back in its cluster");
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::Closed => return false,
                Err(error) => tracing::debug!(%error, "the controller cannot be joined yet"),
            }
            match heard.recv_timeout(pause) {
                Ok(News::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
                Ok(News::Lost) | Err(RecvTimeoutError::Timeout) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
