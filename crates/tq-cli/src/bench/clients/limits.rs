//! What would stop so many clients, said before they are started: open files, processes, memory.

use std::fs;

use crate::files;
use crate::memory;
use crate::quantity::Bytes;

/// Files of a process beside those of its clients.
const OTHER_FILES: u64 = 64;
/// Files of a client's connection, here: its socket and a second name of it, one for payload.
const CLIENT_FILES: u64 = 3;
/// Threads of a process beside one for each client.
const OTHER_THREADS: u64 = 8;
/// Memory of a client and its connection, and of a process, here; measured, with room to spare.
const CLIENT_BYTES: u64 = 160 << 10;
const PROCESS_BYTES: u64 = 16 << 20;

/// What is wanted, and what there is of it; `None` where that is not known.
pub(super) struct Limits {
    pub(super) clients: u64,
    pub(super) processes: u64,
    /// Open files of a process here, and of the engine's.
    pub(super) files: u64,
    pub(super) host_files: Option<u64>,
    /// Files of a connection at the engine.
    pub(super) host_files_each: u64,
    pub(super) threads: Option<u64>,
    pub(super) memory: u64,
}

impl Limits {
    /// The limits of this system, for clients of the engine in process `host`.
    pub(super) fn found(clients: u64, processes: u64, bytes: u64, host: Option<u32>) -> Self {
        let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse().ok();
        let pids: Option<u64> = number("/proc/sys/kernel/pid_max");
        let threads: Option<u64> = number("/proc/sys/kernel/threads-max");
        let through_memory = bytes > tq_wire::limits::INLINE_BYTES;
        Self {
            clients,
            processes,
            files: files::raise_limit(),
            host_files: host.and_then(files::limit_of),
            host_files_each: if through_memory { 2 } else { 1 },
            threads: pids.into_iter().chain(threads).min(),
            memory: memory::limit(),
        }
    }

    /// What stops them, and what to do; `None` where nothing does.
    pub(super) fn problem(&self) -> Option<String> {
        let each = self.clients.div_ceil(self.processes);
        let files = each * CLIENT_FILES + OTHER_FILES;
        if files > self.files {
            return Some(format!(
                "{each} connections in one process take about {files} open files, and a process \
                 may have {} (ulimit -Hn); spread them over more --processes",
                self.files
            ));
        }
        let files = self.clients * self.host_files_each + OTHER_FILES;
        if let Some(limit) = self.host_files.filter(|limit| files > *limit) {
            return Some(format!(
                "{} connections take about {files} open files of the engine's process, and it may \
                 have {limit}; start it with a higher limit (ulimit -n)",
                self.clients
            ));
        }
        let threads = self.clients + self.processes * OTHER_THREADS;
        if let Some(limit) = self.threads.filter(|limit| threads > *limit) {
            return Some(format!(
                "{} clients take about {threads} threads, and this system has {limit} \
                 (kernel.pid_max, kernel.threads-max); start `tq bench` on several machines",
                self.clients
            ));
        }
        let memory = self.clients * CLIENT_BYTES + self.processes * PROCESS_BYTES;
        (memory > self.memory).then(|| {
            format!(
                "{} clients take about {} of memory, and there is {}; start `tq bench` on several \
                 machines",
                self.clients,
                Bytes(memory),
                Bytes(self.memory)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            clients: 8192,
            processes: 16,
            files: 20_000,
            host_files: Some(20_000),
            host_files_each: 2,
            threads: Some(32_768),
            memory: 24 << 30,
        }
    }

    #[test]
    fn what_stops_them_is_named() {
        assert_eq!(limits().problem(), None);
        for (limits, words) in [
            (
                Limits {
                    files: 1024,
                    ..limits()
                },
                "more --processes",
            ),
            (
                Limits {
                    host_files: Some(1024),
                    ..limits()
                },
                "ulimit -n",
            ),
            (
                Limits {
                    threads: Some(4096),
                    ..limits()
                },
                "kernel.pid_max",
            ),
            (
                Limits {
                    memory: 1 << 30,
                    ..limits()
                },
                "of memory",
            ),
        ] {
            let problem = limits.problem().unwrap();
            assert!(problem.contains(words), "{problem}");
        }
    }

    #[test]
    fn what_is_not_known_stops_nobody() {
        let unknown = Limits {
            host_files: None,
            threads: None,
            ..limits()
        };
        assert_eq!(unknown.problem(), None);
    }
}
