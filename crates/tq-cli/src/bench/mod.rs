//! `tq bench`: how fast an engine is, seen from here, and whether all is right that comes back.
//!
//! | module | holds |
//! |---|---|
//! | `arguments` | the arguments of each scenario |
//! | `latency`, `transfer`, `keys`, `wait`, `clients` | the scenarios |
//! | `batch`, `content` | what is put, got and checked |
//! | `meter`, `histogram`, `line` | times, and how they are shown |
//! | `own` | the partitions of a measurement |
//! | `host` | the engine that is measured |
//! | `again` | this program, started once more |
//! | `stop` | word that it is to end early |

mod again;
pub(crate) mod arguments;
mod batch;
mod clients;
mod content;
mod histogram;
mod host;
mod keys;
mod latency;
mod line;
mod meter;
mod own;
mod stop;
mod transfer;
mod wait;

use std::ffi::OsString;
use std::io::Write;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::oneshot;
use tq_client::{ConnectConfig, Engine, Remote};

use crate::files;
use crate::program::{DONE, FAILED, say};
use crate::signals::Signals;
use arguments::{Bench, Common, Scenario};
use host::Host;
use line::Line;
use own::Own;
use stop::Stop;

/// What every scenario works with.
struct Ground {
    common: Common,
    /// Of this process.
    args: Vec<OsString>,
    engine: Engine,
    /// Before the engine that they are cleared at.
    own: Own,
    host: Host,
    stop: Stop,
    errors: u64,
}

/// Measures; the exit status. `args` are those of this process.
pub(crate) fn run(bench: &Bench, args: &[OsString]) -> Result<i32> {
    let common = match &bench.scenario {
        Scenario::Worker => return clients::work(),
        Scenario::Host(settings) => return host::run(settings),
        others => others.common().cloned(),
    };
    let common = common.context("this is no scenario")?;
    // First, so that a signal during the start finds somebody who cleans up.
    let mut signals = Signals::take()?;
    files::raise_limit();
    let stop = Stop::default();
    let (done, measured) = oneshot::channel();
    let (scenario, args, stopped) = (bench.scenario.clone(), args.to_vec(), stop.clone());
    let measuring = thread::Builder::new()
        .name("tq-bench".to_owned())
        .spawn(move || {
            let result = measure(&scenario, common, args, stopped);
            // Nobody waits any more where a second signal came.
            let _ = done.send(());
            result
        })
        .context("the system gives no thread to measure with")?;
    let received = signals.wait_or(measured);
    if let Some(received) = received {
        stop.ask();
        complain("stopping, and clearing what was put; a second signal stops at once");
        let (ended, end) = oneshot::channel();
        let waiting = thread::Builder::new()
            .name("tq-stop".to_owned())
            .spawn(move || {
                let result = measuring.join();
                let _ = ended.send(());
                result
            })?;
        if let Some(second) = signals.wait_or(end) {
            return Ok(second.status());
        }
        drop(waiting);
        return Ok(received.status());
    }
    match measuring.join() {
        Ok(Ok(0)) => Ok(DONE),
        Ok(Ok(_)) => Ok(FAILED),
        Ok(Err(error)) => Err(error),
        Err(_) => Ok(FAILED),
    }
}

/// Runs a scenario; how many errors there were.
fn measure(scenario: &Scenario, common: Common, args: Vec<OsString>, stop: Stop) -> Result<u64> {
    let host = Host::of(&common, &args)?;
    let config = common.reach.config("tq bench", common.deadline())?;
    let engine = Engine::There(Remote::connect(&host.address, config)?);
    let mut ground = Ground {
        own: Own::new(engine.clone())?,
        common,
        args,
        host,
        engine,
        stop,
        errors: 0,
    };
    match scenario {
        Scenario::Latency(latency) => latency::run(&mut ground, latency)?,
        Scenario::Transfer(transfer) => transfer::run(&mut ground, transfer)?,
        Scenario::Keys(keys) => keys::run(&mut ground, keys)?,
        Scenario::Wait(wait) => wait::run(&mut ground, wait)?,
        Scenario::Clients(clients) => clients::run(&mut ground, clients)?,
        Scenario::Worker | Scenario::Host(_) => {}
    }
    // By hand, so that an error is one.
    ground.own.clear()?;
    Ok(ground.errors)
}

impl Common {
    fn deadline(&self) -> Duration {
        Duration::from_secs_f64(self.timeout)
    }
}

impl Ground {
    /// Shows what was measured, and counts its errors.
    fn show(&mut self, heading: &str, lines: &[Line]) -> Result<()> {
        self.errors += lines.iter().map(|line| line.errors).sum::<u64>();
        let text = if self.common.json {
            let line = |line: &Line| format!("{}\n", line.to_json());
            lines.iter().map(line).collect()
        } else {
            line::tables(heading, lines)
        };
        self.say(&text)
    }

    fn say(&self, text: &str) -> Result<()> {
        if !say(text)? {
            // Nobody reads on; what was put is cleared all the same.
            self.stop.ask();
        }
        Ok(())
    }

    /// Another connection.
    fn connect(&self, config: ConnectConfig) -> Result<Engine> {
        Ok(Engine::There(Remote::connect(&self.host.address, config)?))
    }
}

/// Says on standard error what is no figure.
fn complain(what: &str) {
    // Who cannot be told on standard error cannot be told at all.
    let _ = writeln!(std::io::stderr(), "tq bench: {what}");
}
