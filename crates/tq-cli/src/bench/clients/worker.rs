//! One of several processes: connects its clients, waits for word, and lets them work.

use std::io::{BufRead, Write};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tq_client::{Engine, Remote};

use super::guest::{Done, Guest, Told, field, update_key};
use super::task::{END, GO, Held, OPERATIONS, Report, SLOTS, Task};
use crate::bench::stop::Stop;
use crate::files;
use crate::memory;
use crate::program::DONE;

/// Address space of a client's thread; it takes what it touches only.
const STACK: usize = 512 << 10;
/// Problems that are told; more are of one kind mostly.
const PROBLEMS: usize = 5;

/// Does what standard input says; the exit status.
pub(crate) fn work() -> Result<i32> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let task = serde_json::from_str(&line)
        .ok()
        .as_ref()
        .and_then(Task::of_json);
    let task = task.context("this is started by `tq bench clients`, not by hand")?;
    let stop = Stop::default();
    let words = listen(&stop)?;
    files::raise_limit();
    let before = Costs::now();
    let crew = Crew::new(&task);
    let (held, gate) = (Mutex::new(Held::default()), Gate::default());
    // The first one's thread and memory serve the others too, as they do the threads of one program.
    let first = connect(&task, None, &held);
    let ended = thread::scope(|scope| {
        let clients: Vec<_> = (0..task.count)
            .map(|place| {
                let (task, crew, held, gate, stop) = (&task, &crew, &held, &gate, &stop);
                let first = &first;
                let client = move || {
                    let engine = match (place, first) {
                        (_, None) => None,
                        (0, Some(first)) => Some(first.clone()),
                        (_, Some(first)) => connect(task, Some(first), held),
                    };
                    gate.arrive_and_wait();
                    let done = engine.as_ref().map(|engine| crew.run(place, engine, stop));
                    (engine, done.unwrap_or_default())
                };
                Builder::new()
                    .name("tq-guest".to_owned())
                    .stack_size(STACK)
                    .spawn_scoped(scope, client)
            })
            .map(|spawned| {
                spawned.inspect_err(|error| {
                    note(
                        &mut lock(&held).problems,
                        &format!("the system gives no thread: {error}"),
                    );
                    gate.arrive();
                })
            })
            .collect();
        gate.until_all(task.count);
        let told = {
            let mut held = lock(&held);
            let after = Costs::now();
            held.bytes = after.bytes.saturating_sub(before.bytes);
            held.files = after.files.saturating_sub(before.files);
            tell(&held.to_json())
        };
        // Whatever happens, the gate is opened: this scope waits for those behind it.
        let go = told.is_ok() && words.recv().is_ok_and(|word| word == GO);
        if !go {
            stop.ask();
        }
        gate.open();
        // As a vector: their connections are held until the end.
        let (engines, done): (Vec<_>, Vec<Done>) = clients
            .into_iter()
            .flatten()
            .filter_map(|client| client.join().ok())
            .unzip();
        if go {
            tell(&crew.report(&done).to_json())?;
        }
        let ended = words.recv().is_ok_and(|word| word == END);
        if !ended && let Some(engine) = &first {
            clear(&task, engine);
        }
        for engine in engines.iter().flatten() {
            engine.close();
        }
        anyhow::Ok(ended)
    })?;
    if !ended {
        bail!("it was cut off");
    }
    Ok(DONE)
}

/// Words of the first process, one a line; the end of them is word to stop.
fn listen(stop: &Stop) -> Result<Receiver<String>> {
    let (tell, words) = sync_channel(4);
    let stop = stop.clone();
    Builder::new().name("tq-words".to_owned()).spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                return;
            }
        }
        stop.ask();
    })?;
    Ok(words)
}

fn connect(task: &Task, first: Option<&Engine>, held: &Mutex<Held>) -> Option<Engine> {
    let start = Instant::now();
    let connected = task
        .reach()
        .config(&task.name, Duration::from_secs_f64(task.timeout))
        .and_then(|mut config| {
            // Each for payload, beside the one for calls.
            config.connections = 1;
            let remote = match first {
                Some(Engine::There(first)) => first.connect_beside(&task.address, config)?,
                _ => Remote::connect(&task.address, config)?,
            };
            Ok(Engine::There(remote))
        });
    let mut held = lock(held);
    match connected {
        Ok(engine) => {
            held.held += 1;
            held.connects.add(start.elapsed());
            Some(engine)
        }
        Err(error) => {
            note(&mut held.problems, &format!("{error:#}"));
            None
        }
    }
}

/// What the clients of this process tell.
struct Crew<'a> {
    task: &'a Task,
    report: Mutex<Report>,
}

impl<'a> Crew<'a> {
    fn new(task: &'a Task) -> Self {
        let report = Report {
            times: vec![Default::default(); OPERATIONS.len()],
            ..Report::default()
        };
        Self {
            task,
            report: Mutex::new(report),
        }
    }

    fn run(&self, place: u64, engine: &Engine, stop: &Stop) -> Done {
        let guest = Guest {
            task: self.task,
            number: self.task.first + place,
            engine,
            told: self,
            fields: field(),
        };
        let start = Instant::now();
        let limit = Duration::from_secs_f64(self.task.seconds);
        let is_enough = |done| match self.task.rounds {
            Some(rounds) => done >= rounds,
            None => start.elapsed() >= limit,
        };
        guest.work(is_enough, stop)
    }

    fn report(&self, done: &[Done]) -> Report {
        let mut report = lock(&self.report).clone();
        report.updates = done.iter().map(|done| done.updates).collect();
        report.fewest = done.iter().map(|done| done.rounds).min().unwrap_or(0);
        report
    }
}

impl Told for Crew<'_> {
    fn done(&self, operation: usize, start: Instant, bytes: u64) {
        let time = start.elapsed();
        let mut report = lock(&self.report);
        report.times[operation].add(time);
        report.bytes += bytes;
    }

    fn failed(&self, what: &str) {
        let mut report = lock(&self.report);
        report.errors += 1;
        note(&mut report.problems, what);
    }

    fn wrong(&self, what: &str) {
        let mut report = lock(&self.report);
        report.wrong += 1;
        note(&mut report.problems, what);
    }
}

/// Holds the clients back until all are there and word comes.
#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    change: Condvar,
}

#[derive(Default)]
struct State {
    arrived: u64,
    open: bool,
}

impl Gate {
    fn arrive(&self) {
        lock(&self.state).arrived += 1;
        self.change.notify_all();
    }

    fn arrive_and_wait(&self) {
        self.arrive();
        let mut state = lock(&self.state);
        while !state.open {
            state = self
                .change
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until so many have arrived.
    fn until_all(&self, count: u64) {
        let mut state = lock(&self.state);
        while state.arrived < count {
            state = self
                .change
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn open(&self) {
        lock(&self.state).open = true;
        self.change.notify_all();
    }
}

/// What connections cost a process.
struct Costs {
    bytes: u64,
    files: u64,
}

impl Costs {
    fn now() -> Self {
        let process = std::process::id();
        Self {
            bytes: memory::private_of(process).unwrap_or(0),
            files: files::open_in(process).unwrap_or(0),
        }
    }
}

/// Clears what the clients of this process have put, as far as it can be.
fn clear(task: &Task, engine: &Engine) {
    let clients = task.first..task.first + task.count;
    let data: Vec<_> = clients.clone().map(|client| client.to_string()).collect();
    let updates: Vec<_> = clients
        .flat_map(|client| (0..SLOTS).map(move |slot| update_key(client, slot)))
        .collect();
    // The first process clears the same, where it can.
    let _ = engine.clear(&task.data, &data);
    let _ = engine.clear(&task.shared, &updates);
}

fn note(problems: &mut Vec<String>, what: &str) {
    if problems.len() < PROBLEMS && !problems.iter().any(|known| known == what) {
        problems.push(what.to_owned());
    }
}

fn tell(value: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}")?;
    out.flush().context("the first process listens no more")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
