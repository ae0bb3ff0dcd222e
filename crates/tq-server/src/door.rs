//! The door: segments handed out as file descriptors, one connection per guest. As long as it is
//! open, and the guest's process lives, the guest may have the segments mapped.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::process::Pid;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio_stream::StreamExt;
use tq_arena::{Arena, SegmentFile};
use tq_wire::door::{self, REQUEST_BYTES};

use crate::deaths::Deaths;
use crate::incoming::Incoming;
use crate::session::{Session, Sessions};

/// Serves guests until it is dropped.
pub(crate) async fn serve(mut incoming: Incoming, arena: Arena, sessions: Arc<Sessions>) {
    let deaths = Arc::new(Deaths::default());
    while let Some(Ok(guest)) = incoming.next().await {
        let (arena, sessions) = (arena.clone(), Arc::clone(&sessions));
        let deaths = Arc::clone(&deaths);
        tokio::spawn(async move {
            let mut visit = Visit {
                session: None,
                over: false,
            };
            let served = tokio::select! {
                served = hand_out(&guest, &arena, &sessions, &mut visit.session) => served,
                () = death(&guest, &deaths) => Ok(()),
            };
            if let Err(error) = served {
                tracing::debug!(%error, "a guest left the door");
            }
            visit.over = true;
        });
    }
}

/// A guest at the door. When it goes, all that the guest holds is given back; but where the server
/// ends first, nothing is: the guest may go on reading and writing what it has mapped.
struct Visit {
    session: Option<Arc<Session>>,
    over: bool,
}

impl Drop for Visit {
    fn drop(&mut self) {
        let Some(session) = &self.session else { return };
        let held = session.depart();
        if self.over {
            // Giving back much takes long.
            tokio::task::spawn_blocking(move || drop(held));
        } else {
            std::mem::forget(held);
        }
    }
}

async fn hand_out(
    guest: &UnixStream,
    arena: &Arena,
    sessions: &Sessions,
    visitor: &mut Option<Arc<Session>>,
) -> io::Result<()> {
    loop {
        let mut request = [0; REQUEST_BYTES];
        let mut read = 0;
        while read < REQUEST_BYTES {
            guest.readable().await?;
            match guest.try_read(&mut request[read..]) {
                Ok(0) => return Ok(()),
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        let (session, segment) = door::read_request(request);
        if visitor.is_none() {
            *visitor = sessions
                .get(session)
                .ok()
                .filter(|session| session.arrive());
        }
        let known = visitor
            .as_ref()
            .is_some_and(|visitor| visitor.number() == session);
        let file = known
            .then(|| arena.segment_file(segment))
            .and_then(Result::ok);
        answer(guest, file).await?;
    }
}

async fn answer(guest: &UnixStream, file: Option<SegmentFile>) -> io::Result<()> {
    let segment = file.as_ref().map(|file| (file.file.as_fd(), file.len));
    guest
        .async_io(Interest::WRITABLE, || door::send(guest, segment))
        .await
}

/// Ends when the guest's process does, whoever inherited its sockets. Never ends where the process
/// cannot be seen from here, as from another namespace; then the sockets have to tell.
async fn death(guest: &UnixStream, deaths: &Deaths) {
    let process = guest
        .peer_cred()
        .ok()
        .and_then(|peer| Pid::from_raw(peer.pid()?));
    match process.and_then(|process| deaths.of(process)) {
        Some(death) => death.wait().await,
        None => std::future::pending().await,
    }
}
