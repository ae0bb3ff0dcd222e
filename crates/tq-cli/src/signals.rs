//! Ctrl-C and SIGTERM, which are heard only where somebody waits for them.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What was received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Received {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Received {
    /// The exit status of a program that the signal has ended.
    pub(crate) fn status(self) -> i32 {
        let number = match self {
            Self::Interrupt => SignalKind::interrupt(),
            Self::Terminate => SignalKind::terminate(),
        };
        128 + number.as_raw_value()
    }
}

/// Takes the two signals from their defaults until the process ends; those that come before somebody
/// waits are kept.
#[derive(Debug)]
pub(crate) struct Signals {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn take() -> Result<Self> {
        let open = || {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let inside = runtime.enter();
            let (interrupt, terminate) = (
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            );
            drop(inside);
            std::io::Result::Ok(Self {
                runtime,
                interrupt,
                terminate,
            })
        };
        open().context("the system gives no signals")
    }

    /// Waits for a signal.
    pub(crate) fn wait(&mut self) -> Received {
        self.wait_or(std::future::pending::<()>())
            .unwrap_or(Received::Terminate)
    }

    /// Waits for a signal, as long as `other` does not end; `None` where it does first.
    pub(crate) fn wait_or(&mut self, other: impl Future) -> Option<Received> {
        let (interrupt, terminate) = (&mut self.interrupt, &mut self.terminate);
        self.runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => Some(Received::Interrupt),
                _ = terminate.recv() => Some(Received::Terminate),
                _ = other => None,
            }
        })
    }

    /// Waits for a signal, but no longer than `limit`.
    pub(crate) fn wait_within(&mut self, limit: Duration) -> Option<Received> {
        // Made inside the runtime, whose clock it uses.
        self.wait_or(async move { tokio::time::sleep(limit).await })
    }

    /// Does nothing for a while; a signal that comes is kept.
    pub(crate) fn pause(&self, time: Duration) {
        self.runtime
            .block_on(async { tokio::time::sleep(time).await });
    }
}
