//! `tq bench`: what it reports, and what it leaves behind.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use common::{Ended, Place, Running, within};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tq_client::{ConnectConfig, Remote};

fn lines(ended: &Ended) -> Vec<Value> {
    assert_eq!(ended.code(), 0, "{ended:?}");
    let lines = ended.out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Nothing is stored, and nobody is there.
fn assert_empty(place: &Place) {
    let status = place.status();
    assert_eq!(status["partitions"], json!([]));
    assert_eq!(status["guests"], json!([]));
    let unit = &status["units"][0];
    for name in [
        "samples",
        "committed_bytes",
        "loaned_bytes",
        "retired_bytes",
    ] {
        assert_eq!(unit[name], 0, "{name}");
    }
}

#[test]
fn many_clients_of_several_processes_hold_their_connections_and_lose_nothing() {
    let place = Place::new();
    let _running = place.serve(&["--memory", "256M"]);
    // Through messages and through shared memory.
    for (bytes, size) in [(1000, "1000"), (100_000, "100000")] {
        let args = [
            "bench",
            "clients",
            "--clients",
            "1,64",
            "--processes",
            "4",
            "--rounds",
            "5",
            "--json",
            "--bytes",
            size,
        ];
        let found = lines(&place.run(&args));
        assert_eq!(found.len(), 2);
        for (line, clients) in found.iter().zip([1, 64]) {
            let parameters = &line["parameters"];
            assert_eq!(line["scenario"], "clients");
            assert_eq!(parameters["clients"], clients);
            assert_eq!(parameters["processes"], clients.min(4));
            assert_eq!(parameters["bytes"], bytes);
            assert_eq!(
                (&line["held"], &line["held_at_host"]),
                (&json!(clients), &json!(clients))
            );
            assert_eq!(line["held_throughout"], true);
            for name in ["errors", "wrong", "lost", "guests_left"] {
                assert_eq!(line[name], 0, "{name}: {line}");
            }
            // Put, get, update and clear, five times each.
            assert_eq!(line["n"], clients * 5 * 4);
            assert_eq!(line["rounds_fewest"], 5);
            assert_eq!(line["bytes"], clients * 5 * 2 * bytes);
            assert_eq!(line["operations"]["get"]["n"], clients * 5);
        }
        assert_empty(&place);
    }
}

#[test]
fn clients_over_tcp_know_the_secret() {
    let place = Place::new();
    let running = place.serve(&["--memory", "256M", "--bind", "127.0.0.1:0"]);
    let args = [
        "bench",
        "clients",
        "--clients",
        "8",
        "--rounds",
        "2",
        "--bytes",
        "100000",
        "--json",
        "--address",
        running.text("tcp_address"),
        "--secret-file",
        running.text("secret_file"),
    ];
    let found = lines(&place.run(&args));
    assert_eq!(
        (&found[0]["held_at_host"], &found[0]["errors"]),
        (&json!(8), &json!(0))
    );
    assert_eq!(found[0]["host_bytes_per_connection"], Value::Null);
    assert_empty(&place);
}

#[test]
fn each_scenario_tells_what_it_measured_and_leaves_the_partitions_of_others() {
    let place = Place::new();
    let running = place.serve(&["--memory", "256M"]);
    let guest = Remote::connect(running.address(), ConnectConfig::default()).unwrap();
    let put = guest.begin_put("train@0", &["a"], Vec::new()).unwrap();
    put.publish(None).unwrap();
    for (args, operations) in [
        ("latency --rounds 5", vec!["put", "get", "clear"]),
        (
            "transfer --sizes 1M,3M --fields 3 --columns object --rounds 2",
            ["memcpy", "put", "get", "check", "clear"].repeat(2),
        ),
        (
            "keys --counts 1000 --rounds 2",
            vec!["put", "list", "get", "clear"],
        ),
        ("wait --rounds 5", vec!["wake", "put"]),
    ] {
        let words: Vec<&str> = ["bench"]
            .into_iter()
            .chain(args.split(' '))
            .chain(["--json"])
            .collect();
        let found = lines(&place.run(&words));
        let told: Vec<_> = found
            .iter()
            .map(|line| line["operation"].as_str().unwrap())
            .collect();
        assert_eq!(told, operations, "{args}");
        for line in &found {
            assert_eq!(line["scenario"], words[1], "{line}");
            assert_eq!(line["errors"], 0, "{line}");
            assert!(line["n"].as_u64() >= Some(2), "{line}");
            assert!(line["median"].as_f64() <= line["p99"].as_f64(), "{line}");
            assert!(
                line["parameters"].is_object() && line["bytes"].is_u64(),
                "{line}"
            );
        }
    }
    let left = guest.partitions().unwrap();
    assert_eq!(
        left.iter().map(|name| &**name).collect::<Vec<_>>(),
        ["train@0"]
    );
}

#[test]
fn without_an_engine_it_says_so_and_with_start_it_has_one() {
    let place = Place::new();
    let refused = place.run(&["bench", "latency"]);
    let text = refused.failure(1);
    assert!(
        text.contains("no engine is announced") && text.contains("--start"),
        "{text}"
    );
    let measured = place.run(&["bench", "latency", "--rounds", "2", "--start"]);
    assert_eq!((measured.code(), measured.err.as_str()), (0, ""));
    assert!(
        measured.out.contains("Latency of single values"),
        "{measured:?}"
    );
    assert!(place.announced().is_none());
    assert_eq!(std::fs::read_dir(place.base()).unwrap().count(), 0);
}

#[test]
fn interrupted_it_clears_what_it_put() {
    let place = Place::new();
    let _running = place.serve(&["--memory", "256M"]);
    let mut command = place.tq(&["bench", "clients", "--clients", "1,8", "--seconds", "1000"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let process = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    while place.status()["partitions"] == json!([]) {}
    kill_process(process, Signal::INT).unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let said = within(process, move || {
        let mut line = String::new();
        err.read_line(&mut line).unwrap();
        line
    });
    assert!(said.contains("stopping"), "{said}");
    let status = within(process, move || child.wait().unwrap());
    assert_eq!(status.code(), Some(130));
    assert_empty(&place);
}

#[test]
fn killed_it_takes_its_clients_along() {
    let place = Place::new();
    let _running: Running = place.serve(&["--memory", "256M"]);
    let mut command = place.tq(&["bench", "clients", "--clients", "8", "--seconds", "1000"]);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    while place.status()["partitions"] == json!([]) {}
    child.kill().unwrap();
    child.wait().unwrap();
    // Each clears the keys of its own; the partition stays, because there is nobody to clear it.
    loop {
        let status = place.status();
        if status["guests"] == json!([]) {
            assert_eq!(status["units"][0]["samples"], 0);
            break;
        }
    }
}
