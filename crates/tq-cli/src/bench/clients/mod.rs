//! Many connections at once, of several processes, each putting and getting.
//!
//! | module | holds |
//! |---|---|
//! | `task` | what the processes tell each other |
//! | `crew` | the processes |
//! | `worker` | what one of them does |
//! | `guest` | what one client does |
//! | `limits` | what would stop so many |
//! | `at_host` | what the engine says of its guests |
//! | `outcome` | all reports put together |

mod at_host;
mod crew;
mod guest;
mod limits;
mod outcome;
mod task;
mod worker;

use std::time::{Duration, Instant};

use anyhow::Result;

pub(crate) use worker::work;

use super::arguments::Clients;
use super::{Ground, complain};
use at_host::AtHost;
use crew::Crew;
use limits::Limits;
use outcome::Outcome;
use task::{Held, OPERATIONS, Report, Task};

/// Beside the deadlines of calls: to start processes and threads.
const START: Duration = Duration::from_secs(60);

pub(super) fn run(ground: &mut Ground, asked: &Clients) -> Result<()> {
    let mut outcomes = Vec::new();
    for clients in &asked.clients {
        if ground.stop.is_asked() {
            break;
        }
        let Some(outcome) = measure(ground, asked, *clients)? else {
            break;
        };
        for problem in &outcome.problems {
            complain(&format!("{clients} clients: {problem}"));
        }
        ground.errors += outcome.failures();
        if ground.common.json {
            ground.say(&format!("{}\n", outcome.to_json()))?;
        }
        outcomes.push(outcome);
    }
    if !ground.common.json && !outcomes.is_empty() {
        ground.say(&outcome::tables(&outcomes))?;
    }
    Ok(())
}

/// Measures so many clients; `None` where it was stopped.
fn measure(ground: &Ground, asked: &Clients, clients: u64) -> Result<Option<Outcome>> {
    let processes = asked.processes(clients);
    let name = ground.own.prefix().to_owned();
    let at_host = AtHost::new(&ground.engine, &ground.host.address, name);
    let mut outcome = Outcome::new(asked, clients, processes);
    let limits = Limits::found(clients, processes, asked.bytes, at_host.process());
    if let Some(problem) = limits.problem() {
        outcome.refused(problem);
        return Ok(Some(outcome));
    }
    outcome.before = at_host.memory();
    let tasks = tasks(ground, asked, clients, processes);
    let start = Instant::now();
    let mut crew = Crew::start(&tasks, &ground.args, &ground.stop)?;
    let deadline = ground.common.deadline();
    let held = crew.hear("connected", START + 2 * deadline, Held::of_json)?;
    let Some(held) = held else { return Ok(None) };
    outcome.connected(&held, start.elapsed());
    let guests = at_host.guests()?;
    outcome.held_at_host = guests.len() as u64;
    outcome.during = at_host.memory();
    outcome.files = at_host.files();

    let start = Instant::now();
    crew.go();
    let reports = crew.hear("done", limit(asked, deadline), Report::of_json)?;
    let Some(reports) = reports else {
        return Ok(None);
    };
    outcome.measured(&reports, start.elapsed());
    // The same sessions as before: none was lost, and made anew.
    outcome.held_throughout = at_host.guests()? == guests;
    let listed = ground.engine.list(Some(&tasks[0].shared))?;
    outcome.look_for_lost(&tasks, &reports, &listed);
    crew.end();
    ground.own.clear()?;
    outcome.left = at_host.left_within(deadline)?;
    outcome.after = at_host.memory();
    Ok(Some(outcome))
}

/// How long the operations may take where each call takes as long as it may.
fn limit(asked: &Clients, deadline: Duration) -> Duration {
    let round = deadline.saturating_mul(OPERATIONS.len() as u32 + 1);
    match asked.rounds {
        Some(rounds) => round.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX)),
        None => round + Duration::from_secs_f64(asked.seconds),
    }
}

fn tasks(ground: &Ground, asked: &Clients, clients: u64, processes: u64) -> Vec<Task> {
    let reach = &ground.common.reach;
    let place = |process: u64| clients * process / processes;
    let task = |process: u64| Task {
        address: ground.host.address.clone(),
        secret_file: reach.secret_file.clone(),
        tls_authority: reach.tls_authority.clone(),
        tls_certificate: reach.tls_certificate.clone(),
        tls_key: reach.tls_key.clone(),
        timeout: ground.common.timeout,
        name: ground.own.prefix().to_owned(),
        run: ground.own.run,
        data: ground.own.partition("data"),
        shared: ground.own.partition("shared"),
        first: place(process),
        count: place(process + 1) - place(process),
        bytes: asked.bytes,
        seconds: asked.seconds,
        rounds: asked.rounds,
    };
    (0..processes).map(task).collect()
}
