//! Connections, of the same user only.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::time::Sleep;
use tokio_stream::Stream;
use tq_wire::address::{check_peer, own_user};

/// Without file descriptors left, accepting fails at once again and again.
const PAUSE: Duration = Duration::from_millis(100);

/// The connections to a socket. Never ends and never fails: who is not let in is dropped.
pub(crate) struct Incoming {
    listener: UnixListener,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    pub(crate) fn new(listener: UnixListener) -> Self {
        Self {
            listener,
            pause: None,
        }
    }
}

impl Stream for Incoming {
    type Item = io::Result<UnixStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(cx)) {
                Ok((stream, _)) if is_welcome(&stream) => return Poll::Ready(Some(Ok(stream))),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    self.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
                }
            }
        }
    }
}

fn is_welcome(stream: &UnixStream) -> bool {
    let checked = stream
        .peer_cred()
        .map_err(|error| tracing::warn!(%error, "a peer that cannot be named was turned away"))
        .map(|peer| check_peer(peer.uid(), own_user()));
    match checked {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(%error, "a peer was turned away");
            false
        }
        Err(()) => false,
    }
}
