//! What a guest may say that no guest of ours says: each is an error, the server goes on, and nothing
//! is left behind.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use common::{Caller, Host};
use tonic::codegen::http::HeaderMap;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
use tq_proto::ErrorKind;
use tq_storage::{ColumnLayout, ColumnPlan};
use tq_wire::direct::{Frame, Frames, WELCOME};
use tq_wire::limits::VERSION;
use tq_wire::proto::{self, CallHead, Hello, PutRequest, Target, Texts};

fn target(keys: usize) -> Option<Target> {
    Some(Target {
        partitions: Some(Texts::of(["p"])),
        keys: Some(Texts::of((0..keys).map(|key| key.to_string()))),
        ..Target::default()
    })
}

fn plans(layout: ColumnLayout) -> Vec<proto::ColumnPlan> {
    proto::ColumnPlan::of(&[ColumnPlan {
        field: "x".into(),
        layout,
    }])
}

#[test]
fn puts_that_do_not_add_up_are_refused_and_leave_nothing() {
    let host = Host::new("puts");
    let caller = Caller::new();
    let mut calls = caller.calls(&host.address);
    let bytes = |bytes| ColumnLayout::Dense {
        dtype: tq_proto::DType::UInt8,
        row_shape: vec![bytes],
    };
    // Of rank 0, so that no dimension betrays how few rows came.
    let mut many_rows = plans(ColumnLayout::Jagged {
        dtype: tq_proto::DType::UInt8,
        row_shapes: tq_proto::RowShapes::new(0, 2, Vec::new()).unwrap(),
    });
    if let Some(proto::layout::Of::Jagged(jagged)) = &mut many_rows[0].layout.as_mut().unwrap().of {
        jagged.row_shapes.as_mut().unwrap().rows = 1 << 60;
    }
    let put = |target, columns, payload: &[u8]| PutRequest {
        target,
        columns,
        payload: payload.to_vec(),
        tags: None,
    };
    let lies = [
        put(None, Vec::new(), &[]),
        put(target(0), Vec::new(), &[]),
        put(target(2), plans(bytes(4)), &[0; 7]),
        put(target(2), plans(bytes(4)), &[0; 9]),
        put(target(2), vec![proto::ColumnPlan::default()], &[]),
        put(target(2), many_rows, &[0; 2]),
        put(target(2), plans(bytes(u64::MAX)), &[]),
        PutRequest {
            tags: Some(proto::Tags {
                counts: vec![u32::MAX],
                ..proto::Tags::default()
            }),
            ..put(target(1), Vec::new(), &[])
        },
    ];
    for lie in lies {
        let kind = caller.refused(calls.put(lie.clone()));
        assert!(
            matches!(kind, ErrorKind::InvalidArgument | ErrorKind::Internal),
            "{kind:?} for {lie:?}"
        );
    }
    assert!(host.engine.list(None).unwrap().is_empty());
    let usage = host.engine.usage().unwrap().storage;
    assert_eq!((usage.pending_samples, usage.arena.in_use()), (0, 0));
}

#[test]
fn counts_beyond_reason_are_refused() {
    let host = Host::new("counts");
    let caller = Caller::new();
    let mut calls = caller.calls(&host.address);
    let request = proto::InsertRequest {
        partition: "p".into(),
        fields: Vec::new(),
        count: u64::MAX,
    };
    assert_eq!(
        caller.refused(calls.insert(request)),
        ErrorKind::CapacityExceeded
    );
}

#[test]
fn sessions_and_numbers_that_nobody_has_are_refused() {
    let host = Host::new("numbers");
    let caller = Caller::new();
    let mut calls = caller.calls(&host.address);
    let publish = |session, number| proto::PublishRequest {
        session,
        number,
        tags: None,
    };
    let unknown = caller.refused(calls.publish(publish(1, 1)));
    assert_eq!(unknown, ErrorKind::Unavailable);
    let (session, stream) = caller.attach(&mut calls);
    let unknown = caller.refused(calls.publish(publish(session, 1)));
    assert_eq!(unknown, ErrorKind::InvalidArgument);
    drop(stream);
    let hello = Hello {
        version: VERSION + 1,
        ..Hello::default()
    };
    assert_eq!(caller.refused(calls.attach(hello)), ErrorKind::Unsupported);
}

#[test]
fn the_door_tells_strangers_nothing_and_serves_on_after_half_a_request() {
    let host = Host::new("door");
    let caller = Caller::new();
    let mut calls = caller.calls(&host.address);
    let (session, _stream) = caller.attach(&mut calls);
    let mut half = UnixStream::connect(host.address.segments()).unwrap();
    half.write_all(&[1, 2, 3]).unwrap();
    drop(half);
    for (session, segment) in [(session + 1, 0), (session, u32::MAX)] {
        let mut door = UnixStream::connect(host.address.segments()).unwrap();
        let request = tq_wire::door::request(session, segment);
        door.write_all(&request).unwrap();
        let mut answer = [1; 8];
        door.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [0; 8]);
    }
}

#[test]
fn bytes_that_are_no_grpc_do_not_end_the_server_and_it_says_that_it_serves() {
    let host = Host::new("noise");
    let mut noise = UnixStream::connect(host.address.calls()).unwrap();
    noise.write_all(&[0xff; 4096]).unwrap();
    let caller = Caller::new();
    let mut health = HealthClient::new(caller.channel(&host.address.calls()));
    let request = HealthCheckRequest {
        service: "transferqueue.v1.Gateway".into(),
    };
    let answer = caller.0.block_on(health.check(request)).unwrap();
    assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
}

/// What the host answers on its socket for direct calls, up to the end of the connection or the first
/// answer.
fn direct_answer(host: &Host, bytes: &[u8]) -> Option<Frame> {
    let mut stranger = UnixStream::connect(host.address.direct()).unwrap();
    let mut welcome = [0];
    stranger.read_exact(&mut welcome).unwrap();
    assert_eq!(welcome, [WELCOME]);
    stranger.write_all(bytes).unwrap();
    let mut frames = Frames::default();
    loop {
        // Closed, or reset because not all was read.
        let read = stranger.read(frames.space()).unwrap_or(0);
        if read == 0 {
            return None;
        }
        if let Some(frame) = frames.take(read).unwrap() {
            return Some(frame);
        }
    }
}

fn direct_request(path: &str, message: &[u8]) -> Vec<u8> {
    Frame::write(&CallHead::new(path, &HeaderMap::new()), message).unwrap()
}

#[test]
fn direct_calls_that_are_none_end_their_connection_alone() {
    let host = Host::new("direct");
    let no_path = direct_request("no path at all", &[]);
    let session = direct_request("/transferqueue.v1.Gateway/Attach", &[0; 5]);
    let long = [0xff; 64];
    for lie in [&no_path[..], &session, &long] {
        assert!(direct_answer(&host, lie).is_none());
    }
    // gRPC's own words for what it does not know or cannot read.
    for (path, message, code) in [
        ("/transferqueue.v1.Gateway/Nothing", &[0; 5][..], "12"),
        ("/transferqueue.v1.Gateway/Partitions", &[9; 3], "13"),
        (
            "/transferqueue.v1.Gateway/Partitions",
            &[0, 0, 0, 0, 2, 255, 255],
            "13",
        ),
    ] {
        let answer = direct_answer(&host, &direct_request(path, message)).unwrap();
        let headers = answer.head.headers().unwrap();
        assert_eq!(
            headers.get("grpc-status").unwrap(),
            code,
            "{path} {message:?}"
        );
    }
    let good = direct_request("/transferqueue.v1.Gateway/Partitions", &[0; 5]);
    let answer = direct_answer(&host, &good).unwrap();
    assert_eq!(answer.head, CallHead::default());
    assert!(!answer.message.is_empty());
}
