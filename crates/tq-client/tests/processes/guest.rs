//! This test binary run once more, as a guest or a host. It is told on its standard input what to
//! be, and says on its standard output, in lines that begin with a mark, how far it is.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tq_client::{ConnectConfig, Engine, Remote};
use tq_engine::EmbeddedConfig;

use crate::common::{Host, LIMIT, dense, directory, fill_rows, get, keys, put};

const MARK: &str = "@@";
/// Bytes of a row that make a batch of a few rows too large for a message.
pub(crate) const LARGE: u64 = 256 << 10;

/// Another process. Killed when it is dropped.
pub(crate) struct Process {
    /// That of its sockets, where it is a host.
    directory: Option<PathBuf>,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    pub(crate) fn start(role: &str, address: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "guest::other_process",
                "--ignored",
                "--nocapture",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut process = Self {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            directory: None,
        };
        process.tell(role);
        process.tell(address);
        process
    }

    /// A host, and its address.
    pub(crate) fn host() -> (Self, String) {
        let directory = directory();
        let mut process = Self::start("host", &directory.display().to_string());
        process.directory = Some(directory);
        let address = process.hear();
        (process, address)
    }

    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    /// What the process says next.
    pub(crate) fn hear(&mut self) -> String {
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).unwrap();
            assert!(read > 0, "the other process ended without a word");
            if let Some((_, said)) = line.split_once(MARK) {
                return said.trim().to_owned();
            }
        }
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Stops the process, and returns when all its threads stand still.
    pub(crate) fn stop(&self) {
        self.signal(rustix::process::Signal::STOP);
        let pid = rustix::process::Pid::from_child(&self.child);
        let options = rustix::process::WaitOptions::UNTRACED;
        let (_, status) = rustix::process::waitpid(Some(pid), options)
            .unwrap()
            .unwrap();
        assert!(status.stopped());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(directory) = &self.directory {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{MARK}{what}").unwrap();
    out.flush().unwrap();
}

fn told() -> String {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    line.trim().to_owned()
}

#[test]
#[ignore = "it is the other process of the other tests"]
fn other_process() {
    let (role, address) = (told(), told());
    if role == "host" {
        let host = Host::in_directory(address.into(), EmbeddedConfig::default());
        put(&host.engine.clone().into(), "p", &keys(0..4), "x", LARGE, 7).unwrap();
        say(&host.address());
        told();
        return;
    }
    let config = ConnectConfig {
        deadline: LIMIT,
        ..ConnectConfig::default()
    };
    let remote = Remote::connect(&address, config).unwrap();
    let engine = Engine::from(remote);
    match role.as_str() {
        "copy" => copy(&engine),
        "loan" => {
            let mut put = engine
                .begin_put("p", &keys(0..4), vec![dense("x", LARGE)])
                .unwrap();
            fill_rows(put.columns_mut()[0], LARGE as usize, 1);
            say("loaned");
            told();
        }
        "lease" => {
            let batch = engine.read("p", &keys(0..4), None).unwrap();
            let delivered = engine.deliver(&batch.columns[0]).unwrap();
            say(&delivered.len().to_string());
            told();
            let rows = batch.columns[0].slices().flatten().step_by(LARGE as usize);
            say(&format!("{:?}", rows.collect::<Vec<_>>()));
            told();
            drop((batch, delivered));
        }
        "wait" => {
            let (woken, wakes) = std::sync::mpsc::sync_channel(1);
            let wake = Box::new(move || woken.send(()).unwrap());
            let interest = tq_engine::Interest {
                rows: 4,
                consumption: false,
            };
            let _subscription = engine.subscribe("p", interest, wake).unwrap();
            say("waiting");
            wakes.recv_timeout(LIMIT).unwrap();
            say("woken");
        }
        other => panic!("no role {other}"),
    }
}

/// Reads what the host put, and puts it under other keys.
fn copy(engine: &Engine) {
    for (partition, row_bytes) in [("small", 16), ("large", LARGE)] {
        let found = get(engine, partition, &keys(0..4), "x").unwrap();
        let mut put = engine
            .begin_put(
                partition,
                &["a", "b", "c", "d"],
                vec![dense("x", row_bytes)],
            )
            .unwrap();
        put.columns_mut()[0].copy_from_slice(&found);
        put.publish(None).unwrap();
    }
    say("copied");
    told();
}
