//! Who does not know the secret is not let in, and does no harm.

use std::io::{Read, Write};
use std::net::TcpStream;

use tq_client::{ConnectConfig, Engine, Remote};
use tq_proto::ErrorKind;
use tq_wire::bulk::{REQUEST_BYTES, Request, What};
use tq_wire::secret::Secret;

use crate::common::*;

#[test]
fn without_the_secret_nobody_is_let_in() {
    let host = Host::new();
    let none = ConnectConfig {
        secret: None,
        ..over_tcp()
    };
    let error = Remote::connect(&host.tcp_address(), none).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let wrong = ConnectConfig {
        secret: Some(Secret::new(*b"a secret of some other cluster").unwrap()),
        ..over_tcp()
    };
    let error = Remote::connect(&host.tcp_address(), wrong).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(format!("{error:?}").contains("secret"), "{error:?}");
}

#[test]
fn a_stranger_gets_no_answer_and_the_host_goes_on() {
    let host = Host::new();
    let address = host.tcp_address();
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: somewhere.example\r\n\r\n"[..],
        &[0xff; 200],
    ] {
        let mut stranger = TcpStream::connect(address.trim_start_matches("tcp:")).unwrap();
        stranger.write_all(bytes).unwrap();
        let mut said = Vec::new();
        // Closed, or reset because not all was read; nothing was said either way.
        let _ = stranger.read_to_end(&mut said);
        assert!(said.is_empty());
    }
    let engine: Engine = host.connect_over_tcp().into();
    put(&engine, "p", &keys(0..1), "x", 100_000, 1).unwrap();
    assert_eq!(get(&engine, "p", &keys(0..1), "x").unwrap().len(), 100_000);
}

#[test]
fn ranges_that_nobody_was_granted_are_refused() {
    let host = Host::new();
    let request = Request {
        what: What::Fetch,
        session: 12345,
        number: 1,
        offset: 0,
        bytes: 64,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        use tq_wire::handshake::{Purpose, call};
        let address = host.tcp_address();
        let connect = || tokio::net::TcpStream::connect(address.trim_start_matches("tcp:"));
        let mut known = connect().await.unwrap();
        call(&mut known, &secret(), Purpose::Bulk).await.unwrap();
        known.write_all(&request.write()).await.unwrap();
        let mut answer = [0; 16];
        known.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer[0], 1, "a session that does not exist has ended");
        // What is no request ends the connection.
        known.write_all(&[0xff; REQUEST_BYTES]).await.unwrap();
        assert_eq!(known.read(&mut answer).await.unwrap_or(0), 0);
    });
}
