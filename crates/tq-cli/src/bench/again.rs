//! This program, started once more: as the binary it is, or by the interpreter that runs it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

/// A command that starts this program with other arguments; `args` are those that it has now. The
/// process is in a group of its own, so that Ctrl-C reaches only the first one, which ends the others in
/// order.
pub(crate) fn command(args: &[OsString]) -> Result<Command> {
    let line =
        fs::read("/proc/self/cmdline").context("the system does not say how it was started")?;
    let before = before(&line, args).context(
        "it was not started as a program of its own, and cannot start itself again; use `tq bench`",
    )?;
    let mut command = Command::new(std::env::current_exe()?);
    let mut before = before.into_iter();
    if let Some(name) = before.next() {
        command.arg0(name);
    }
    command.args(before).process_group(0);
    Ok(command)
}

/// What stands on a command line before `args`; `None` where it does not end with them.
fn before(line: &[u8], args: &[OsString]) -> Option<Vec<OsString>> {
    let line = line.strip_suffix(&[0]).unwrap_or(line);
    let mut words: Vec<OsString> = line
        .split(|byte| *byte == 0)
        .map(|word| OsStr::from_bytes(word).to_owned())
        .collect();
    let count = words.len().checked_sub(args.len())?;
    if count == 0 || words[count..] != *args {
        return None;
    }
    words.truncate(count);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_stays_before_the_arguments() {
        let args = ["bench", "clients", ""].map(OsString::from);
        for (line, wanted) in [
            ("tq\0bench\0clients\0\0", Some(vec!["tq"])),
            (
                "python\0-m\0transfer_queue\0bench\0clients\0\0",
                Some(vec!["python", "-m", "transfer_queue"]),
            ),
            ("python\0script.py\0", None),
            ("bench\0clients\0\0", None),
        ] {
            let wanted = wanted.map(|words| words.into_iter().map(OsString::from).collect());
            assert_eq!(before(line.as_bytes(), &args), wanted, "{line:?}");
        }
    }
}
