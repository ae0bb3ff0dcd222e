//! The engine that is measured: one that runs, or one that is started for it.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, getpid, kill_process};
use serde_json::Value;

use super::again;
use super::arguments::Common;
use crate::place;
use crate::program::MISUSED;
use crate::serve;
use crate::settings::Settings;

/// How long a start or an end may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Settings that would make it another engine than one to be measured from here.
const OTHERS: [&str; 6] = [
    "TQ_ROLE",
    "TQ_CONTROLLER",
    "TQ_BIND",
    "TQ_ADVERTISE",
    "TQ_READY_FILE",
    "TQ_SECRET_FILE",
];

/// Where it is.
pub(crate) struct Host {
    pub(crate) address: String,
    /// Stopped when it is dropped.
    _started: Option<Started>,
}

struct Started {
    child: Child,
    directory: PathBuf,
}

impl Host {
    /// The engine that is meant; `args` are those of this process.
    pub(crate) fn of(common: &Common, args: &[OsString]) -> Result<Self> {
        if common.start {
            let (address, started) = Started::new(args)?;
            return Ok(Self {
                address,
                _started: Some(started),
            });
        }
        let otherwise = "give --address, start one with `tq serve`, or have one started for this \
                         measurement with --start";
        Ok(Self {
            address: common.reach.found(otherwise)?,
            _started: None,
        })
    }
}

impl Started {
    fn new(args: &[OsString]) -> Result<(String, Self)> {
        let directory = place::base()?.join(format!("bench-{}", std::process::id()));
        let mut command = again::command(args)?;
        command
            .args([
                "bench",
                "host",
                "--announce",
                "false",
                "--log-level",
                "warn",
                "--directory",
            ])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        for setting in OTHERS {
            command.env_remove(setting);
        }
        let child = command.spawn().context("no engine could be started")?;
        let mut started = Self { child, directory };
        let out = started.child.stdout.take().context("it has no output")?;
        let (give, line) = sync_channel(1);
        thread::Builder::new()
            .name("tq-ready".to_owned())
            .spawn(move || {
                let mut line = String::new();
                let _ = BufReader::new(out).read_line(&mut line);
                // Nobody waits any more where it took too long.
                let _ = give.send(line);
            })?;
        let line = line.recv_timeout(LIMIT).unwrap_or_default();
        let ready: Value = serde_json::from_str(&line).unwrap_or_default();
        match ready["address"].as_str() {
            Some(address) => Ok((address.to_owned(), started)),
            None => bail!("the engine that was started did not get ready; its log says why"),
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // The end of its input is the end of it.
        drop(self.child.stdin.take());
        let (done, ended) = sync_channel::<()>(0);
        let process = self.child.id();
        let late = thread::Builder::new().spawn(move || {
            let pid = i32::try_from(process)
                .ok()
                .and_then(rustix::process::Pid::from_raw);
            if let (Err(std::sync::mpsc::RecvTimeoutError::Timeout), Some(pid)) =
                (ended.recv_timeout(LIMIT), pid)
            {
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        let _ = self.child.wait();
        drop(done);
        if let Ok(late) = late {
            let _ = late.join();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Serves until standard input ends, which it does with the process that started this one, however
/// that ends.
pub(crate) fn run(settings: &Settings) -> Result<i32> {
    if let Err(error) = settings.check() {
        tracing::error!(%error, "these settings make no sense");
        return Ok(MISUSED);
    }
    thread::Builder::new()
        .name("tq-input".to_owned())
        .spawn(|| {
            let mut input = std::io::stdin().lock();
            let mut nothing = [0; 64];
            while input.read(&mut nothing).is_ok_and(|read| read > 0) {}
            let _ = kill_process(getpid(), Signal::TERM);
        })?;
    serve::run(settings)
}
