//! The arguments of `tq bench`.

use clap::{Args, Subcommand, ValueEnum};

use crate::quantity;
use crate::reach::Reach;
use crate::settings::Settings;

/// See [`crate::bench`].
#[derive(Args, Debug)]
pub(crate) struct Bench {
    #[command(subcommand)]
    pub(crate) scenario: Scenario,
}

/// What is measured.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Scenario {
    /// How long a put, a get and a clear of one small value take.
    Latency(Latency),
    /// How fast batches are put, got and cleared, with the machine's own copy beside it.
    Transfer(Transfer),
    /// What a key costs in batches of many keys.
    Keys(Keys),
    /// How soon after a put another connection is woken.
    Wait(Wait),
    /// Many connections at once, of several processes, each putting and getting.
    Clients(Clients),
    /// One of the processes of `clients`; told on standard input what to do.
    #[command(hide = true)]
    Worker,
    /// `tq serve` for `--start`; ends with its standard input.
    #[command(hide = true)]
    Host(Box<Settings>),
}

/// What all scenarios have in common.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    #[command(flatten)]
    pub(crate) reach: Reach,
    /// Start an engine for this measurement, with the settings of `tq serve` in the environment (memory,
    /// threads and such), and stop it afterwards.
    #[arg(long, conflicts_with = "address")]
    pub(crate) start: bool,
    /// Print JSON, one object a line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Seconds that a call may take.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = quantity::positive_seconds)]
    pub(crate) timeout: f64,
}

/// `tq bench latency`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Latency {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Bytes of the value.
    #[arg(long, value_name = "SIZE", default_value = "1K", value_parser = quantity::positive_bytes)]
    pub(crate) bytes: u64,
    /// How often.
    #[arg(long, default_value = "1000", value_parser = positive)]
    pub(crate) rounds: u64,
}

/// How the bytes of a batch are laid out.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(crate) enum Column {
    /// Rows of one dtype and shape, back to back
    Dense,
    /// A packed buffer per row
    Object,
}

impl Column {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Object => "object",
        }
    }
}

/// `tq bench transfer`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Transfer {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Sizes of the batches.
    #[arg(long, value_name = "SIZE", value_delimiter = ',', default_value = "1MiB,64MiB,1GiB", value_parser = quantity::positive_bytes)]
    pub(crate) sizes: Vec<u64>,
    /// Kinds of columns.
    #[arg(long, value_delimiter = ',', default_value = "dense,object")]
    pub(crate) columns: Vec<Column>,
    /// Numbers of fields that a batch is divided into.
    #[arg(long, value_delimiter = ',', default_value = "1,8", value_parser = positive)]
    pub(crate) fields: Vec<u64>,
    /// Samples of a batch.
    #[arg(long, default_value = "64", value_parser = positive)]
    pub(crate) rows: u64,
    /// How often. Default: so often that about 4 GiB are moved, but from 5 to 200 times.
    #[arg(long, value_parser = positive)]
    pub(crate) rounds: Option<u64>,
}

/// `tq bench keys`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Keys {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Numbers of keys of a batch.
    #[arg(long, value_delimiter = ',', default_value = "10000,100000", value_parser = positive)]
    pub(crate) counts: Vec<u64>,
    /// Bytes of each value.
    #[arg(long, value_name = "SIZE", default_value = "64", value_parser = quantity::positive_bytes)]
    pub(crate) bytes: u64,
    /// How often.
    #[arg(long, default_value = "5", value_parser = positive)]
    pub(crate) rounds: u64,
}

/// `tq bench wait`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Wait {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Bytes of the value that is waited for.
    #[arg(long, value_name = "SIZE", default_value = "1K", value_parser = quantity::positive_bytes)]
    pub(crate) bytes: u64,
    /// How often.
    #[arg(long, default_value = "500", value_parser = positive)]
    pub(crate) rounds: u64,
}

/// `tq bench clients`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Clients {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Numbers of connections that are held at once, one after the other.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1,8,64,512,4096,8192",
        value_parser = positive
    )]
    pub(crate) clients: Vec<u64>,
    /// Processes that the connections are spread over. Default: one for each 512, at least 4.
    #[arg(long, value_parser = positive)]
    pub(crate) processes: Option<u64>,
    /// Bytes of each value. Up to 64 KiB travel inside messages, more through shared memory or over
    /// connections of their own.
    #[arg(long, value_name = "SIZE", default_value = "1K", value_parser = quantity::positive_bytes)]
    pub(crate) bytes: u64,
    /// Seconds that the clients put and get; each does so at least once.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = quantity::positive_seconds)]
    pub(crate) seconds: f64,
    /// So many rounds of each client, instead of so many seconds.
    #[arg(long, conflicts_with = "seconds", value_parser = positive)]
    pub(crate) rounds: Option<u64>,
}

impl Clients {
    /// Processes for so many clients.
    pub(crate) fn processes(&self, clients: u64) -> u64 {
        let wanted = self
            .processes
            .unwrap_or_else(|| clients.div_ceil(512).max(4));
        wanted.min(clients)
    }
}

impl Scenario {
    /// `None` for what is no scenario of the user's.
    pub(crate) fn common(&self) -> Option<&Common> {
        match self {
            Self::Latency(latency) => Some(&latency.common),
            Self::Transfer(transfer) => Some(&transfer.common),
            Self::Keys(keys) => Some(&keys.common),
            Self::Wait(wait) => Some(&wait.common),
            Self::Clients(clients) => Some(&clients.common),
            Self::Worker | Self::Host(_) => None,
        }
    }
}

fn positive(text: &str) -> Result<u64, String> {
    match text.trim().parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("give a whole number, at least 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Command, parse};

    fn scenario(args: &str) -> Option<Scenario> {
        let args = args.split_whitespace().map(Into::into);
        match parse([std::ffi::OsString::from("bench")].into_iter().chain(args)) {
            Ok(Command::Bench(bench)) => Some(bench.scenario),
            _ => None,
        }
    }

    #[test]
    fn lists_are_read_and_have_defaults() {
        let Some(Scenario::Clients(clients)) = scenario("clients --clients 1,64 --rounds 3") else {
            panic!("no such scenario")
        };
        assert_eq!((clients.clients, clients.rounds), (vec![1, 64], Some(3)));
        let Some(Scenario::Transfer(transfer)) = scenario("transfer --columns object --json")
        else {
            panic!("no such scenario")
        };
        assert_eq!(transfer.sizes, [1 << 20, 64 << 20, 1 << 30]);
        assert_eq!(transfer.columns, [Column::Object]);
        assert!(transfer.common.json && !transfer.common.start);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for args in [
            "",
            "speed",
            "clients --clients 0",
            "clients --clients 1,x",
            "clients --seconds 1 --rounds 1",
            "latency --start --address unix:/x",
            "transfer --sizes 0",
            "transfer --columns jagged",
            "keys --timeout 0",
        ] {
            assert!(scenario(args).is_none(), "{args}");
        }
    }

    #[test]
    fn clients_are_spread_over_several_processes() {
        let Some(Scenario::Clients(mut clients)) = scenario("clients") else {
            panic!("no such scenario")
        };
        for (count, processes) in [(1, 1), (3, 3), (64, 4), (4096, 8), (8192, 16)] {
            assert_eq!(clients.processes(count), processes);
        }
        clients.processes = Some(32);
        assert_eq!((clients.processes(64), clients.processes(8)), (32, 8));
    }
}
