//! A guest that is killed while a child of it has inherited its connection to the door: the
//! connection lives on, and still the guest's loans end with it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Caller, Host};
use rustix::process::{Pid, Signal, kill_process};
use tq_storage::{ColumnLayout, ColumnPlan};
use tq_wire::address::UnixAddress;
use tq_wire::door;
use tq_wire::proto::{self, BeginPutRequest, Target, Texts};

const LIMIT: Duration = Duration::from_secs(20);
const BYTES: u64 = 1 << 20;

#[test]
fn a_killed_guest_gives_back_what_it_held_whoever_inherited_its_sockets() {
    let host = Host::new("heir");
    let mut guest = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "guest", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(guest.stdin.as_mut().unwrap(), "{}", host.address).unwrap();
    let said = BufReader::new(guest.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .find_map(|line| Some(line.split_once("@@")?.1.parse::<i32>().unwrap()));
    let heir = Pid::from_raw(said.unwrap()).unwrap();
    assert_eq!(host.engine.usage().unwrap().storage.arena.loaned, BYTES);
    guest.kill().unwrap();
    guest.wait().unwrap();
    let start = Instant::now();
    while host.engine.usage().unwrap().storage.arena.loaned > 0 {
        if start.elapsed() > LIMIT {
            kill_process(heir, Signal::KILL).unwrap();
            panic!("the loan of a guest that was killed is held");
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
    // It was there to the end.
    kill_process(heir, Signal::KILL).unwrap();
}

#[test]
#[ignore = "it is the other process of the other test"]
fn guest() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let address = UnixAddress::new(line.trim().trim_start_matches("unix:")).unwrap();
    let caller = Caller::new();
    let mut calls = caller.calls(&address);
    let (session, _stream) = caller.attach(&mut calls);
    let plan = ColumnPlan {
        field: "x".into(),
        layout: ColumnLayout::Object {
            row_sizes: vec![BYTES],
        },
    };
    let request = BeginPutRequest {
        session,
        number: 1,
        target: Some(Target {
            partitions: Some(Texts::of(["p"])),
            keys: Some(Texts::of(["k"])),
            ..Target::default()
        }),
        columns: proto::ColumnPlan::of(&[plan]),
        ..BeginPutRequest::default()
    };
    let begun = caller.0.block_on(calls.begin_put(request)).unwrap();
    let places = begun.into_inner().read(1).unwrap();
    let mut connection = UnixStream::connect(address.segments()).unwrap();
    let asked = door::request(session, places[0].unwrap().segment);
    connection.write_all(&asked).unwrap();
    door::receive(&connection).unwrap().unwrap();
    let inherited = OwnedFd::from(connection.try_clone().unwrap());
    let mut heir = Command::new("sleep")
        .arg("60")
        .stdin(Stdio::from(inherited))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    println!("@@{}", heir.id());
    // To be killed here.
    heir.wait().unwrap();
}
