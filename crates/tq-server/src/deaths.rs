//! Word of the end of processes. A process is watched once, however many guests it is: each watch is
//! an open file of the host's, and a program may hold hundreds of connections.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A process that is watched; readable once it has ended.
type Watch = AsyncFd<OwnedFd>;

/// The processes that are watched.
#[derive(Debug, Default)]
pub(crate) struct Deaths {
    watches: Mutex<HashMap<Pid, Weak<Watch>>>,
}

impl Deaths {
    /// Ends when the process does. `None` where it cannot be seen from here, as from another namespace.
    pub(crate) fn of(&self, process: Pid) -> Option<Death> {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let known = watches.get(&process).and_then(Weak::upgrade);
        // Once it has ended, its number may be another's, who lives.
        if let Some(watch) = known.filter(|watch| lives(watch)) {
            return Some(Death(watch));
        }
        let opened = pidfd_open(process, PidfdFlags::NONBLOCK).ok()?;
        let watch = Arc::new(watched(opened).ok()?);
        watches.retain(|_, watch| watch.strong_count() > 0);
        watches.insert(process, Arc::downgrade(&watch));
        Some(Death(watch))
    }
}

/// The end of a process.
#[derive(Debug)]
pub(crate) struct Death(Arc<Watch>);

impl Death {
    /// Waits for it.
    pub(crate) async fn wait(self) {
        drop(self.0.readable().await);
    }
}

fn lives(watch: &Watch) -> bool {
    let mut waited = [PollFd::new(watch.get_ref(), PollFlags::IN)];
    // Whatever cannot be told is asked of the system anew.
    poll(&mut waited, Some(&Timespec::default())).is_ok_and(|ended| ended == 0)
}

#[expect(
    deprecated,
    reason = "only unsound for types that lie about their descriptor; its successor is unsafe"
)]
fn watched(process: OwnedFd) -> io::Result<Watch> {
    AsyncFd::with_interest(process, Interest::READABLE)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};
    use std::time::Duration;

    use super::*;

    fn sleeper() -> (Child, Pid) {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        (child, pid)
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(20), work).await })
            .unwrap()
    }

    #[test]
    fn one_watch_tells_all_who_ask_for_the_process() {
        run(async {
            let deaths = Deaths::default();
            let (mut child, pid) = sleeper();
            let (one, other) = (deaths.of(pid).unwrap(), deaths.of(pid).unwrap());
            assert!(Arc::ptr_eq(&one.0, &other.0));
            child.kill().unwrap();
            tokio::join!(one.wait(), other.wait());
            child.wait().unwrap();
        });
    }

    #[test]
    fn a_process_that_has_ended_is_not_taken_for_the_next_of_its_number() {
        run(async {
            let deaths = Deaths::default();
            let (mut child, pid) = sleeper();
            let former = deaths.of(pid).unwrap();
            child.kill().unwrap();
            // Its number is still taken: as the next one's would be.
            let waited = rustix::process::waitid(
                rustix::process::WaitId::Pid(pid),
                rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT,
            );
            assert!(waited.is_ok());
            let next = deaths.of(pid).unwrap();
            assert!(!Arc::ptr_eq(&former.0, &next.0));
            child.wait().unwrap();
        });
    }

    #[test]
    fn watches_that_nobody_holds_are_forgotten() {
        run(async {
            let deaths = Deaths::default();
            let own = rustix::process::getpid();
            drop(deaths.of(own).unwrap());
            let (mut child, pid) = sleeper();
            let held = deaths.of(pid).unwrap();
            assert_eq!(deaths.watches.lock().unwrap().len(), 1);
            drop(held);
            child.kill().unwrap();
            child.wait().unwrap();
        });
    }
}
