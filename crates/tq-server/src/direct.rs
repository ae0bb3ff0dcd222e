//! Direct calls, answered by the same handlers as all others; see [`tq_wire::direct`].

use std::io;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, HeaderValue, Method, Request, Uri};
use tonic::codegen::{Bytes, Service};
use tq_wire::direct::{FULL, Frame, Frames, WELCOME};
use tq_wire::proto::CallHead;
use tq_wire::proto::gateway_server::GatewayServer;

use crate::gateway::Gateway;
use crate::incoming::Incoming;

/// Connections that are served at once. Each takes a file descriptor, and guests that find no place
/// call over HTTP/2, which needs one for all their threads.
const CONNECTIONS: usize = 2048;
/// The call that opens a session: a stream, which has no place here.
const ATTACH: &str = "/Attach";

/// Serves guests until the host stops, and calls under way to their end.
pub(crate) async fn serve(
    gateway: GatewayServer<Gateway>,
    mut guests: Incoming,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let stopping = stopped.clone();
    let mut served = JoinSet::new();
    loop {
        tokio::select! {
            // A sender that is gone says the same.
            _ = stopped.wait_for(|stopped| *stopped) => break,
            Some(Ok(mut guest)) = guests.next() => {
                let place = Arc::clone(&places).try_acquire_owned();
                let (gateway, stopping) = (gateway.clone(), stopping.clone());
                served.spawn(async move {
                    match place {
                        Ok(_place) => serve_one(guest, gateway, stopping).await,
                        Err(_) => guest.write_all(&[FULL]).await,
                    }
                });
            }
            Some(ended) = served.join_next() => tell(ended),
        }
    }
    drop(guests);
    while let Some(ended) = served.join_next().await {
        tell(ended);
    }
}

fn tell(ended: Result<io::Result<()>, tokio::task::JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection for direct calls was lost"),
        Err(error) => tracing::error!(%error, "a direct call was not carried out"),
    }
}

async fn serve_one(
    mut guest: UnixStream,
    mut gateway: GatewayServer<Gateway>,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    guest.write_all(&[WELCOME]).await?;
    let mut frames = Frames::default();
    loop {
        let asked = tokio::select! {
            biased;
            asked = read(&mut guest, &mut frames) => asked?,
            _ = stopped.wait_for(|stopped| *stopped) => None,
        };
        let Some(asked) = asked else { return Ok(()) };
        let answer = carry_out(&mut gateway, asked).await?;
        guest.write_all(&answer).await?;
    }
}

/// The next request; `None` where the guest has gone.
async fn read(guest: &mut UnixStream, frames: &mut Frames) -> io::Result<Option<Frame>> {
    loop {
        let bytes = guest.read(frames.space()).await?;
        if bytes == 0 {
            return Ok(None);
        }
        if let Some(frame) = frames.take(bytes).map_err(lies)? {
            return Ok(Some(frame));
        }
    }
}

async fn carry_out(gateway: &mut GatewayServer<Gateway>, asked: Frame) -> io::Result<Vec<u8>> {
    let path = asked.head.path.as_str();
    if path.ends_with(ATTACH) {
        return Err(lies("a session is no direct call"));
    }
    let uri = path.parse::<Uri>().map_err(lies)?;
    let mut headers = asked.head.headers().map_err(lies)?;
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    let mut request = Request::new(Body::new(Full::new(Bytes::from(asked.message))));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    let Ok(answer) = gateway.call(request).await;
    let (parts, body) = answer.into_parts();
    let (message, said) = match body.collect().await {
        Ok(collected) => {
            // A refusal without a message says so in its headers.
            let said = collected.trailers().cloned().unwrap_or(parts.headers);
            (collected.to_bytes(), said)
        }
        Err(status) => (Bytes::new(), refusal(&status)),
    };
    let went_well = said
        .get(Status::GRPC_STATUS)
        .is_some_and(|code| code == "0");
    let head = if went_well {
        CallHead::default()
    } else {
        CallHead::new("", &said)
    };
    Frame::write(&head, &message).map_err(lies)
}

fn refusal(status: &Status) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // What cannot be written into headers is left out, but for the code.
    if status.add_header(&mut headers).is_err() {
        headers.insert(Status::GRPC_STATUS, HeaderValue::from_static("13"));
    }
    headers
}

fn lies(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
