//! Errors on their way between processes: kind, message, facts and cause, in the details of a
//! status.

use prost::Message;
use tonic::{Code, Status};
use tq_proto::{Error, ErrorKind};

use crate::proto::{Failure, Texts};

/// Details travel in a header, whose size is limited; longer texts are cut.
const MESSAGE_BYTES: usize = 2048;
const FACT_BYTES: usize = 256;
const FACTS: usize = 8;

/// Names of facts that errors of this project are given. A fact of another name becomes a part of
/// the message.
const FACT_NAMES: &[&str] = &[
    "bytes",
    "field",
    "global indexes",
    "key",
    "keys asked for",
    "partition",
    "repeated",
    "sample",
    "task",
];

const KINDS: &[ErrorKind] = &[
    ErrorKind::InvalidArgument,
    ErrorKind::NotFound,
    ErrorKind::NotReady,
    ErrorKind::CapacityExceeded,
    ErrorKind::Corrupt,
    ErrorKind::Unsupported,
    ErrorKind::PickleRefused,
    ErrorKind::DeadlineExceeded,
    ErrorKind::Closed,
    ErrorKind::Forked,
    ErrorKind::System,
    ErrorKind::Internal,
    ErrorKind::Unavailable,
    ErrorKind::Sampler,
    ErrorKind::Interrupted,
];

/// The status that carries `error` to a guest.
#[must_use]
pub fn to_status(error: &Error) -> Status {
    let (fact_names, fact_values): (Vec<_>, Vec<_>) = error
        .context()
        .take(FACTS)
        .map(|(name, value)| (name, cut(value, FACT_BYTES)))
        .unzip();
    let failure = Failure {
        kind: error.kind() as u32,
        message: cut(error.message(), MESSAGE_BYTES).into(),
        fact_names: Some(Texts::of(fact_names)),
        fact_values: Some(Texts::of(fact_values)),
        cause: cut(&causes(error), FACT_BYTES).into(),
    };
    // The text is in the details; a second copy would take up the header.
    let details = failure.encode_to_vec().into();
    Status::with_details(code(error.kind()), error.kind().name(), details)
}

fn causes(error: &Error) -> String {
    let mut texts = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        texts.push(cause.to_string());
        source = cause.source();
    }
    texts.join(": ")
}

fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

const fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidArgument => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::NotReady => Code::FailedPrecondition,
        ErrorKind::CapacityExceeded => Code::ResourceExhausted,
        ErrorKind::Corrupt => Code::DataLoss,
        ErrorKind::Unsupported | ErrorKind::PickleRefused => Code::Unimplemented,
        ErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorKind::Closed | ErrorKind::Unavailable => Code::Unavailable,
        _ => Code::Internal,
    }
}

/// The error that a status carries. One without details comes from the transport.
#[must_use]
pub fn from_status(status: &Status) -> Error {
    match Failure::decode(status.details()) {
        Ok(failure) if failure.kind != 0 => from_failure(&failure),
        _ => from_transport(status),
    }
}

fn from_failure(failure: &Failure) -> Error {
    let kind = KINDS.iter().find(|kind| **kind as u32 == failure.kind);
    let names = failure.fact_names.as_ref().map(Texts::read);
    let values = failure.fact_values.as_ref().map(Texts::read);
    let facts = match (names, values) {
        (Some(Ok(names)), Some(Ok(values))) => names.into_iter().zip(values).collect(),
        _ => Vec::new(),
    };
    let mut message = failure.message.clone();
    let mut known = Vec::new();
    for (name, value) in facts {
        match FACT_NAMES.iter().find(|known| **known == name) {
            Some(name) => known.push((*name, value)),
            None => message.push_str(&format!(" [{name}: {value}]")),
        }
    }
    let error = Error::new(kind.copied().unwrap_or(ErrorKind::Internal), message);
    let error = known
        .into_iter()
        .fold(error, |error, (name, value)| error.with(name, value));
    if failure.cause.is_empty() {
        error
    } else {
        error.caused_by(failure.cause.as_str())
    }
}

fn from_transport(status: &Status) -> Error {
    let kind = match status.code() {
        Code::DeadlineExceeded => ErrorKind::DeadlineExceeded,
        // What an expired deadline is called at the other end.
        Code::Cancelled if status.message() == "Timeout expired" => ErrorKind::DeadlineExceeded,
        Code::OutOfRange | Code::ResourceExhausted => ErrorKind::Unsupported,
        Code::Unavailable | Code::Unknown | Code::Aborted | Code::Cancelled => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Internal,
    };
    let message = match kind {
        ErrorKind::DeadlineExceeded => {
            "the host did not answer before the deadline; see whether it is overloaded or stopped"
        }
        ErrorKind::Unsupported => {
            "a request or its answer is too large for one message; ask for fewer samples at a time"
        }
        ErrorKind::Unavailable => {
            "the connection to the host was lost; see whether its process still runs"
        }
        _ => "the host refused the request at the level of the protocol",
    };
    Error::new(kind, message).caused_by(format!("{:?}: {}", status.code(), status.message()))
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn round(error: &Error) -> Error {
        from_status(&to_status(error))
    }

    #[test]
    fn every_kind_arrives_as_itself() {
        for kind in KINDS {
            let error = Error::new(*kind, "message");
            let arrived = round(&error);
            assert_eq!((arrived.kind(), arrived.message()), (*kind, "message"));
            assert_eq!(arrived.retry(), error.retry());
        }
        let last = KINDS.iter().map(|kind| *kind as u32).max();
        assert_eq!(
            last,
            Some(KINDS.len() as u32),
            "a kind is missing from the table"
        );
    }

    #[test]
    fn facts_and_causes_arrive() {
        let error = Error::new(ErrorKind::NotFound, "no such key")
            .with("partition", "p")
            .with("something new", 7)
            .caused_by(std::io::Error::other("disk"));
        let arrived = round(&error);
        assert_eq!(
            arrived.to_string(),
            "no such key [something new: 7] (partition: p)"
        );
        let cause = arrived.source().map(ToString::to_string);
        assert_eq!(cause.as_deref(), Some("disk"));
    }

    #[test]
    fn long_texts_are_cut_to_fit_a_header() {
        let long = "ä".repeat(1 << 20);
        let mut error = Error::new(ErrorKind::NotFound, long.clone()).caused_by(long.clone());
        for name in FACT_NAMES.iter().chain(FACT_NAMES) {
            error = error.with(name, &long);
        }
        let status = to_status(&error);
        assert!(status.details().len() * 4 / 3 < 8 << 10);
        assert!(from_status(&status).message().len() <= MESSAGE_BYTES);
    }

    #[test]
    fn a_status_without_details_is_the_transports() {
        for (code, kind) in [
            (Code::DeadlineExceeded, ErrorKind::DeadlineExceeded),
            (Code::Cancelled, ErrorKind::Unavailable),
            (Code::Unavailable, ErrorKind::Unavailable),
            (Code::Unimplemented, ErrorKind::Internal),
        ] {
            assert_eq!(from_status(&Status::new(code, "")).kind(), kind);
        }
    }

    #[test]
    fn details_that_lie_are_still_an_error() {
        let lies = [
            Failure {
                kind: 9999,
                ..Failure::default()
            },
            Failure {
                kind: 2,
                fact_names: Some(Texts {
                    utf8: vec![255],
                    ends: vec![7],
                }),
                fact_values: Some(Texts::default()),
                ..Failure::default()
            },
        ];
        for lie in lies {
            let status = Status::with_details(Code::NotFound, "", lie.encode_to_vec().into());
            let _ = from_status(&status);
        }
    }
}
