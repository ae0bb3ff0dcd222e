//! Replies that guests may not have got: a request that is made again after a loss is answered with
//! what it was answered before, and not carried out again.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tq_proto::Result;
use tq_wire::request_id::RequestId;

/// Guests whose replies are kept; of more, those that were quiet longest are forgotten.
const GUESTS: usize = 16_384;
/// For so long after its last call a guest's replies are kept: many times any deadline, after which a
/// request is made again at most. Replies to large batches are large, and guests come and go.
const KEPT: Duration = Duration::from_secs(3600);

/// A reply, once there is one. Locked while the request is carried out.
type Reply = Arc<Mutex<Option<Box<dyn Any + Send>>>>;

/// The replies that are not settled.
#[derive(Default)]
pub(crate) struct Replies {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    guests: HashMap<u64, Guest>,
    /// When those who were quiet too long were last forgotten.
    swept: Option<Instant>,
}

struct Guest {
    replies: BTreeMap<u64, Reply>,
    last_call: Instant,
}

impl Guest {
    /// Whether a request of its is being carried out.
    fn is_busy(&self) -> bool {
        self.replies
            .values()
            .any(|reply| Arc::strong_count(reply) > 1)
    }
}

impl Replies {
    /// What the request was answered with, or else is answered now by `carry_out`. A refusal is not
    /// kept: what was refused changed nothing, and may be asked again.
    pub(crate) fn once<T: Clone + Send + 'static>(
        &self,
        id: RequestId,
        carry_out: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let reply = self.place(id, Instant::now());
        // Held meanwhile, so that a request made again while it is carried out waits for it.
        let mut reply = reply.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = reply.as_ref().and_then(|known| known.downcast_ref::<T>()) {
            return Ok(known.clone());
        }
        let answer = carry_out()?;
        *reply = Some(Box::new(answer.clone()));
        Ok(answer)
    }

    fn place(&self, id: RequestId, now: Instant) -> Reply {
        let mut known = self.lock();
        if !known.guests.contains_key(&id.guest) {
            known.make_room(now);
        }
        let guest = known.guests.entry(id.guest).or_insert_with(|| Guest {
            replies: BTreeMap::new(),
            last_call: now,
        });
        guest.last_call = now;
        while let Some(entry) = guest.replies.first_entry()
            && *entry.key() < id.settled
        {
            entry.remove();
        }
        Arc::clone(guest.replies.entry(id.number).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Before one more guest comes.
    fn make_room(&mut self, now: Instant) {
        // Looking at all for each that comes would cost more than they do.
        let since = self.swept.map(|swept| now.saturating_duration_since(swept));
        if since.is_none_or(|since| since >= KEPT / 8) {
            self.swept = Some(now);
            self.guests.retain(|_, guest| {
                now.saturating_duration_since(guest.last_call) < KEPT || guest.is_busy()
            });
            self.guests.shrink_to(GUESTS / 64);
        }
        if self.guests.len() >= GUESTS {
            let quiet = self.guests.iter().min_by_key(|(_, guest)| guest.last_call);
            if let Some(quiet) = quiet.map(|(guest, _)| *guest) {
                self.guests.remove(&quiet);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tq_proto::{Error, ErrorKind};

    use super::*;

    fn id(guest: u64, number: u64, settled: u64) -> RequestId {
        RequestId {
            guest,
            number,
            settled,
        }
    }

    #[test]
    fn a_request_made_again_is_carried_out_once() {
        let replies = Replies::default();
        let mut carried_out = 0;
        for _ in 0..3 {
            let answer = replies.once(id(1, 5, 5), || {
                carried_out += 1;
                Ok(carried_out)
            });
            assert_eq!(answer.unwrap(), 1);
        }
        // Another guest's request of the same number is another one.
        assert_eq!(replies.once(id(2, 5, 5), || Ok(7)).unwrap(), 7);
    }

    #[test]
    fn a_refusal_may_be_asked_again_and_settled_replies_are_forgotten() {
        let replies = Replies::default();
        let refused = || Err::<u8, _>(Error::new(ErrorKind::NotReady, "not yet"));
        assert!(replies.once(id(1, 1, 1), refused).is_err());
        assert_eq!(replies.once(id(1, 1, 1), || Ok(2u8)).unwrap(), 2);
        assert_eq!(replies.once(id(1, 2, 2), || Ok(3u8)).unwrap(), 3);
        assert_eq!(replies.lock().guests[&1].replies.len(), 1);
        assert_eq!(replies.once(id(1, 1, 1), || Ok(9u8)).unwrap(), 9);
    }

    #[test]
    fn requests_made_again_meanwhile_wait_for_the_first() {
        let replies = Replies::default();
        let carried_out = Mutex::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let answer = replies.once(id(1, 1, 1), || {
                        let mut count = carried_out.lock().unwrap();
                        *count += 1;
                        Ok(*count)
                    });
                    assert_eq!(answer.unwrap(), 1);
                });
            }
        });
    }

    #[test]
    fn guests_that_were_quiet_for_long_are_forgotten_when_others_come() {
        let replies = Replies::default();
        let start = Instant::now();
        for guest in 0..1000 {
            drop(replies.place(id(guest, 1, 1), start));
        }
        let busy = replies.place(id(1000, 1, 1), start);
        drop(replies.place(id(7, 2, 2), start + KEPT / 2));
        drop(replies.place(id(2000, 1, 1), start + KEPT));
        let mut left: Vec<_> = replies.lock().guests.keys().copied().collect();
        left.sort_unstable();
        assert_eq!(left, [7, 1000, 2000]);
        drop(busy);
    }

    #[test]
    fn of_too_many_guests_the_one_that_was_quiet_longest_is_forgotten() {
        let replies = Replies::default();
        let start = Instant::now();
        for guest in 0..=GUESTS as u64 {
            let now = start + Duration::from_millis(guest);
            drop(replies.place(id(guest, 1, 1), now));
        }
        let known = replies.lock();
        assert_eq!(known.guests.len(), GUESTS);
        assert!(!known.guests.contains_key(&0));
    }
}
