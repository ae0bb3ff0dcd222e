//! The settings of `tq serve`. Each is declared once, here: from its argument come the environment
//! variable, the key in a configuration file (its name with underscores), the help and the reference
//! in `docs/serve.md`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{ArgAction, Args, ValueEnum, builder::BoolishValueParser};
use tq_controller::sampler::{LENGTH_TAG, SamplerConfig};
use tq_engine::{EmbeddedConfig, PlacementPolicy};
use tq_wire::address::Address;
use tq_wire::tls::TlsFiles;
use tracing_subscriber::filter::LevelFilter;

use crate::memory;
use crate::quantity::{self, Size};

/// What a process runs.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(crate) enum Role {
    /// Controller and storage unit
    Both,
    /// The controller, which stores small batches only
    Controller,
    /// A storage unit for a controller elsewhere
    Storage,
}

/// The built-in samplers, by the names of their Python classes.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(crate) enum SamplerName {
    #[value(name = "SequentialSampler")]
    Sequential,
    #[value(name = "GRPOGroupNSampler")]
    GrpoGroupN,
    #[value(name = "RankAwareSampler")]
    RankAware,
    #[value(name = "SeqlenBalancedSampler")]
    SeqlenBalanced,
    #[value(name = "StreamingTokenBudgetSampler")]
    StreamingTokenBudget,
}

/// Which storage unit a batch goes to.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(crate) enum PlacementName {
    /// One of the writer's machine, while there is room
    Local,
    /// The emptiest
    Balanced,
}

/// What a controller without a storage unit of its own stores.
const SMALL_BATCHES_BYTES: u64 = 256 << 20;

/// How much is logged.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(crate) enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub(crate) fn filter(self) -> LevelFilter {
        match self {
            Self::Off => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

/// See the module.
#[derive(Args, Clone, Debug)]
pub(crate) struct Settings {
    /// A TOML file with settings.
    #[arg(long, env = "TQ_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What runs here: a controller with a storage unit, a controller that stores batches of at most
    /// 64 KiB only (256 MiB of them, or `--memory` if that is less), or a storage unit for the
    /// controller at `--controller`.
    #[arg(long, env = "TQ_ROLE", value_enum, default_value = "both")]
    pub(crate) role: Role,
    /// Where the controller of a storage unit is: `unix:<directory>` or `tcp:<host>:<port>`.
    #[arg(long, env = "TQ_CONTROLLER", value_name = "ADDRESS")]
    pub(crate) controller: Option<String>,
    /// How much is logged to standard error.
    #[arg(long, env = "TQ_LOG_LEVEL", value_enum, default_value = "info")]
    pub(crate) log_level: LogLevel,
    /// Seconds that a stop waits for calls under way.
    #[arg(
        long,
        env = "TQ_STOP_LIMIT",
        value_name = "SECONDS",
        default_value = "5",
        value_parser = quantity::seconds
    )]
    pub(crate) stop_limit: f64,

    /// The directory of the Unix sockets, of this user alone; made where it does not exist. Default:
    /// `serve`, or `unit-<process id>` for a storage unit, in the directory of this user's engines, `$XDG_RUNTIME_DIR/transferqueue` or
    /// `/tmp/transferqueue-<user id>`.
    #[arg(
        long,
        visible_alias = "dir",
        env = "TQ_DIRECTORY",
        value_name = "DIRECTORY",
        help_heading = "Where it is found"
    )]
    pub(crate) directory: Option<PathBuf>,
    /// Whether processes of this user on this host find the engine by themselves. Of a storage unit
    /// nothing is to be found.
    #[arg(
        long,
        env = "TQ_ANNOUNCE",
        action = ArgAction::Set,
        value_name = "true|false",
        num_args = 0..=1,
        default_value = "true",
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        help_heading = "Where it is found"
    )]
    pub(crate) announce: bool,
    /// Write the line of JSON that says that it is ready also to this file, which may be a pipe or
    /// `/dev/fd/3`. A file of its own is removed at the end.
    #[arg(
        long,
        env = "TQ_READY_FILE",
        value_name = "FILE",
        help_heading = "Where it is found"
    )]
    pub(crate) ready_file: Option<PathBuf>,

    /// Listen for other hosts at this TCP address, too; port 0 for any that is free. Default: Unix
    /// sockets only.
    #[arg(
        long,
        env = "TQ_BIND",
        value_name = "HOST:PORT",
        help_heading = "Other hosts"
    )]
    pub(crate) bind: Option<String>,
    /// The host name or address that guests are told to connect to. Default: that of `--bind`.
    #[arg(
        long,
        env = "TQ_ADVERTISE",
        value_name = "HOST",
        help_heading = "Other hosts"
    )]
    pub(crate) advertise: Option<String>,
    /// The file with the secret that guests on TCP must know. Only this user may have access to it;
    /// made with a random secret where it does not exist. Default: `secret` in the directory of this
    /// user's engines.
    #[arg(
        long,
        env = "TQ_SECRET_FILE",
        value_name = "FILE",
        help_heading = "Other hosts"
    )]
    pub(crate) secret_file: Option<PathBuf>,
    /// Certificate (PEM) of this host, and those up to its authority; switches TLS on.
    #[arg(
        long,
        env = "TQ_TLS_CERTIFICATE",
        value_name = "FILE",
        help_heading = "Other hosts"
    )]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// Private key (PEM) of the certificate.
    #[arg(
        long,
        env = "TQ_TLS_KEY",
        value_name = "FILE",
        help_heading = "Other hosts"
    )]
    pub(crate) tls_key: Option<PathBuf>,
    /// Certificates (PEM) of authorities; with them, guests must show a certificate of one.
    #[arg(
        long,
        env = "TQ_TLS_AUTHORITY",
        value_name = "FILE",
        help_heading = "Other hosts"
    )]
    pub(crate) tls_authority: Option<PathBuf>,

    /// The most memory that payload may take: bytes with K, M, G or T, or a share of the memory
    /// that this process may use.
    #[arg(
        long,
        env = "TQ_MEMORY",
        value_name = "SIZE",
        default_value = "80%",
        value_parser = quantity::size,
        help_heading = "Memory and threads"
    )]
    pub(crate) memory: Size,
    /// The most samples that may be stored. Default: no limit.
    #[arg(
        long,
        env = "TQ_MAX_SAMPLES",
        value_name = "COUNT",
        value_parser = clap::value_parser!(u64).range(1..),
        help_heading = "Memory and threads"
    )]
    pub(crate) max_samples: Option<u64>,
    /// Size of a shared-memory segment; costs nothing until written.
    #[arg(
        long,
        env = "TQ_SEGMENT_BYTES",
        value_name = "SIZE",
        default_value = "1G",
        value_parser = quantity::positive_bytes,
        help_heading = "Memory and threads"
    )]
    pub(crate) segment_bytes: u64,
    /// Free memory kept warm for the next batches.
    #[arg(
        long,
        env = "TQ_RETAIN_BYTES",
        value_name = "SIZE",
        default_value = "4G",
        value_parser = quantity::bytes,
        help_heading = "Memory and threads"
    )]
    pub(crate) retain_bytes: u64,
    /// Threads that serve calls; calls that take long get threads of their own.
    #[arg(
        long,
        env = "TQ_THREADS",
        value_name = "COUNT",
        default_value = "2",
        value_parser = clap::value_parser!(u16).range(1..=1024),
        help_heading = "Memory and threads"
    )]
    pub(crate) threads: u16,

    /// Which storage unit a batch goes to, where there are several.
    #[arg(
        long,
        env = "TQ_PLACEMENT",
        value_enum,
        default_value = "local",
        help_heading = "Controller"
    )]
    pub(crate) placement: PlacementName,
    /// Chooses the batches of fetches.
    #[arg(
        long,
        env = "TQ_SAMPLER",
        value_enum,
        default_value = "SequentialSampler",
        help_heading = "Controller"
    )]
    pub(crate) sampler: SamplerName,
    /// Samples of a group, for samplers that take groups.
    #[arg(
        long,
        env = "TQ_N_SAMPLES_PER_PROMPT",
        value_name = "COUNT",
        default_value = "1",
        value_parser = positive_count,
        help_heading = "Controller"
    )]
    pub(crate) n_samples_per_prompt: usize,
    /// Data-parallel ranks, for samplers that deal to them.
    #[arg(
        long,
        env = "TQ_DP_SIZE",
        value_name = "COUNT",
        default_value = "1",
        value_parser = positive_count,
        help_heading = "Controller"
    )]
    pub(crate) dp_size: usize,
    /// Tokens of a rank's batch; needed by StreamingTokenBudgetSampler.
    #[arg(
        long,
        env = "TQ_TOKEN_BUDGET",
        value_name = "TOKENS",
        value_parser = clap::value_parser!(u64).range(1..),
        help_heading = "Controller"
    )]
    pub(crate) token_budget: Option<u64>,
    /// The tag with the tokens of a sample, for StreamingTokenBudgetSampler.
    #[arg(
        long,
        env = "TQ_LENGTH_TAG",
        value_name = "TAG",
        default_value = LENGTH_TAG,
        help_heading = "Controller"
    )]
    pub(crate) length_tag: String,
    /// Whether a fetch that lacks data answers with an empty batch at once, and does not wait.
    #[arg(
        long,
        env = "TQ_POLLING_MODE",
        action = ArgAction::Set,
        value_name = "true|false",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        help_heading = "Controller"
    )]
    pub(crate) polling_mode: bool,
    /// Seconds that a fetch waits for data where it does not poll.
    #[arg(
        long,
        env = "TQ_CONTROLLER_GET_METADATA_TIMEOUT",
        value_name = "SECONDS",
        default_value = "60",
        value_parser = quantity::seconds,
        help_heading = "Controller"
    )]
    pub(crate) get_meta_timeout: f64,
}

impl Settings {
    /// What no single setting shows to be wrong.
    pub(crate) fn check(&self) -> Result<()> {
        match (self.role, &self.controller) {
            (Role::Both, None) => {}
            (Role::Controller, None) => {}
            (Role::Both | Role::Controller, Some(_)) => bail!(
                "--controller is for --role storage; this process is to run a controller of its own"
            ),
            (Role::Storage, None) => bail!("--role storage needs --controller, the address of one"),
            (Role::Storage, Some(address)) => drop(Address::parse(address)?),
        }
        // By hand, because for clap what a file gives does not count as given.
        if self.bind.is_none() && self.advertise.is_some() {
            bail!("--advertise is for guests on TCP; give --bind, too");
        }
        if self.bind.is_none() && self.tls().is_some() {
            bail!("TLS is for guests on TCP; give --bind, too, or no --tls-... settings");
        }
        if self.tls_certificate.is_some() != self.tls_key.is_some() {
            bail!("--tls-certificate and --tls-key belong together; give both");
        }
        if self.tls_authority.is_some() && self.tls_certificate.is_none() {
            bail!("--tls-authority has guests show certificates; give --tls-certificate, too");
        }
        self.sampler().map(drop)
    }

    /// How the engine is to be.
    pub(crate) fn engine(&self) -> EmbeddedConfig {
        EmbeddedConfig {
            max_samples: self.max_samples,
            capacity_bytes: self.capacity(),
            small_batches_only: self.role == Role::Controller,
            placement: match self.placement {
                PlacementName::Local => PlacementPolicy::Local,
                PlacementName::Balanced => PlacementPolicy::Balanced,
            },
            segment_bytes: self.segment_bytes,
            retain_bytes: self.retain_bytes,
            ..EmbeddedConfig::default()
        }
    }

    /// The most bytes of payload.
    pub(crate) fn capacity(&self) -> u64 {
        let capacity = match self.memory {
            Size::Bytes(bytes) => bytes,
            Size::Share(share) => (memory::limit() as f64 * share) as u64,
        };
        match self.role {
            Role::Controller => capacity.min(SMALL_BATCHES_BYTES),
            Role::Both | Role::Storage => capacity,
        }
    }

    /// Certificates, where connections over TCP are to be encrypted.
    pub(crate) fn tls(&self) -> Option<TlsFiles> {
        let files = TlsFiles {
            certificate: self.tls_certificate.clone(),
            key: self.tls_key.clone(),
            authority: self.tls_authority.clone(),
        };
        (files != TlsFiles::default()).then_some(files)
    }

    /// How the batches of fetches are chosen.
    pub(crate) fn sampler(&self) -> Result<SamplerConfig> {
        let (n_samples_per_prompt, dp_size) = (self.n_samples_per_prompt, self.dp_size);
        Ok(match self.sampler {
            SamplerName::Sequential => SamplerConfig::Sequential,
            SamplerName::RankAware => SamplerConfig::RankAware,
            SamplerName::GrpoGroupN => SamplerConfig::GrpoGroupN {
                n_samples_per_prompt,
            },
            SamplerName::SeqlenBalanced => SamplerConfig::SeqlenBalanced {
                n_samples_per_prompt,
                dp_size,
            },
            SamplerName::StreamingTokenBudget => {
                let Some(token_budget) = self.token_budget else {
                    bail!("StreamingTokenBudgetSampler needs --token-budget");
                };
                SamplerConfig::StreamingTokenBudget {
                    token_budget,
                    n_samples_per_prompt,
                    dp_size,
                    length_tag: self.length_tag.as_str().into(),
                }
            }
        })
    }

    /// How long a stop waits for calls under way.
    pub(crate) fn stop_limit(&self) -> Duration {
        Duration::from_secs_f64(self.stop_limit)
    }
}

fn positive_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err("must be an integer, 1 or more".to_owned()),
    }
}
