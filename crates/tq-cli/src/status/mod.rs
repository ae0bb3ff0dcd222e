//! `tq status`.
//!
//! | module | holds |
//! |---|---|
//! | `tables` | the overview for people |
//! | `json` | the overview for programs |

mod json;
mod tables;

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tq_client::{ConnectConfig, Remote};
use tq_wire::overview::Overview;

use crate::arguments::Question;
use crate::program::{DONE, say};
use crate::signals::Signals;

/// Moves to the upper left corner of a terminal and clears it.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// A host at one instant.
struct Found {
    address: String,
    /// The name of its engine, where it tells one.
    id: Option<String>,
    overview: Overview,
}

/// Shows what a host is at; the exit status.
pub(crate) fn run(question: &Question) -> Result<i32> {
    let reach = &question.reach;
    let address = reach.found("give --address, or start one with `tq serve`")?;
    let config = reach.config("tq status", Duration::from_secs_f64(question.timeout))?;
    let Some(every) = question.watch else {
        let remote = Remote::connect(&address, config)?;
        if question.health {
            say("serving\n")?;
        } else {
            say(&shown(question, &found(&remote, &address)?))?;
        }
        remote.close();
        return Ok(DONE);
    };
    watch(question, &address, config, Duration::from_secs_f64(every))
}

/// Shows it again and again, also while the host is gone, until a signal comes or nobody reads it.
fn watch(
    question: &Question,
    address: &str,
    config: ConnectConfig,
    every: Duration,
) -> Result<i32> {
    let mut signals = Signals::take()?;
    let clear = std::io::stdout().is_terminal() && !question.json;
    // Connects by itself to a host that was started anew.
    let remote = Remote::connect(address, config)?;
    loop {
        let text = match &found(&remote, address) {
            Ok(found) => shown(question, found),
            Err(error) if question.json => json::line(&json::failure(address, error)),
            Err(error) => format!("{address}: {error}\n"),
        };
        let text = if clear {
            format!("{CLEAR}{text}")
        } else {
            text
        };
        if !say(&text)? || signals.wait_within(every).is_some() {
            break;
        }
    }
    remote.close();
    Ok(DONE)
}

fn shown(question: &Question, found: &Found) -> String {
    if question.json {
        json::line(&json::of(found))
    } else {
        tables::of(found)
    }
}

fn found(remote: &Remote, address: &str) -> Result<Found> {
    let overview = remote.overview()?;
    // What a host tells about itself is not of this protocol; those of ours tell an object.
    let about: Value = serde_json::from_slice(&remote.about()).unwrap_or_default();
    Ok(Found {
        address: address.to_owned(),
        id: about["id"].as_str().map(str::to_owned),
        overview,
    })
}
