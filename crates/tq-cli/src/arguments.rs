//! The command line, with a configuration file under it.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::bench::arguments::Bench;
use crate::config_file;
use crate::quantity;
use crate::reach::Reach;
use crate::settings::Settings;

/// The data gateway of LLM reinforcement-learning post-training.
#[derive(Parser, Debug)]
#[command(name = "tq", bin_name = "tq", version, no_binary_name = true)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

/// What is to be done.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run an engine that other processes join, until SIGTERM or Ctrl-C.
    ///
    /// When it is ready, it prints one line of JSON with its addresses; everything else goes to
    /// standard error. A first SIGTERM or Ctrl-C stops it in order, a second one at once. Each
    /// setting can be given as an argument, in the environment, or in the configuration file; the
    /// first of these wins.
    Serve(Box<Settings>),
    /// Show partitions, bytes, storage units and guests of a running engine.
    ///
    /// Without `--address`, that is the one that `tq serve` of this user on this host announced.
    Status(Question),
    /// Measure a running engine from here, and check everything that comes back.
    ///
    /// Without `--address`, that is the one that `tq serve` of this user on this host announced. It
    /// keeps to partitions of its own, and clears them in the end, also after Ctrl-C. The exit status is
    /// 1 where a call failed, a byte was wrong or an update was lost.
    Bench(Box<Bench>),
}

/// What `tq status` is asked.
#[derive(Args, Debug)]
pub(crate) struct Question {
    #[command(flatten)]
    pub(crate) reach: Reach,
    /// Print JSON, one object a line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show it again every so many seconds, until Ctrl-C; 2 where no number is given.
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        default_missing_value = "2",
        value_parser = quantity::positive_seconds,
        conflicts_with = "health"
    )]
    pub(crate) watch: Option<f64>,
    /// Only find out whether it takes calls: exit status 0 where it does, 1 where it does not.
    #[arg(long, conflicts_with = "json")]
    pub(crate) health: bool,
    /// Seconds that the engine may take to answer.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = quantity::positive_seconds)]
    pub(crate) timeout: f64,
}

/// Why there is nothing to do.
pub(crate) enum Refusal {
    /// What clap says; help, too.
    Clap(clap::Error),
    /// The configuration file is no such thing.
    File(anyhow::Error),
}

/// The command line as clap knows it, for the reference page, too.
pub(crate) fn command() -> clap::Command {
    Program::command()
}

/// What `args` ask for. A setting that neither they nor the environment give is taken from the
/// configuration file, where one is named: as a default, so that each value is checked alike.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, Refusal> {
    let args: Vec<_> = args.into_iter().collect();
    let mut matches = command()
        .try_get_matches_from(&args)
        .map_err(Refusal::Clap)?;
    let file = match matches.subcommand() {
        Some(("serve", given)) => given.get_one::<PathBuf>("config").cloned(),
        _ => None,
    };
    if let Some(file) = file {
        let mut serve = command();
        let known = serve.find_subcommand("serve").cloned().unwrap_or_default();
        let found = config_file::read(&file, &known).map_err(Refusal::File)?;
        for (id, value) in found {
            serve = serve.mut_subcommand("serve", |serve| {
                serve.mut_arg(id, |arg| arg.default_value(value))
            });
        }
        // Without the file there was nothing to complain about.
        matches = serve.try_get_matches_from(&args).map_err(|error| {
            let text = error.to_string();
            let text = text.trim_start_matches("error: ").trim_end();
            Refusal::File(anyhow!("{}: {text}", file.display()))
        })?;
    }
    Program::from_arg_matches(&matches)
        .map(|program| program.command)
        .map_err(Refusal::Clap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}
