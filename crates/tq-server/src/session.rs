//! What guests hold: loans of puts under way, leases of what they read, subscriptions.
//!
//! A session is *attached* while its stream lives; only then it takes on more. Subscriptions end with
//! the stream. Loans and leases may be mapped into the guest, so they end only when no mapping is
//! left there: when the connection to the door, which the guest keeps open as long as it has any, is
//! closed. A guest that never came to the door, such as one of another host, has mapped nothing.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use tq_arena::Stripe;
use tq_engine::{Put, Subscription};
use tq_proto::{Error, ErrorKind, Result, UnitId};
use tq_storage::{ColumnRead, PendingPut};
use tq_wire::bulk::Status;
use tq_wire::overview::GuestOverview;
use tq_wire::proto::Hello;

use crate::bell::Bell;
use crate::held::{HeldPut, HeldRead, Incoming};

/// Numbers whose end came before their beginning, of calls that were given up on; so many are
/// remembered.
const ENDED_EARLY: usize = 256;
/// Characters of a guest's name that are kept.
const NAME_LENGTH: usize = 200;

/// A guest.
#[derive(Debug)]
pub(crate) struct Session {
    number: u64,
    bell: Arc<Bell>,
    since: Instant,
    /// Who the guest says it is.
    guest: OnceLock<Guest>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Guest {
    name: String,
    process: u32,
}

#[derive(Default)]
struct State {
    left: bool,
    /// Whether the guest may have mapped segments.
    at_door: bool,
    held: Held,
    /// `None` while its subscription is being made.
    subscriptions: HashMap<u64, Option<Subscription>>,
    ended_early: VecDeque<u64>,
    unit: Option<UnitId>,
    /// What is to happen at the end of the session.
    on_leave: Option<Box<dyn FnOnce() + Send>>,
}

/// Loans and leases, by the numbers the guest gave them.
#[derive(Default)]
pub(crate) struct Held {
    puts: HashMap<u64, HeldPut>,
    reads: HashMap<u64, Arc<HeldRead>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("left", &self.left)
            .field("at_door", &self.at_door)
            .field("puts", &self.held.puts.len())
            .field("reads", &self.held.reads.len())
            .field("subscriptions", &self.subscriptions.len())
            .finish_non_exhaustive()
    }
}

impl Session {
    fn new(number: u64) -> Self {
        Self {
            number,
            bell: Arc::default(),
            since: Instant::now(),
            guest: OnceLock::new(),
            state: Mutex::default(),
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Notes who the guest says it is, for those who ask what the host is at.
    pub(crate) fn introduce(&self, hello: &Hello) {
        self.guest.get_or_init(|| Guest {
            name: hello.client_name.chars().take(NAME_LENGTH).collect(),
            process: hello.process,
        });
    }

    /// Who the guest is and what it holds.
    fn overview(&self) -> GuestOverview {
        let guest = self.guest.get();
        let state = self.lock();
        let (puts, reads) = (&state.held.puts, &state.held.reads);
        GuestOverview {
            session: self.number,
            name: guest.map(|guest| guest.name.clone()).unwrap_or_default(),
            process: guest.map_or(0, |guest| guest.process),
            attached: self.since.elapsed(),
            puts: puts.len() as u64,
            put_bytes: puts.values().map(HeldPut::bytes).sum(),
            reads: reads.len() as u64,
            read_bytes: reads.values().map(|read| read.bytes()).sum(),
            subscriptions: state.subscriptions.len() as u64,
        }
    }

    /// Holds a put until it is published, committed or abandoned.
    pub(crate) fn hold(&self, number: u64, rows: Incoming) -> Result<()> {
        let mut state = self.attached()?;
        if state.has_ended(number) {
            return Err(given_up(number));
        }
        match state.held.puts.insert(number, HeldPut::new(rows)) {
            None => Ok(()),
            // The former one is undone by its drop.
            Some(_) => Err(taken(number)),
        }
    }

    /// Gives a put out of hand.
    pub(crate) fn take_put(&self, number: u64) -> Result<Put> {
        match self.take(number) {
            Some(Incoming::Put(put)) => Ok(put),
            _ => Err(not_under_way(number)),
        }
    }

    /// Gives rows that are stored for another engine out of hand.
    pub(crate) fn take_store(&self, number: u64) -> Result<PendingPut> {
        match self.take(number) {
            Some(Incoming::Store(store)) => Ok(store),
            _ => Err(not_under_way(number)),
        }
    }

    fn take(&self, number: u64) -> Option<Incoming> {
        let held = self.attached().ok()?.held.puts.remove(&number)?;
        Some(held.into_rows())
    }

    /// The guest is this storage unit.
    pub(crate) fn be_unit(&self, unit: UnitId) {
        self.lock().unit = Some(unit);
    }

    /// Which storage unit the guest is.
    pub(crate) fn unit(&self) -> Option<UnitId> {
        self.lock().unit
    }

    /// Has `leave` run when the session ends. Only a storage unit needs that, and is one only once.
    pub(crate) fn on_leave(&self, leave: Box<dyn FnOnce() + Send>) -> Result<()> {
        let mut state = self.attached()?;
        if state.on_leave.is_some() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "this session is a storage unit already; attach anew to be another one",
            ));
        }
        state.on_leave = Some(leave);
        Ok(())
    }

    /// A stripe of a put, to be filled.
    pub(crate) fn stripe(&self, number: u64, stripe: usize) -> Result<Stripe, Status> {
        let mut state = self.lock();
        let put = state.held.puts.get_mut(&number).ok_or(Status::Ended)?;
        let stripes = put.stripes().ok_or(Status::OutOfRange)?;
        if stripe >= stripes.count() {
            return Err(Status::OutOfRange);
        }
        stripes.take(stripe).ok_or(Status::Busy)
    }

    /// What was read, to be sent.
    pub(crate) fn read(&self, number: u64) -> Option<Arc<HeldRead>> {
        self.lock().held.reads.get(&number).cloned()
    }

    /// Ends puts without publishing them.
    pub(crate) fn abandon(&self, numbers: &[u64]) {
        let mut state = self.lock();
        let puts: Vec<_> = numbers
            .iter()
            .filter_map(|number| state.end(*number, |held| held.puts.remove(number)))
            .collect();
        drop(state);
        drop(puts);
    }

    /// Holds what was read until it is released.
    pub(crate) fn hold_read(&self, number: u64, read: Vec<ColumnRead>) -> Result<()> {
        let mut state = self.attached()?;
        if state.has_ended(number) {
            return Err(given_up(number));
        }
        let read = Arc::new(HeldRead::new(read));
        match state.held.reads.insert(number, read) {
            None => Ok(()),
            Some(_) => Err(taken(number)),
        }
    }

    /// Ends reads.
    pub(crate) fn release(&self, numbers: &[u64]) {
        let mut state = self.lock();
        let reads: Vec<_> = numbers
            .iter()
            .filter_map(|number| state.end(*number, |held| held.reads.remove(number)))
            .collect();
        drop(state);
        drop(reads);
    }

    /// Makes a subscription and keeps it until it has woken or is ended.
    pub(crate) fn subscribe(
        &self,
        number: u64,
        subscribe: impl FnOnce(Arc<Bell>) -> Result<Subscription>,
    ) -> Result<()> {
        // Its place comes first: it may wake before it is there.
        self.attached()?.subscriptions.insert(number, None);
        match subscribe(Arc::clone(&self.bell)) {
            Ok(subscription) => {
                let mut state = self.lock();
                let unwanted = match state.subscriptions.get_mut(&number) {
                    Some(place) => place.replace(subscription),
                    None => Some(subscription),
                };
                drop(state);
                drop(unwanted);
                Ok(())
            }
            Err(error) => {
                self.lock().subscriptions.remove(&number);
                Err(error)
            }
        }
    }

    /// Subscriptions that have woken, or are to end without.
    pub(crate) fn woken(&self, numbers: &[u64]) {
        let gone: Vec<_> = {
            let mut state = self.lock();
            let remove = |number| state.subscriptions.remove(number);
            numbers.iter().filter_map(remove).collect()
        };
        // Its drop takes the engine's lock.
        drop(gone);
    }

    /// The guest came to the door: what it holds now ends there.
    pub(crate) fn arrive(&self) -> bool {
        let mut state = self.lock();
        state.at_door |= !state.left;
        !state.left
    }

    /// The guest has no mapping any more: all that it held is given back by dropping the result.
    #[must_use]
    pub(crate) fn depart(&self) -> Held {
        let mut state = self.lock();
        state.left = true;
        mem::take(&mut state.held)
    }

    /// The stream ended. What can be given back is, by dropping the result.
    #[must_use]
    fn leave(&self) -> (Held, HashMap<u64, Option<Subscription>>) {
        let mut state = self.lock();
        state.left = true;
        let held = if state.at_door {
            Held::default()
        } else {
            mem::take(&mut state.held)
        };
        (held, mem::take(&mut state.subscriptions))
    }

    fn attached(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.lock();
        if state.left {
            return Err(unknown(self.number));
        }
        Ok(state)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one step on a map, so a panic leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_ended(&mut self, number: u64) -> bool {
        let place = self.ended_early.iter().position(|ended| *ended == number);
        place
            .and_then(|place| self.ended_early.remove(place))
            .is_some()
    }

    fn end<T>(&mut self, number: u64, take: impl FnOnce(&mut Held) -> Option<T>) -> Option<T> {
        let found = take(&mut self.held);
        if found.is_none() {
            if self.ended_early.len() == ENDED_EARLY {
                self.ended_early.pop_front();
            }
            self.ended_early.push_back(number);
        }
        found
    }
}

/// The guests of a server.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    sessions: HashMap<u64, Arc<Session>>,
    last: u64,
    closed: bool,
}

impl Sessions {
    /// Sessions numbered from behind `first` on, so that those of two servers are not taken for each
    /// other.
    pub(crate) fn new(first: u64) -> Self {
        let known = Known {
            last: first,
            ..Known::default()
        };
        Self {
            known: Mutex::new(known),
        }
    }

    pub(crate) fn open(&self) -> Result<Arc<Session>> {
        let mut known = self.lock();
        if known.closed {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the host is ending; connect to the one that follows it",
            ));
        }
        known.last += 1;
        let session = Arc::new(Session::new(known.last));
        known.sessions.insert(session.number, Arc::clone(&session));
        Ok(session)
    }

    pub(crate) fn get(&self, number: u64) -> Result<Arc<Session>> {
        let session = self.lock().sessions.get(&number).cloned();
        session.ok_or_else(|| unknown(number))
    }

    pub(crate) fn leave(&self, session: &Session) {
        self.lock().sessions.remove(&session.number);
        let on_leave = session.lock().on_leave.take();
        drop(session.leave());
        if let Some(on_leave) = on_leave {
            on_leave();
        }
    }

    /// The guests, in the order in which they attached.
    pub(crate) fn overview(&self) -> Vec<GuestOverview> {
        let sessions: Vec<_> = self.lock().sessions.values().cloned().collect();
        let mut guests: Vec<_> = sessions.iter().map(|session| session.overview()).collect();
        guests.sort_unstable_by_key(|guest| guest.session);
        guests
    }

    /// Ends all streams, and opens no more.
    pub(crate) fn close(&self) {
        let sessions: Vec<_> = {
            let mut known = self.lock();
            known.closed = true;
            known.sessions.values().cloned().collect()
        };
        sessions.iter().for_each(|session| session.bell.end());
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown(session: u64) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("session {session} has ended; attach again"),
    )
}

fn not_under_way(number: u64) -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        format!("put {number} is not under way; begin it, and publish it once"),
    )
}

fn given_up(number: u64) -> Error {
    Error::new(
        ErrorKind::DeadlineExceeded,
        format!("call {number} was given up on before it was carried out"),
    )
}

fn taken(number: u64) -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        format!("number {number} is in use; give each put and read a number of its own"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_up_on_before_it_began_is_not_held() {
        let sessions = Sessions::new(7);
        let session = sessions.open().unwrap();
        session.release(&[3]);
        let error = session.hold_read(3, Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
        session.hold_read(4, Vec::new()).unwrap();
        let error = session.hold_read(4, Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }

    #[test]
    fn a_session_that_was_left_takes_on_nothing() {
        let sessions = Sessions::default();
        let session = sessions.open().unwrap();
        sessions.leave(&session);
        assert!(sessions.get(session.number()).is_err());
        let error = session.hold_read(1, Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(!session.arrive());
    }

    #[test]
    fn what_a_guest_may_have_mapped_is_held_until_it_departs() {
        let sessions = Sessions::default();
        let session = sessions.open().unwrap();
        session.hold_read(1, Vec::new()).unwrap();
        assert!(session.arrive());
        sessions.leave(&session);
        assert_eq!(session.depart().reads.len(), 1);
    }

    #[test]
    fn a_closed_server_opens_no_session() {
        let sessions = Sessions::default();
        sessions.close();
        let error = sessions.open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}
