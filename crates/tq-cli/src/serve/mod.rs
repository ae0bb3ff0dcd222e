//! `tq serve`.
//!
//! | module | holds |
//! |---|---|
//! | `about` | what guests are told of the engine |
//! | `member` | a storage unit's place at its controller |
//! | `ready` | the line that says that it is ready |

mod about;
mod member;
mod ready;

use std::path::PathBuf;
use std::thread;

use anyhow::{Context, Result};
use tokio::sync::oneshot;
use tq_engine::Embedded;
use tq_server::{Server, ServerConfig, TcpConfig};
use tq_wire::address::TcpAddress;
use tq_wire::secret_file;

use crate::files;
use crate::place;
use crate::program::{DONE, FAILED, say};
use crate::rendezvous::Announced;
use crate::settings::{Role, Settings};
use crate::signals::Signals;
use ready::{Ready, ReadyFile};

/// Name of the default directory among those of this user's engines.
const DIRECTORY: &str = "serve";
/// Name of the default file with the secret.
const SECRET: &str = "secret";

/// Serves until a signal comes; the exit status. The settings have been checked.
pub(crate) fn run(settings: &Settings) -> Result<i32> {
    log(settings);
    // First, so that a signal during the start finds somebody who cleans up.
    let mut signals = Signals::take()?;
    // Each guest is one open file, or two.
    let files = files::raise_limit();
    let engine = Embedded::new(settings.engine())?;
    engine.set_sampler(settings.sampler()?)?;
    let about = about::About::new(settings);
    let (config, secret_file) = server_config(settings, about.to_json())?;
    let directory = config.directory.clone();
    let secret = config.tcp.as_ref().map(|tcp| tcp.secret.clone());
    let server = Server::start(engine.clone(), config)?;
    let membership = match &settings.controller {
        None => None,
        Some(controller) => {
            let member = member::Member {
                settings,
                controller,
                server: &server,
                secret,
            };
            Some(member.join(engine.clone())?)
        }
    };
    let announced = if settings.announce && membership.is_none() {
        Announced::new(&server.address(), &mut signals)?
    } else {
        None
    };
    let ready = Ready {
        id: about.id,
        address: server.address(),
        tcp_address: server.tcp_address().map(str::to_owned),
        directory,
        secret_file,
        announced: announced.is_some(),
        unit: membership.as_ref().map(|member| member.id().0),
    };
    tracing::info!(
        address = ready.address,
        tcp = ready.tcp_address,
        capacity = settings.capacity(),
        files,
        "serving"
    );
    let line = ready.line();
    let ready_file = settings.ready_file.as_deref();
    let ready_file = ready_file
        .map(|path| ReadyFile::write(path, &line))
        .transpose()?;
    say(&line)?;

    let received = signals.wait();
    tracing::info!(?received, "stopping; a second signal stops at once");
    // Who looks for an engine, or for room, from now on is not to find this one.
    drop((ready_file, announced, membership));
    stop(server, engine, &mut signals)
}

/// Stops in order, or at once where a second signal comes.
fn stop(server: Server, engine: Embedded, signals: &mut Signals) -> Result<i32> {
    let (done, stopped) = oneshot::channel();
    let stopping = thread::Builder::new()
        .name("tq-stop".to_owned())
        .spawn(move || {
            server.stop();
            engine.close();
            // Nobody waits any more where a second signal came.
            let _ = done.send(());
        })
        .context("the system gives no thread to stop with")?;
    match signals.wait_or(stopped) {
        None if stopping.join().is_ok() => {
            tracing::info!("stopped");
            Ok(DONE)
        }
        None => Ok(FAILED),
        Some(second) => {
            tracing::warn!(?second, "calls under way were cut off");
            Ok(second.status())
        }
    }
}

/// Where to listen and what to tell; the file with the secret, where there is one.
fn server_config(settings: &Settings, about: Vec<u8>) -> Result<(ServerConfig, Option<PathBuf>)> {
    let directory = match &settings.directory {
        Some(directory) => place::absolute(directory)?,
        None if settings.role == Role::Storage => {
            place::base()?.join(format!("unit-{}", std::process::id()))
        }
        None => place::base()?.join(DIRECTORY),
    };
    let (tcp, secret_file) = match &settings.bind {
        None => (None, None),
        Some(bind) => {
            let (tcp, file) = tcp_config(settings, bind)?;
            (Some(tcp), Some(file))
        }
    };
    let config = ServerConfig {
        tcp,
        threads: usize::from(settings.threads),
        stop_limit: settings.stop_limit(),
        about,
        ..ServerConfig::new(directory)
    };
    Ok((config, secret_file))
}

fn tcp_config(settings: &Settings, bind: &str) -> Result<(TcpConfig, PathBuf)> {
    let file = match &settings.secret_file {
        Some(file) => place::absolute(file)?,
        None => place::base()?.join(SECRET),
    };
    let tls = settings.tls();
    if tls.is_none() && !TcpAddress::parse(bind)?.is_loopback() {
        tracing::warn!(
            bind,
            "other hosts can connect, and what they send and read is not encrypted; give \
             --tls-certificate and --tls-key, or keep the network to yourself"
        );
    }
    let config = TcpConfig {
        advertise: settings.advertise.clone(),
        tls,
        ..TcpConfig::new(bind, secret_file::read_or_make(&file)?)
    };
    Ok((config, file))
}

fn log(settings: &Settings) {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(settings.log_level.filter())
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // Its report would panic where nobody reads standard error any more.
        .log_internal_errors(false)
        .finish();
    // Where this process logs already, it goes on as it does.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
