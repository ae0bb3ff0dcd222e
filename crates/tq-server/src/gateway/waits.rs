//! Sessions and subscriptions.

use std::sync::Arc;

use tq_engine::Interest;
use tq_proto::{Error, ErrorKind, Result};
use tq_wire::limits::VERSION;
use tq_wire::proto::{Hello, HoldRequest, Nothing, SubscribeRequest, Welcome};

use super::Gateway;
use crate::bell::SessionStream;

pub(super) fn attach(gateway: &Gateway, hello: &Hello) -> Result<SessionStream> {
    if hello.version != VERSION {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the guest speaks version {} of the protocol, this host {VERSION}; run the same \
                 version of transferqueue-rs at both ends",
                hello.version
            ),
        ));
    }
    gateway.engine.check()?;
    let session = gateway.sessions.open()?;
    session.introduce(hello);
    tracing::info!(
        session = session.number(),
        guest = hello.client_name,
        process = hello.process,
        "a guest has attached"
    );
    let welcome = Welcome {
        session: session.number(),
        process: std::process::id(),
        version: VERSION,
        about: gateway.about.clone(),
    };
    let sessions = Arc::clone(&gateway.sessions);
    Ok(SessionStream::new(sessions, session, welcome))
}

pub(super) fn subscribe(gateway: &Gateway, request: SubscribeRequest) -> Result<Nothing> {
    let session = gateway.sessions.get(request.session)?;
    let interest = Interest {
        rows: request.rows,
        consumption: request.consumption,
    };
    session.subscribe(request.number, |bell| {
        let wake = Box::new(move || bell.ring(request.number));
        gateway.engine.subscribe(&request.partition, interest, wake)
    })?;
    Ok(Nothing {})
}

pub(super) fn unsubscribe(gateway: &Gateway, request: HoldRequest) -> Result<Nothing> {
    gateway
        .sessions
        .get(request.session)?
        .woken(&request.numbers);
    Ok(Nothing {})
}
