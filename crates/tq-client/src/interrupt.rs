//! Waits that a signal ends.

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tq_proto::{Error, ErrorKind, Result};

/// So often a thread that waits looks for signals.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// Asked now and then by a thread that waits for a host: whether it is to wait no longer, because a
/// signal wants its attention.
#[derive(Clone, Copy)]
pub struct Interrupt(pub fn() -> bool);

impl PartialEq for Interrupt {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::fn_addr_eq(self.0, other.0)
    }
}

impl Eq for Interrupt {}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interrupt")
    }
}

impl Interrupt {
    /// # Errors
    /// `Interrupted` where the wait is to end.
    pub(crate) fn check(self) -> Result<()> {
        if !(self.0)() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Interrupted,
            "a signal came while a host was waited for; what was asked of it may be carried out",
        ))
    }
}

/// What is received within `limit`; `None` where nothing is.
///
/// # Errors
/// `Interrupted`, and `Closed` where nothing will ever come.
pub(crate) fn receive<T>(
    answered: &Receiver<T>,
    limit: Duration,
    interrupt: Option<Interrupt>,
) -> Result<Option<T>> {
    let begun = Instant::now();
    loop {
        let left = limit.saturating_sub(begun.elapsed());
        let look = if interrupt.is_some() {
            left.min(LOOK)
        } else {
            left
        };
        match answered.recv_timeout(look) {
            Ok(answer) => return Ok(Some(answer)),
            Err(RecvTimeoutError::Timeout) if left > look => {}
            Err(RecvTimeoutError::Timeout) => return Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::new(
                    ErrorKind::Closed,
                    "the connection was closed during the call",
                ));
            }
        }
        if let Some(interrupt) = interrupt {
            interrupt.check()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn a_signal_ends_a_wait_and_only_that() {
        let (sender, receiver) = sync_channel(1);
        let minute = Duration::from_secs(60);
        let ended = receive::<u8>(&receiver, minute, Some(Interrupt(|| true)));
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Interrupted);
        let short = receive(&receiver, 2 * LOOK, Some(Interrupt(|| false)));
        assert_eq!(short.unwrap(), None);
        sender.send(7).unwrap();
        assert_eq!(receive(&receiver, minute, None).unwrap(), Some(7));
        drop(sender);
        let closed = receive::<u8>(&receiver, minute, None);
        assert_eq!(closed.unwrap_err().kind(), ErrorKind::Closed);
    }
}
