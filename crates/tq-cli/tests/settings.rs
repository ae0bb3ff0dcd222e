//! Where settings come from, and which one wins.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;

use common::{Place, Running};
use rstest::rstest;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/serve.md");

/// The limit on samples that was in force.
fn limit(place: &Place, file: Option<&str>, environment: Option<&str>, flag: Option<&str>) -> u64 {
    let mut args = vec!["serve"];
    let config = file.map(|value| place.file("tq.toml", &format!("max_samples = {value}\n")));
    if let Some(config) = &config {
        args.extend(["--config", config.to_str().unwrap()]);
    }
    if let Some(flag) = flag {
        args.extend(["--max-samples", flag]);
    }
    let mut command = place.tq(&args);
    if let Some(environment) = environment {
        command.env("TQ_MAX_SAMPLES", environment);
    }
    let running = Running::of(command);
    let limit = place.status()["units"][0]["max_samples"].as_u64();
    assert_eq!(running.stop().code(), 0);
    limit.unwrap_or(0)
}

#[rstest]
#[case(None, None, None, 0)]
#[case(Some("11"), None, None, 11)]
#[case(Some("11"), Some("22"), None, 22)]
#[case(Some("11"), Some("22"), Some("33"), 33)]
#[case(None, Some("22"), Some("33"), 33)]
#[case(Some("11"), None, Some("33"), 33)]
fn an_argument_wins_over_the_environment_and_that_over_the_file(
    #[case] file: Option<&str>,
    #[case] environment: Option<&str>,
    #[case] flag: Option<&str>,
    #[case] wanted: u64,
) {
    let place = Place::new();
    assert_eq!(limit(&place, file, environment, flag), wanted);
}

#[test]
fn a_file_may_hold_settings_of_every_kind_and_be_named_by_the_environment() {
    let place = Place::new();
    let directory = place.0.join("here");
    let text = format!(
        "directory = {directory:?}\nannounce = false\nmemory = \"64M\"\nsegment_bytes = 1048576\n\
         polling_mode = true\nget_meta_timeout = 1.5\nsampler = \"GRPOGroupNSampler\"\n\
         n_samples_per_prompt = 4\nlog_level = \"debug\"\n"
    );
    let mut command = place.tq(&["serve"]);
    command.env("TQ_CONFIG", place.file("tq.toml", &text));
    let running = Running::of(command);
    assert_eq!(running.path("directory"), directory);
    assert_eq!(running.ready["announced"], false);
    let status = place.run(&["status", "--json", "--address", running.address()]);
    assert_eq!(status.json()["units"][0]["capacity_bytes"], 64 << 20);
}

#[rstest]
#[case(
    "sample_limit = 3",
    "there is no setting `sample_limit`; there are role"
)]
#[case("config = \"x\"", "there is no setting `config`")]
#[case("memory = \"lots\"", "invalid value 'lots' for '--memory <SIZE>'")]
#[case("memory = [1]", "memory is a array")]
#[case("threads = 0", "invalid value '0'")]
#[case("sampler = \"Mine\"", "invalid value 'Mine'")]
#[case("polling_mode = \"maybe\"", "invalid value 'maybe'")]
#[case("memory = ", "is no TOML")]
fn a_file_that_makes_no_sense_is_named(#[case] text: &str, #[case] wanted: &str) {
    let place = Place::new();
    let file = place.file("tq.toml", text);
    let ended = place.run(&["serve", "--config", file.to_str().unwrap()]);
    let error = ended.failure(2);
    assert!(error.contains(wanted), "{error}");
    assert!(error.contains(file.to_str().unwrap()), "{error}");
}

#[rstest]
#[case(&["--memory", "0%"], "more than 0 %")]
#[case(&["--max-samples", "0"], "invalid value '0'")]
#[case(&["--sampler", "StreamingTokenBudgetSampler"], "needs --token-budget")]
#[case(&["--role", "storage"], "needs --controller")]
#[case(&["--role", "storage", "--controller", "elsewhere"], "no address of a host")]
#[case(&["--role", "controller", "--controller", "tcp:a:1"], "for --role storage")]
#[case(&["--controller", "tcp:a:1"], "for --role storage")]
#[case(&["--tls-authority", "ca.pem"], "give --bind")]
#[case(&["--bind", "127.0.0.1:0", "--tls-certificate", "c.pem"], "belong together")]
#[case(&["--bind", "127.0.0.1:0", "--tls-key", "k.pem"], "belong together")]
#[case(&["--tls-certificate", "c.pem", "--tls-key", "k.pem"], "give --bind")]
#[case(&["--bind", "127.0.0.1:0", "--tls-authority", "ca.pem"], "--tls-certificate")]
#[case(&["--advertise", "node-7"], "--bind")]
#[case(&["--config", "/nowhere/tq.toml"], "cannot be read")]
#[case(&["--memmory", "1G"], "--memory")]
fn what_makes_no_sense_is_refused_before_anything_starts(
    #[case] args: &[&str],
    #[case] wanted: &str,
) {
    let place = Place::new();
    let ended = place.run(&[&["serve"], args].concat());
    let error = ended.failure(2);
    assert!(error.contains(wanted), "{error}");
    assert!(!place.base().exists());
}

#[test]
fn help_and_version_are_output() {
    let place = Place::new();
    let help = place.run(&["serve", "--help"]);
    assert_eq!((help.code(), help.err.as_str()), (0, ""));
    assert!(help.out.contains("TQ_SECRET_FILE"));
    let version = place.run(&["--version"]);
    assert_eq!(version.out, format!("tq {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_page_has_the_settings_that_there_are() {
    let page = fs::read_to_string(PAGE).unwrap();
    let renewed = tq_cli::reference::renewed(&page).unwrap();
    assert!(
        page == renewed,
        "docs/serve.md is stale; run cargo run -p tq-cli --example write_settings"
    );
}
