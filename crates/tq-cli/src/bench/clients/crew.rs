//! The processes that the clients are spread over, and their words.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::task::{END, GO, Task};
use crate::bench::again;
use crate::bench::stop::Stop;

/// How long a process that was told to end may take before it is killed.
const END_LIMIT: Duration = Duration::from_secs(30);

/// What has happened.
enum Event {
    /// A process said something; `None` where it has ended.
    Said(usize, Option<Value>),
    /// It is to end early.
    Stop,
}

/// See the module. Dropping it ends them.
pub(super) struct Crew {
    processes: Vec<Process>,
    events: Receiver<Event>,
    /// Those whose output has ended.
    ended: usize,
}

struct Process {
    child: Child,
    input: Option<ChildStdin>,
}

impl Crew {
    /// Starts a process for each task; `args` are those of this one.
    pub(super) fn start(tasks: &[Task], args: &[OsString], stop: &Stop) -> Result<Self> {
        // Each says two things and then ends; a stop is said once.
        let (tell, events) = sync_channel(3 * tasks.len() + 1);
        let mut crew = Self {
            processes: Vec::new(),
            events,
            ended: 0,
        };
        for task in tasks {
            let mut child = again::command(args)?
                .args(["bench", "worker"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .with_context(|| {
                    format!(
                        "the system starts no more than {} of {} processes",
                        crew.processes.len(),
                        tasks.len()
                    )
                })?;
            let mut input = child.stdin.take();
            let output = child.stdout.take();
            if let Some(input) = &mut input {
                // One that has ended says so by the end of its output.
                let _ = writeln!(input, "{}", task.to_json());
            }
            let number = crew.processes.len();
            crew.processes.push(Process { child, input });
            let tell = tell.clone();
            Builder::new().name("tq-listen".to_owned()).spawn(move || {
                let lines = output
                    .into_iter()
                    .flat_map(|output| BufReader::new(output).lines());
                for line in lines.map_while(Result::ok) {
                    let value = serde_json::from_str(&line).unwrap_or(Value::Null);
                    if tell.send(Event::Said(number, Some(value))).is_err() {
                        return;
                    }
                }
                let _ = tell.send(Event::Said(number, None));
            })?;
        }
        stop.hook(stopper(tell));
        Ok(crew)
    }

    /// The next words of each process, in their order; `None` where it is to end early.
    pub(super) fn hear<T>(
        &mut self,
        what: &str,
        limit: Duration,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>> {
        let deadline = Instant::now().checked_add(limit);
        let mut heard: Vec<Option<T>> = self.processes.iter().map(|_| None).collect();
        let mut missing = heard.len();
        while missing > 0 {
            let left = deadline.map_or(limit, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            match self.events.recv_timeout(left) {
                Ok(Event::Said(number, Some(value))) => {
                    let said = read(&value).with_context(|| {
                        format!("process {number} said something else: {value}")
                    })?;
                    missing -= usize::from(heard[number].replace(said).is_none());
                }
                Ok(Event::Said(number, None)) => {
                    self.ended += 1;
                    bail!(
                        "process {number} of the clients ended before {what}; what it wrote above says why"
                    )
                }
                Ok(Event::Stop) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => bail!(
                    "{missing} of {} processes were not {what} within {limit:?}",
                    heard.len()
                ),
                Err(RecvTimeoutError::Disconnected) => bail!("nobody is left to be {what}"),
            }
        }
        Ok(Some(heard.into_iter().flatten().collect()))
    }

    pub(super) fn go(&mut self) {
        self.tell(GO);
    }

    fn tell(&mut self, word: &str) {
        for process in &mut self.processes {
            if let Some(input) = &mut process.input {
                // One that has ended says so by the end of its output.
                let _ = writeln!(input, "{word}");
            }
        }
    }

    /// Ends their connections, and them.
    pub(super) fn end(mut self) {
        self.tell(END);
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // The end of its input is word to end, too.
            drop(process.input.take());
        }
        let deadline = Instant::now() + END_LIMIT;
        let mut left = self.processes.len() - self.ended;
        // Each says that it has ended by the end of its output.
        while left > 0 {
            let rest = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(rest) {
                Ok(Event::Said(_, None)) => left -= 1,
                Ok(_) => {}
                Err(_) => break,
            }
        }
        for process in &mut self.processes {
            if left > 0 {
                let _ = process.child.kill();
            }
            let _ = process.child.wait();
        }
    }
}

fn stopper(tell: SyncSender<Event>) -> impl Fn() + Send + 'static {
    move || {
        // It is enough to be told once.
        let _ = tell.try_send(Event::Stop);
    }
}
