//! Wakes on their way to a guest.
//!
//! A subscription wakes once, so what waits to be sent is never more than the guest subscribed to;
//! what came while the guest was slow goes out as one message.

use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio_stream::Stream;
use tonic::Status;
use tq_wire::proto::{Attached, Order, Welcome};

use crate::session::{Session, Sessions};

/// Rung by whoever brings a change; heard by the session's stream.
#[derive(Debug, Default)]
pub(crate) struct Bell(Mutex<Rung>);

#[derive(Debug, Default)]
struct Rung {
    subscriptions: Vec<u64>,
    orders: Vec<Order>,
    ended: bool,
    listener: Option<Waker>,
}

impl Bell {
    /// The change that `subscription` waits for has come.
    pub(crate) fn ring(&self, subscription: u64) {
        self.change(|rung| rung.subscriptions.push(subscription));
    }

    /// Something is to be dropped by the storage unit at the other end.
    pub(crate) fn order(&self, number: u64, order: &tq_engine::Order) {
        let order = Order::of(number, order);
        self.change(|rung| rung.orders.push(order));
    }

    /// Ends the stream, once it has told what was rung.
    pub(crate) fn end(&self) {
        self.change(|rung| rung.ended = true);
    }

    fn change(&self, change: impl FnOnce(&mut Rung)) {
        let listener = {
            let mut rung = self.lock();
            change(&mut rung);
            rung.listener.take()
        };
        // Outside the lock: it may run the listener at once.
        if let Some(listener) = listener {
            listener.wake();
        }
    }

    /// What was rung; `None` after the end.
    fn poll(&self, cx: &Context<'_>) -> Poll<Option<Attached>> {
        let mut rung = self.lock();
        if !rung.subscriptions.is_empty() || !rung.orders.is_empty() {
            return Poll::Ready(Some(Attached {
                welcome: None,
                wakes: mem::take(&mut rung.subscriptions),
                orders: mem::take(&mut rung.orders),
            }));
        }
        if rung.ended {
            return Poll::Ready(None);
        }
        rung.listener = Some(cx.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stream that is a guest's session. Dropping it, as the transport does once the guest has left,
/// ends the session.
pub(crate) struct SessionStream {
    sessions: Arc<Sessions>,
    session: Arc<Session>,
    welcome: Option<Welcome>,
}

impl SessionStream {
    pub(crate) fn new(sessions: Arc<Sessions>, session: Arc<Session>, welcome: Welcome) -> Self {
        Self {
            sessions,
            session,
            welcome: Some(welcome),
        }
    }
}

impl Stream for SessionStream {
    type Item = Result<Attached, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(welcome) = self.welcome.take() {
            return Poll::Ready(Some(Ok(Attached {
                welcome: Some(welcome),
                ..Attached::default()
            })));
        }
        self.session.bell().poll(cx).map(|rung| {
            rung.map(|attached| {
                self.session.woken(&attached.wakes);
                Ok(attached)
            })
        })
    }
}

impl Drop for SessionStream {
    fn drop(&mut self) {
        self.sessions.leave(&self.session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rung_before_anyone_listens_comes_as_one_and_then_the_end() {
        let bell = Bell::default();
        let cx = Context::from_waker(Waker::noop());
        assert_eq!(bell.poll(&cx), Poll::Pending);
        bell.ring(3);
        bell.ring(1);
        bell.end();
        let Poll::Ready(Some(attached)) = bell.poll(&cx) else {
            panic!("something was rung")
        };
        assert_eq!(attached.wakes, [3, 1]);
        assert_eq!(bell.poll(&cx), Poll::Ready(None));
    }
}
