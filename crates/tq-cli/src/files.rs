//! How many files a process may have open. A connection is one or two of them, and the usual limit of
//! 1,024 is there for programs of another kind (`select`), so those that hold many connections take
//! what they are allowed.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What stands for no limit.
const ENDLESS: u64 = u64::MAX;

/// Raises the limit of this process as far as it may; the limit then.
pub(crate) fn raise_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current.unwrap_or(ENDLESS);
    }
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    // Nothing says that it must be allowed; then it stays as it is.
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(_) => current,
    };
    limit.unwrap_or(ENDLESS)
}

/// The limit of another process, which may raise it as far as this; `None` where that cannot be seen.
pub(crate) fn limit_of(process: u32) -> Option<u64> {
    limit_in(&fs::read_to_string(format!("/proc/{process}/limits")).ok()?)
}

fn limit_in(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(ENDLESS),
        number => number.parse().ok(),
    }
}

/// Files that a process has open; `None` where that cannot be seen.
pub(crate) fn open_in(process: u32) -> Option<u64> {
    let open = fs::read_dir(format!("/proc/{process}/fd")).ok()?;
    Some(open.count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_in_force_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            1024                 524288               files\n";
        assert_eq!(limit_in(limits), Some(1024));
        assert_eq!(
            limit_in("Max open files   unlimited unlimited files"),
            Some(ENDLESS)
        );
        assert_eq!(limit_in("Max processes 5 5 processes"), None);
    }

    #[test]
    fn the_limit_is_raised_for_this_process() {
        let limit = raise_limit();
        assert_eq!(limit_of(std::process::id()), Some(limit));
        assert!(open_in(std::process::id()) > Some(2));
    }
}
