//! The program as a process of its own.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Long enough that only what hangs reaches it.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A directory for one test, with the engines of a user who has no others.
pub struct Place(pub PathBuf);

impl Place {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("/tmp/tq-cli-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn base(&self) -> PathBuf {
        self.0.join("transferqueue")
    }

    pub fn announced(&self) -> Option<String> {
        fs::read_to_string(self.base().join("announced")).ok()
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// `tq` with `args`, and nothing of ours in its environment.
    pub fn tq(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tq"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TQ_")) {
            command.env_remove(name);
        }
        command.env("XDG_RUNTIME_DIR", &self.0);
        command.args(args).stdin(Stdio::null());
        command
    }

    /// Runs `tq` to its end.
    pub fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.tq(args))
    }

    /// `tq status --json` of the announced engine.
    pub fn status(&self) -> Value {
        self.run(&["status", "--json"]).json()
    }

    pub fn serve(&self, args: &[&str]) -> Running {
        Running::of(self.tq(&[&["serve"], args].concat()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a process left.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl Ended {
    pub fn of(mut command: Command) -> Self {
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let process = pid(&child);
        let output = within(process, move || child.wait_with_output().unwrap());
        let Output {
            status,
            stdout,
            stderr,
        } = output;
        Self {
            status,
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }

    pub fn code(&self) -> i32 {
        self.status.code().expect("it was not killed")
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.code(), 0, "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }

    /// What it said about its failure, which is to be of this status.
    pub fn failure(&self, code: i32) -> &str {
        assert_eq!(self.code(), code, "{self:?}");
        assert_eq!(self.out, "");
        &self.err
    }
}

/// `tq serve`, ready.
pub struct Running {
    child: Option<Child>,
    process: Pid,
    /// The line that it printed.
    pub line: String,
    pub ready: Value,
}

impl Running {
    pub fn of(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let process = pid(&child);
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let line = within(process, move || {
            let mut line = String::new();
            out.read_line(&mut line).unwrap();
            line
        });
        let Ok(ready) = serde_json::from_str(&line) else {
            let mut said = String::new();
            child.stderr.unwrap().read_to_string(&mut said).unwrap();
            panic!("it did not get ready: {line:?} {said}");
        };
        Self {
            child: Some(child),
            process,
            line,
            ready,
        }
    }

    pub fn text(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap()
    }

    pub fn address(&self) -> &str {
        self.text("address")
    }

    pub fn path(&self, name: &str) -> &Path {
        Path::new(self.text(name))
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.process, signal).unwrap();
    }

    /// Reads what it logs until `words` are there.
    pub fn until_logged(&mut self, words: &str) {
        let mut err = BufReader::new(self.child.as_mut().unwrap().stderr.take().unwrap());
        let words = words.to_owned();
        within(self.process, move || {
            let mut line = String::new();
            while err.read_line(&mut line).unwrap() > 0 {
                if line.contains(&words) {
                    return;
                }
                line.clear();
            }
            panic!("it ended without {words:?}");
        });
    }

    /// Waits for its end.
    pub fn ended(mut self) -> Ended {
        let mut child = self.child.take().unwrap();
        within(self.process, move || {
            let mut err = String::new();
            if let Some(mut pipe) = child.stderr.take() {
                pipe.read_to_string(&mut err).unwrap();
            }
            Ended {
                status: child.wait().unwrap(),
                out: String::new(),
                err,
            }
        })
    }

    pub fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.ended()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()
}

/// What `work` gives; ends `process` where that takes too long.
pub fn within<T: Send + 'static>(process: Pid, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (give, result) = sync_channel(1);
    let worker = thread::Builder::new().spawn(move || {
        let _ = give.send(work());
    });
    match result.recv_timeout(LIMIT) {
        Ok(result) => result,
        Err(_) => {
            let _ = kill_process(process, Signal::KILL);
            let _ = worker.unwrap().join();
            panic!("process {process:?} hung, or reading from it failed");
        }
    }
}
