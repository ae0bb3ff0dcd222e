//! What so many clients have come to: all reports put together.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};
use tq_controller::{TagValue, Tags};
use tq_engine::Listing;

use super::guest::{ROUND, update_key};
use super::task::{Held, OPERATIONS, Report, Task};
use crate::bench::arguments::Clients;
use crate::bench::histogram::Histogram;
use crate::bench::line::{span, speed};
use crate::quantity::Bytes;
use crate::table::{row, section, table};

/// See the module.
#[derive(Default, Debug)]
pub(super) struct Outcome {
    clients: u64,
    processes: u64,
    /// Of each value.
    value_bytes: u64,
    seconds_asked: Option<f64>,
    rounds_asked: Option<u64>,
    /// Connections that the clients had at the barrier, and those that the engine saw then.
    held: u64,
    pub(super) held_at_host: u64,
    /// Whether the engine saw the very same ones after the last operation.
    pub(super) held_throughout: bool,
    connects: Histogram,
    connect_seconds: f64,
    times: Vec<Histogram>,
    seconds: f64,
    bytes: u64,
    errors: u64,
    wrong: u64,
    lost: u64,
    fewest: u64,
    /// Guests that had not left when they were waited for.
    pub(super) left: u64,
    /// Memory of the engine's process: before, while connections are held, and after all.
    pub(super) before: Option<u64>,
    pub(super) during: Option<u64>,
    pub(super) after: Option<u64>,
    pub(super) files: Option<u64>,
    client_bytes: u64,
    client_files: u64,
    pub(super) problems: Vec<String>,
}

impl Outcome {
    pub(super) fn new(asked: &Clients, clients: u64, processes: u64) -> Self {
        Self {
            clients,
            processes,
            value_bytes: asked.bytes,
            seconds_asked: asked.rounds.is_none().then_some(asked.seconds),
            rounds_asked: asked.rounds,
            times: vec![Histogram::default(); OPERATIONS.len()],
            ..Self::default()
        }
    }

    /// A limit stands against it.
    pub(super) fn refused(&mut self, problem: String) {
        self.errors += 1;
        self.problems.push(problem);
    }

    pub(super) fn connected(&mut self, held: &[Held], time: Duration) {
        self.connect_seconds = time.as_secs_f64();
        for held in held {
            self.held += held.held;
            self.connects.merge(&held.connects);
            self.client_bytes += held.bytes;
            self.client_files += held.files;
            self.add_problems(&held.problems);
        }
        // Each that is missing is one.
        self.errors += self.clients.saturating_sub(self.held);
    }

    pub(super) fn measured(&mut self, reports: &[Report], time: Duration) {
        self.seconds = time.as_secs_f64();
        self.fewest = reports
            .iter()
            .map(|report| report.fewest)
            .min()
            .unwrap_or(0);
        for report in reports {
            for (all, times) in self.times.iter_mut().zip(&report.times) {
                all.merge(times);
            }
            self.bytes += report.bytes;
            self.errors += report.errors;
            self.wrong += report.wrong;
            self.add_problems(&report.problems);
        }
    }

    /// Compares the shared partition with what each client was told that it holds. An update whose
    /// answer failed may be there all the same, so a later round than the last known one is no loss.
    pub(super) fn look_for_lost(&mut self, tasks: &[Task], reports: &[Report], listed: &[Listing]) {
        let found: HashMap<&str, i64> = listed
            .iter()
            .flat_map(|listing| &listing.samples)
            .filter_map(|(key, tags)| Some((&**key, round_of(tags)?)))
            .collect();
        for (task, report) in tasks.iter().zip(reports) {
            for (client, updates) in (task.first..).zip(&report.updates) {
                for (slot, last) in updates.iter().enumerate() {
                    let Some(last) = last else { continue };
                    let there = found.get(update_key(client, slot).as_str());
                    if there.is_none_or(|there| *there < *last as i64) {
                        self.lost += 1;
                    }
                }
            }
        }
        if self.lost > 0 {
            self.problems
                .push(format!("{} updates were lost", self.lost));
        }
    }

    fn add_problems(&mut self, problems: &[String]) {
        for problem in problems {
            if self.problems.len() < 10 && !self.problems.contains(problem) {
                self.problems.push(problem.clone());
            }
        }
    }

    fn all(&self) -> Histogram {
        let mut all = Histogram::default();
        self.times.iter().for_each(|times| all.merge(times));
        all
    }

    fn per_second(&self, number: u64) -> f64 {
        if self.seconds > 0.0 {
            number as f64 / self.seconds
        } else {
            0.0
        }
    }

    /// What speaks against the engine, or this machine.
    pub(super) fn failures(&self) -> u64 {
        self.errors + self.wrong + self.lost + self.left + u64::from(!self.held_throughout)
    }

    fn each(&self, bytes: u64) -> u64 {
        bytes / self.held.max(1)
    }

    fn host_each(&self) -> Option<u64> {
        let more = self.during?.saturating_sub(self.before?);
        Some(self.each(more))
    }

    pub(super) fn to_json(&self) -> Value {
        let all = self.all();
        let figures = |times: &Histogram| {
            json!({
                "n": times.count(),
                "median": times.median(),
                "p90": times.quantile(0.9),
                "p99": times.quantile(0.99),
                "max": times.max(),
            })
        };
        let operations: serde_json::Map<_, _> = OPERATIONS
            .iter()
            .zip(&self.times)
            .map(|(name, times)| ((*name).to_owned(), figures(times)))
            .collect();
        json!({
            "scenario": "clients",
            "operation": "all",
            "parameters": {
                "clients": self.clients,
                "processes": self.processes,
                "bytes": self.value_bytes,
                "seconds": self.seconds_asked,
                "rounds": self.rounds_asked,
            },
            "n": all.count(),
            "median": all.median(),
            "p90": all.quantile(0.9),
            "p99": all.quantile(0.99),
            "max": all.max(),
            "bytes": self.bytes,
            "errors": self.errors,
            "wrong": self.wrong,
            "lost": self.lost,
            "problems": self.problems,
            "held": self.held,
            "held_at_host": self.held_at_host,
            "held_throughout": self.held_throughout,
            "rounds_fewest": self.fewest,
            "seconds": self.seconds,
            "operations_per_second": self.per_second(all.count()),
            "bytes_per_second": self.per_second(self.bytes),
            "operations": operations,
            "connect": figures(&self.connects),
            "connect_seconds": self.connect_seconds,
            "client_bytes_per_connection": self.each(self.client_bytes),
            "client_files_per_connection": self.client_files as f64 / self.held.max(1) as f64,
            "host_bytes_per_connection": self.host_each(),
            "host_bytes_before": self.before,
            "host_bytes_held": self.during,
            "host_bytes_after": self.after,
            "host_files": self.files,
            "guests_left": self.left,
        })
    }
}

fn round_of(tags: &Tags) -> Option<i64> {
    match tags.iter().find(|(name, _)| &***name == ROUND)? {
        (_, TagValue::Int(round)) => Some(*round),
        _ => None,
    }
}

/// All counts of clients for people.
pub(super) fn tables(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    let headings = [
        "clients",
        "processes",
        "held",
        "throughout",
        "connect",
        "per client",
        "at host",
        "after",
        "left",
    ];
    let mut held = table(&headings, 0);
    let headings = [
        "clients",
        "rounds",
        "n",
        "per second",
        "bytes/s",
        "median",
        "p99",
        "max",
        "errors",
        "wrong",
        "lost",
    ];
    let mut speeds = table(&headings, 0);
    let headings = ["clients", "operation", "n", "median", "p90", "p99", "max"];
    let mut operations = table(&headings, 2);
    let bytes = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), |b| Bytes(b).to_string());
    for outcome in outcomes {
        let all = outcome.all();
        held.add_row(row![
            outcome.clients,
            outcome.processes,
            format!("{}/{}", outcome.held, outcome.held_at_host),
            if outcome.held_throughout { "yes" } else { "NO" },
            span(outcome.connect_seconds),
            Bytes(outcome.each(outcome.client_bytes)),
            bytes(outcome.host_each()),
            format!("{} of {}", bytes(outcome.after), bytes(outcome.during)),
            outcome.left,
        ]);
        speeds.add_row(row![
            outcome.clients,
            outcome.fewest,
            all.count(),
            format!("{:.0}", outcome.per_second(all.count())),
            speed(outcome.per_second(outcome.bytes)),
            span(all.median()),
            span(all.quantile(0.99)),
            span(all.max()),
            outcome.errors,
            outcome.wrong,
            outcome.lost,
        ]);
        for (name, times) in OPERATIONS.iter().zip(&outcome.times) {
            operations.add_row(row![
                outcome.clients,
                name,
                times.count(),
                span(times.median()),
                span(times.quantile(0.9)),
                span(times.quantile(0.99)),
                span(times.max()),
            ]);
        }
    }
    section(&mut text, "Connections held at once", held);
    section(&mut text, "All operations", speeds);
    section(&mut text, "Each operation", operations);
    let _ = writeln!(text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(updates: [Option<u64>; 4], listed: &[(&str, i64)]) -> Outcome {
        let mut outcome = Outcome {
            clients: 1,
            held_throughout: true,
            times: vec![Histogram::default(); 4],
            ..Outcome::default()
        };
        let samples = listed.iter().map(|(key, round)| {
            let tags: Tags = [(ROUND.into(), TagValue::Int(*round))]
                .into_iter()
                .collect();
            ((*key).into(), tags)
        });
        let listing = Listing {
            partition: "shared".into(),
            samples: samples.collect(),
        };
        let task = Task {
            first: 7,
            count: 1,
            ..Task::default()
        };
        let report = Report {
            updates: vec![updates],
            times: vec![Histogram::default(); 4],
            ..Report::default()
        };
        outcome.measured(std::slice::from_ref(&report), Duration::from_secs(1));
        outcome.look_for_lost(&[task], &[report], &[listing]);
        outcome
    }

    #[test]
    fn an_update_that_is_not_there_or_is_an_older_one_is_lost() {
        let updates = [Some(4), Some(5), None, Some(3)];
        let all = [("7.0", 4), ("7.1", 5), ("7.3", 3)];
        assert_eq!(outcome(updates, &all).failures(), 0);
        let later = [("7.0", 8), ("7.1", 5), ("7.3", 3), ("8.0", 1)];
        assert_eq!(outcome(updates, &later).lost, 0);
        let older = [("7.0", 0), ("7.1", 5)];
        let lost = outcome(updates, &older);
        assert_eq!((lost.lost, lost.failures()), (2, 2));
        assert_eq!(lost.to_json()["lost"], 2);
    }

    #[test]
    fn a_line_has_what_programs_are_promised() {
        let json = outcome([None; 4], &[]).to_json();
        for name in [
            "scenario",
            "parameters",
            "n",
            "median",
            "p99",
            "bytes",
            "errors",
            "wrong",
            "lost",
            "held",
            "held_at_host",
            "held_throughout",
            "operations_per_second",
            "bytes_per_second",
        ] {
            assert!(!json[name].is_null(), "{name}");
        }
        assert_eq!(json["parameters"]["clients"], 1);
        assert_eq!(json["operations"]["put"]["n"], 0);
        assert_eq!(json["host_bytes_per_connection"], Value::Null);
    }

    #[test]
    fn a_lost_connection_is_a_failure() {
        let mut lost = outcome([None; 4], &[]);
        lost.held_throughout = false;
        assert_eq!(lost.failures(), 1);
        assert!(tables(&[lost]).contains("NO"));
    }
}
