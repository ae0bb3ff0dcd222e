//! The time this thread has run. Others that want the processor lengthen a wall clock's figures, not
//! these; what they do to the caches remains.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

fn now() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(tv_sec as u64, tv_nsec as u32)
}

/// Measures, less what the measuring takes: it is a call into the kernel.
pub(crate) struct Clock {
    cost: Duration,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let mut costs: Vec<_> = (0..1001)
            .map(|_| {
                let start = now();
                now() - start
            })
            .collect();
        costs.sort_unstable();
        Self { cost: costs[500] }
    }

    pub(crate) fn time<T>(&self, run: impl FnOnce() -> T) -> (T, Duration) {
        let start = now();
        let result = run();
        (result, (now() - start).saturating_sub(self.cost))
    }
}
