//! `tq status` of an engine with guests and samples.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use common::{Place, Running, within};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tq_client::{ConnectConfig, Remote};
use tq_controller::FetchRequest;
use tq_proto::DType;
use tq_storage::{ColumnLayout, ColumnPlan};

/// A row that is too large to travel inside a message.
const ROW_BYTES: u64 = 100_000;

fn connect(running: &Running) -> Remote {
    let config = ConnectConfig {
        client_name: "rollout 3".to_owned(),
        ..ConnectConfig::default()
    };
    Remote::connect(running.address(), config).unwrap()
}

fn column(field: &str) -> ColumnPlan {
    ColumnPlan {
        field: field.into(),
        layout: ColumnLayout::Dense {
            dtype: DType::UInt8,
            row_shape: vec![ROW_BYTES],
        },
    }
}

fn put(guest: &Remote, keys: &[&str], field: &str) {
    let mut put = guest
        .begin_put("train@0", keys, vec![column(field)])
        .unwrap();
    for bytes in put.columns_mut() {
        bytes.fill(1);
    }
    put.publish(None).unwrap();
}

#[test]
fn it_counts_samples_bytes_and_what_guests_hold() {
    let place = Place::new();
    let running = place.serve(&["--memory", "64M"]);
    let empty = place.status();
    assert_eq!(empty["partitions"], json!([]));
    assert_eq!(empty["guests"], json!([]));

    let guest = connect(&running);
    put(&guest, &["a", "b", "c"], "tokens");
    put(&guest, &["a", "b"], "reward");
    let request = FetchRequest {
        partition: "train@0".into(),
        task: "update".into(),
        fields: vec!["tokens".into(), "reward".into()],
        batch_size: 1,
        dp_rank: None,
        batch_index: None,
    };
    assert!(guest.fetch(&request).unwrap().is_some());
    let read = guest.read("train@0", &["a", "b"], None).unwrap();
    let under_way = guest
        .begin_put("train@0", &["d"], vec![column("tokens")])
        .unwrap();

    let status = place.status();
    assert_eq!(status["id"], running.ready["id"]);
    let partition = &status["partitions"][0];
    assert_eq!(partition["partition"], "train@0");
    assert_eq!(partition["samples"], 3);
    assert_eq!(partition["keys"], 4);
    assert_eq!(
        partition["fields"],
        json!([{ "field": "tokens", "produced": 3 }, { "field": "reward", "produced": 2 }])
    );
    assert_eq!(
        partition["tasks"],
        json!([{ "task": "update", "consumed": 1 }])
    );
    let unit = &status["units"][0];
    assert_eq!(unit["samples"], 3);
    assert_eq!(unit["pending_samples"], 1);
    assert_eq!(unit["capacity_bytes"], 64 << 20);
    assert!(unit["committed_bytes"].as_u64() >= Some(5 * ROW_BYTES));
    assert!(unit["loaned_bytes"].as_u64() >= Some(ROW_BYTES));
    // Who asks is no guest.
    assert_eq!(status["guests"].as_array().unwrap().len(), 1);
    let found = &status["guests"][0];
    assert_eq!(found["name"], "rollout 3");
    assert_eq!(found["pid"], std::process::id());
    assert_eq!((&found["puts"], &found["reads"]), (&json!(1), &json!(1)));
    assert!(found["put_bytes"].as_u64() >= Some(ROW_BYTES));
    assert_eq!(found["read_bytes"], 4 * ROW_BYTES);

    let text = place.run(&["status"]);
    assert_eq!(text.code(), 0);
    for line in [
        "  train@0          3     4              0       2      1         2",
        "  train@0    tokens         3   3  100 %",
        "  train@0    reward         2   3   66 %",
        "  train@0    update         1   3   33 %",
    ] {
        assert!(
            text.out.lines().any(|found| found == line),
            "{line}\n{}",
            text.out
        );
    }
    assert!(text.out.contains("rollout 3") && !text.out.contains('\x1b'));

    drop((read, under_way));
    guest.close();
}

#[test]
fn health_is_an_exit_status() {
    let place = Place::new();
    let running = place.serve(&[]);
    let address = running.address().to_owned();
    let probe = ["status", "--health", "--address", &address];
    let healthy = place.run(&probe);
    assert_eq!((healthy.code(), healthy.out.as_str()), (0, "serving\n"));
    assert_eq!(running.stop().code(), 0);
    assert!(place.run(&probe).failure(1).contains("no host answers"));
}

#[test]
fn an_engine_that_says_nothing_is_given_up_on() {
    let place = Place::new();
    let running = place.serve(&[]);
    running.signal(Signal::STOP);
    let probe = place.run(&["status", "--health", "--timeout", "0.2"]);
    assert!(probe.failure(1).contains("did not answer within"));
    running.signal(Signal::CONT);
    assert_eq!(place.run(&["status", "--health"]).code(), 0);
}

/// `tq status --watch`, line by line.
struct Watching {
    child: Child,
    process: Pid,
    lines: Option<BufReader<std::process::ChildStdout>>,
}

impl Watching {
    fn start(place: &Place) -> Self {
        let mut command = place.tq(&["status", "--json", "--watch", "0.01"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        Self {
            process: Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(),
            lines: child.stdout.take().map(BufReader::new),
            child,
        }
    }

    fn next(&mut self) -> Value {
        let mut lines = self.lines.take().unwrap();
        let (line, lines) = within(self.process, move || {
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            (line, lines)
        });
        self.lines = Some(lines);
        serde_json::from_str(&line).unwrap()
    }
}

#[test]
fn watching_goes_on_while_the_engine_is_gone_and_ends_with_a_signal() {
    let place = Place::new();
    let running = place.serve(&[]);
    let mut watching = Watching::start(&place);
    let id = running.ready["id"].clone();
    assert_eq!(watching.next()["id"], id);
    assert_eq!(watching.next()["id"], id);
    assert_eq!(running.stop().code(), 0);
    while watching.next()["error"].is_null() {}
    let again = place.serve(&[]);
    loop {
        let found = watching.next();
        if found["error"].is_null() {
            assert_eq!(found["id"], again.ready["id"]);
            break;
        }
    }
    kill_process(watching.process, Signal::INT).unwrap();
    assert_eq!(watching.child.wait().unwrap().code(), Some(0));
}
