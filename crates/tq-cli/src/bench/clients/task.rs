//! What the first process and the others tell each other: one object a line.
//!
//! ```text
//! first ──task──► worker            whom to connect to, as how many clients
//!       ◄──held──                   all are connected, or could not be
//!       ──"go"──►                   once every worker holds its own
//!       ◄─report─                   what was measured; connections are held on
//!       ──"end"─►                   once that was looked at; the worker ends
//! ```
//!
//! A worker whose input ends early stops, and clears what its clients have put.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::bench::histogram::Histogram;
use crate::reach::Reach;

/// Begins the operations.
pub(super) const GO: &str = "go";
/// Ends the connections.
pub(super) const END: &str = "end";
/// Updates of one client that are kept, and looked for in the end.
pub(super) const SLOTS: usize = 4;
/// What a client does in a round.
pub(super) const OPERATIONS: [&str; 4] = ["put", "get", "update", "clear"];

/// What a worker is to do.
#[derive(Clone, Default, PartialEq, Debug)]
pub(super) struct Task {
    pub(super) address: String,
    pub(super) secret_file: Option<PathBuf>,
    pub(super) tls_authority: Option<PathBuf>,
    pub(super) tls_certificate: Option<PathBuf>,
    pub(super) tls_key: Option<PathBuf>,
    pub(super) timeout: f64,
    /// Of the clients, at the host.
    pub(super) name: String,
    pub(super) run: u64,
    /// Where payload is put.
    pub(super) data: String,
    /// What all clients update.
    pub(super) shared: String,
    /// Number of its first client.
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    /// Instead of `seconds`.
    pub(super) rounds: Option<u64>,
}

/// What a worker has before the first operation.
#[derive(Clone, Default, PartialEq, Debug)]
pub(super) struct Held {
    pub(super) held: u64,
    /// Why the others are not connected; each reason once.
    pub(super) problems: Vec<String>,
    pub(super) connects: Histogram,
    /// Memory of its own that the connections take, where the system tells it.
    pub(super) bytes: u64,
    /// Files that they take.
    pub(super) files: u64,
}

/// What a worker has measured.
#[derive(Clone, Default, PartialEq, Debug)]
pub(super) struct Report {
    /// One for each of [`OPERATIONS`].
    pub(super) times: Vec<Histogram>,
    /// Payload put and got.
    pub(super) bytes: u64,
    /// Calls that failed.
    pub(super) errors: u64,
    /// Gets with another content than was put.
    pub(super) wrong: u64,
    pub(super) problems: Vec<String>,
    /// Of each client, the round that each of its slots in the shared partition was last updated in.
    pub(super) updates: Vec<[Option<u64>; SLOTS]>,
    /// The fewest rounds of a client.
    pub(super) fewest: u64,
}

impl Task {
    pub(super) fn reach(&self) -> Reach {
        Reach {
            address: Some(self.address.clone()),
            secret_file: self.secret_file.clone(),
            tls_authority: self.tls_authority.clone(),
            tls_certificate: self.tls_certificate.clone(),
            tls_key: self.tls_key.clone(),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "address": self.address,
            "secret_file": self.secret_file,
            "tls_authority": self.tls_authority,
            "tls_certificate": self.tls_certificate,
            "tls_key": self.tls_key,
            "timeout": self.timeout,
            "name": self.name,
            "run": self.run,
            "data": self.data,
            "shared": self.shared,
            "first": self.first,
            "count": self.count,
            "bytes": self.bytes,
            "seconds": self.seconds,
            "rounds": self.rounds,
        })
    }

    pub(super) fn of_json(value: &Value) -> Option<Self> {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let path = |name: &str| value[name].as_str().map(PathBuf::from);
        let number = |name: &str| value[name].as_u64();
        Some(Self {
            address: text("address")?,
            secret_file: path("secret_file"),
            tls_authority: path("tls_authority"),
            tls_certificate: path("tls_certificate"),
            tls_key: path("tls_key"),
            timeout: value["timeout"].as_f64()?,
            name: text("name")?,
            run: number("run")?,
            data: text("data")?,
            shared: text("shared")?,
            first: number("first")?,
            count: number("count")?,
            bytes: number("bytes")?,
            seconds: value["seconds"].as_f64()?,
            rounds: number("rounds"),
        })
    }
}

impl Held {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "held": self.held,
            "problems": self.problems,
            "connects": self.connects.to_json(),
            "bytes": self.bytes,
            "files": self.files,
        })
    }

    pub(super) fn of_json(value: &Value) -> Option<Self> {
        Some(Self {
            held: value["held"].as_u64()?,
            problems: texts(&value["problems"])?,
            connects: Histogram::of_json(&value["connects"])?,
            bytes: value["bytes"].as_u64()?,
            files: value["files"].as_u64()?,
        })
    }
}

impl Report {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "times": self.times.iter().map(Histogram::to_json).collect::<Value>(),
            "bytes": self.bytes,
            "errors": self.errors,
            "wrong": self.wrong,
            "problems": self.problems,
            "updates": self.updates,
            "fewest": self.fewest,
        })
    }

    pub(super) fn of_json(value: &Value) -> Option<Self> {
        let updates = value["updates"].as_array()?.iter().map(slots);
        let times = value["times"].as_array()?.iter().map(Histogram::of_json);
        Some(Self {
            times: times.collect::<Option<_>>()?,
            bytes: value["bytes"].as_u64()?,
            errors: value["errors"].as_u64()?,
            wrong: value["wrong"].as_u64()?,
            problems: texts(&value["problems"])?,
            updates: updates.collect::<Option<_>>()?,
            fewest: value["fewest"].as_u64()?,
        })
    }
}

fn slots(value: &Value) -> Option<[Option<u64>; SLOTS]> {
    let slots: Vec<_> = value.as_array()?.iter().map(Value::as_u64).collect();
    slots.try_into().ok()
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let texts = value.as_array()?.iter();
    texts.map(|text| text.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        let mut times = Histogram::default();
        times.add(Duration::from_micros(7));
        let task = Task {
            address: "unix:/x".to_owned(),
            secret_file: Some("/s".into()),
            run: u64::MAX,
            seconds: 0.5,
            rounds: Some(3),
            ..Task::default()
        };
        assert_eq!(Task::of_json(&task.to_json()), Some(task));
        let held = Held {
            held: 3,
            problems: vec!["no".to_owned()],
            connects: times.clone(),
            ..Held::default()
        };
        assert_eq!(Held::of_json(&held.to_json()), Some(held));
        let report = Report {
            times: vec![times; 4],
            updates: vec![[Some(1), None, None, Some(0)]],
            ..Report::default()
        };
        assert_eq!(Report::of_json(&report.to_json()), Some(report));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let no = json!({ "held": 1, "updates": [[1]], "times": [] });
        assert_eq!(Task::of_json(&no), None);
        assert_eq!(Held::of_json(&no), None);
        assert_eq!(Report::of_json(&no), None);
    }
}
