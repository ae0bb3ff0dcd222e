//! Connections that are lost, and hosts that are.

use std::sync::atomic::Ordering;

use tq_client::{Engine, Remote};
use tq_controller::FetchRequest;
use tq_proto::ErrorKind;

use crate::common::*;
use crate::proxy::Proxy;

#[test]
fn a_transfer_goes_on_over_another_connection() {
    let host = Host::new();
    let proxy = Proxy::new(&host.tcp_address());
    let engine: Engine = Remote::connect(&proxy.address, over_tcp()).unwrap().into();
    let keys = keys(0..16);
    let row = 2 << 20;

    // Cut in the middle of the put, and again in the middle of the get.
    let mut put = engine.begin_put("p", &keys, vec![dense("x", row)]).unwrap();
    for column in put.columns_mut() {
        fill_rows(column, row as usize, 1);
    }
    proxy.left.store(9 << 20, Ordering::Relaxed);
    put.publish(None).unwrap();
    let used = proxy.connections.load(Ordering::Relaxed);
    assert!(used > 3, "{used} connections: none was lost");

    proxy.left.store(11 << 20, Ordering::Relaxed);
    let bytes = get(&engine, "p", &keys, "x").unwrap();
    assert!(proxy.connections.load(Ordering::Relaxed) > used);
    let mut wanted = vec![0; 32 << 20];
    fill_rows(&mut wanted, row as usize, 1);
    assert!(bytes == wanted);
}

#[test]
fn a_host_that_is_lost_during_a_put_is_an_error_and_leaves_nothing() {
    let mut host = Host::new();
    let engine: Engine = host.connect_over_tcp().into();
    let mut put = engine
        .begin_put("p", &keys(0..4), vec![dense("x", 8 << 20)])
        .unwrap();
    for column in put.columns_mut() {
        column.fill(1);
    }
    host.stop();
    let error = put.publish(None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert_eq!(host.engine.list(None).unwrap().len(), 0);
}

#[test]
fn a_guest_that_is_gone_gives_back_what_it_held() {
    let host = Host::new();
    let other: Engine = host.connect().into();
    put(&other, "p", &keys(0..4), "x", 1 << 20, 1).unwrap();
    let guest = host.connect_over_tcp();
    let engine: Engine = guest.clone().into();
    let begun = engine
        .begin_put("q", &keys(0..4), vec![dense("x", 8 << 20)])
        .unwrap();
    std::mem::forget(begun);
    guest.close();
    other.clear("p", &keys(0..4)).unwrap();
    eventually("the end of the session", || is_empty(&host.engine));
}

#[test]
fn a_change_whose_answer_was_lost_is_made_once() {
    let host = Host::new();
    let proxy = Proxy::new(&host.tcp_address());
    let engine: Engine = Remote::connect(&proxy.address, over_tcp()).unwrap().into();
    let lose_the_answer = || proxy.cut_reply.store(true, Ordering::Relaxed);
    // Small enough to be one message.
    lose_the_answer();
    put(&engine, "p", &keys(0..8), "x", 100, 1).unwrap();
    let sequence = engine.sequence("p").unwrap();
    assert_eq!(sequence, 1, "it was published more than once");

    lose_the_answer();
    let request = FetchRequest {
        partition: "p".into(),
        task: "t".into(),
        fields: vec!["x".into()],
        batch_size: 4,
        dp_rank: None,
        batch_index: None,
    };
    let batch = engine.fetch(&request).unwrap().unwrap();
    assert_eq!(batch.global_indexes.len(), 4);
    assert_eq!(engine.ready_count("p", "t", &["x".into()], 100).unwrap(), 4);

    lose_the_answer();
    assert_eq!(engine.clear("p", &keys(0..8)).unwrap(), 8);
    assert!(proxy.connections.load(Ordering::Relaxed) >= 4);
}
