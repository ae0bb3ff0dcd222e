//! How much memory there is.

use std::fs;

/// Limits of the control group that this process is in, as version 2 and version 1 tell them.
const GROUP_LIMITS: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];

/// Bytes that this process may use: the machine's, or those of its control group where that is less.
pub(crate) fn limit() -> u64 {
    let machine = rustix::system::sysinfo();
    let all = (machine.totalram as u64).saturating_mul(u64::from(machine.mem_unit.max(1)));
    let groups = GROUP_LIMITS.iter().filter_map(|path| {
        // There may be no such group, or "max" in it.
        fs::read_to_string(path).ok()?.trim().parse::<u64>().ok()
    });
    groups.fold(all, u64::min)
}

/// Bytes of a process that are its own: without shared memory and files; `None` where that cannot be seen.
pub(crate) fn private_of(process: u32) -> Option<u64> {
    private_in(&fs::read_to_string(format!("/proc/{process}/status")).ok()?)
}

fn private_in(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_memory() {
        assert!(limit() > 1 << 20);
        assert!(private_of(std::process::id()) > Some(4096));
    }

    #[test]
    fn private_memory_is_in_kib() {
        let status = "VmRSS:\t  300 kB\nRssAnon:\t  200 kB\nRssShmem:\t  100 kB\n";
        assert_eq!(private_in(status), Some(200 << 10));
        assert_eq!(private_in("VmRSS:\t  300 kB\n"), None);
    }
}
