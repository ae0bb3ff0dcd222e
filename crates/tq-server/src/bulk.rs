//! Payload of guests on other hosts: ranges of puts are received where they are going to lie, ranges
//! of reads are sent from where they lie.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tq_wire::bulk::{REQUEST_BYTES, Request, Status, What, answer};
use tq_wire::stream::Stream;

use crate::held::HeldRead;
use crate::session::Sessions;

/// How long the bytes of one stripe may take. Between requests a connection may be idle.
const STRIPE_LIMIT: Duration = Duration::from_secs(60);
/// Slices handed to the system at once.
const SLICES: usize = 64;

/// Serves one connection until the guest ends it.
///
/// # Errors
/// What the stream says, and `InvalidData` for what is no request. The guest sends what it was not
/// told to have arrived again, over another connection.
pub(crate) async fn serve(mut stream: Stream, sessions: &Sessions) -> io::Result<()> {
    loop {
        let mut request = [0; REQUEST_BYTES];
        match stream.read_exact(&mut request).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
        let request = Request::read(&request).ok_or_else(no_request)?;
        let served = timeout(STRIPE_LIMIT, one(&mut stream, sessions, request));
        served.await.map_err(|_| io::ErrorKind::TimedOut)??;
    }
}

async fn one(stream: &mut Stream, sessions: &Sessions, request: Request) -> io::Result<()> {
    match request.what {
        What::Fill => fill(stream, sessions, request).await,
        What::Fetch => fetch(stream, sessions, request).await,
    }
}

async fn fill(stream: &mut Stream, sessions: &Sessions, request: Request) -> io::Result<()> {
    let stripe = sessions
        .get(request.session)
        .map_err(|_| Status::Ended)
        .and_then(|session| session.stripe(request.number, request.stripe()))
        .and_then(|stripe| {
            let fits = stripe.len() == request.bytes;
            fits.then_some(stripe).ok_or(Status::OutOfRange)
        });
    match stripe {
        Ok(mut stripe) => {
            stream.read_exact(stripe.as_mut_slice()).await?;
            drop(stripe);
            stream
                .write_all(&answer(Status::Done, request.bytes))
                .await?;
            stream.flush().await
        }
        Err(status) => {
            stream.write_all(&answer(status, 0)).await?;
            stream.flush().await?;
            // What follows on this connection are bytes without a place.
            Err(io::ErrorKind::ConnectionAborted.into())
        }
    }
}

async fn fetch(stream: &mut Stream, sessions: &Sessions, request: Request) -> io::Result<()> {
    let read: Option<Arc<HeldRead>> = sessions
        .get(request.session)
        .ok()
        .and_then(|session| session.read(request.number));
    let slices = read.as_ref().ok_or(Status::Ended).and_then(|read| {
        read.slices(request.offset, request.bytes)
            .ok_or(Status::OutOfRange)
    });
    match slices {
        Ok(slices) => {
            let head = answer(Status::Done, request.bytes);
            write_all(stream, &head, &slices).await?;
        }
        Err(status) => stream.write_all(&answer(status, 0)).await?,
    }
    stream.flush().await
}

/// Writes all of it, many slices at a time.
async fn write_all(stream: &mut Stream, head: &[u8], slices: &[&[u8]]) -> io::Result<()> {
    let mut rest = std::iter::once(head).chain(slices.iter().copied());
    loop {
        let mut group: Vec<_> = rest.by_ref().take(SLICES).map(IoSlice::new).collect();
        if group.is_empty() {
            return Ok(());
        }
        let mut left = group.as_mut_slice();
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            let written = stream.write_vectored(left).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut left, written);
        }
    }
}

fn no_request() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the guest sent no request")
}
