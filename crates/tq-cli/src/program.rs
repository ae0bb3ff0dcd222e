//! What is called from outside; exit statuses.

use std::ffi::OsString;
use std::io::{self, Write};

use crate::arguments::{self, Command, Refusal};
use crate::{bench, serve, status};

/// Did what it was asked to.
pub(crate) const DONE: i32 = 0;
/// Could not do it.
pub(crate) const FAILED: i32 = 1;
/// Was asked for something that makes no sense.
pub(crate) const MISUSED: i32 = 2;

/// Runs the program with `args`, its own name not among them. Returns its exit status: 0 where it did
/// what it was asked to, 1 where it failed, 2 where it was called wrongly, and 128 and the number of
/// the signal where a second one cut it off.
///
/// Takes over SIGINT and SIGTERM, and the logs of the process; to be called once, and last.
pub fn main(args: impl IntoIterator<Item = OsString>) -> i32 {
    let args: Vec<_> = args.into_iter().collect();
    let command = match arguments::parse(args.clone()) {
        Ok(command) => command,
        Err(Refusal::Clap(message)) => {
            // Help and version are messages too, for standard output.
            let status = message.exit_code();
            return if message.print().is_ok() {
                status
            } else {
                FAILED
            };
        }
        Err(Refusal::File(error)) => {
            report(&error);
            return MISUSED;
        }
    };
    let done = match command {
        Command::Serve(settings) => match settings.check() {
            Ok(()) => serve::run(&settings),
            Err(error) => {
                report(&error);
                return MISUSED;
            }
        },
        Command::Status(question) => status::run(&question),
        Command::Bench(bench) => bench::run(&bench, &args),
    };
    done.unwrap_or_else(|error| {
        report(&error);
        FAILED
    })
}

fn report(error: &anyhow::Error) {
    // Who cannot be told on standard error cannot be told at all.
    let _ = writeln!(io::stderr(), "tq: {}", explained(error));
}

/// The error with what caused it. Ours name their causes themselves.
fn explained(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            let colon = if text.is_empty() { "" } else { ": " };
            text = text + colon + &cause;
        }
    }
    text
}

/// Writes to standard output; false where nobody reads it any more.
pub(crate) fn say(text: &str) -> anyhow::Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(anyhow::Error::new(error).context("standard output cannot be written")),
    }
}
