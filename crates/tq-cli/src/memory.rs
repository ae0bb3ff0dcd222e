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

#[cfg(test)]
mod tests {
    #[test]
    fn there_is_memory() {
        assert!(super::limit() > 1 << 20);
    }
}
