//! The one public error of every crate: what kind it is, whether a retry can help, what was asked
//! and what was found.

use std::error::Error as StdError;
use std::fmt;

/// Result with the public [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as a caller can act on it. The numbers travel on the wire and never change
/// their meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u16)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller's arguments contradict each other or the documented contract.
    InvalidArgument = 1,
    /// A partition, key, field or sample that was named does not exist (any more).
    NotFound = 2,
    /// The sample exists, but a field that was asked for is not produced yet.
    NotReady = 3,
    /// A limit in samples or bytes would be exceeded; nothing was stored.
    CapacityExceeded = 4,
    /// Bytes that should be a packed buffer are not a valid one.
    Corrupt = 5,
    /// The value or request is valid but cannot be carried out here.
    Unsupported = 6,
    /// The value needs pickle, and pickle is switched off.
    PickleRefused = 7,
    /// The deadline passed first.
    DeadlineExceeded = 8,
    /// The engine or connection was closed.
    Closed = 9,
    /// The process was forked after the engine started; this side of the fork cannot use it.
    Forked = 10,
    /// The operating system refused memory, a mapping or I/O.
    System = 11,
    /// A defect of this project.
    Internal = 12,
    /// The host cannot be reached, or was lost during the call.
    Unavailable = 13,
    /// A sampler of the user's own failed, answered nonsense or did not return.
    Sampler = 14,
    /// A signal ended the wait for a host.
    Interrupted = 15,
}

impl ErrorKind {
    /// Short name for messages and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid argument",
            Self::NotFound => "not found",
            Self::NotReady => "not ready",
            Self::CapacityExceeded => "capacity exceeded",
            Self::Corrupt => "corrupt",
            Self::Unsupported => "unsupported",
            Self::PickleRefused => "pickle refused",
            Self::DeadlineExceeded => "deadline exceeded",
            Self::Closed => "closed",
            Self::Forked => "forked",
            Self::System => "system",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::Sampler => "sampler",
            Self::Interrupted => "interrupted",
        }
    }

    const fn retry(self) -> Retry {
        match self {
            Self::NotReady
            | Self::CapacityExceeded
            | Self::DeadlineExceeded
            | Self::Unavailable => Retry::Temporary,
            _ => Retry::Permanent,
        }
    }
}

/// Whether the same call can succeed later.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Retry {
    /// The same call fails again.
    Permanent,
    /// The same call may succeed once something else has happened (data put, space cleared).
    Temporary,
    /// The call was retried and kept failing.
    Persistent,
}

/// Error with kind, retry status, context and source.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    retry: Retry,
    message: String,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`. The message says what was asked, what was found and what to do.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            retry: kind.retry(),
            message: message.into(),
            context: Vec::new(),
            source: None,
        }))
    }

    /// Adds one fact about the failed call, such as the partition or the path inside a value.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((name, value.to_string()));
        self
    }

    /// Attaches the error that caused this one.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call can succeed later.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// The message without its context.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Facts about the failed call, in the order they were added.
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0
            .context
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (position, (name, value)) in self.0.context.iter().enumerate() {
            let open = if position == 0 { " (" } else { ", " };
            write!(f, "{open}{name}: {value}")?;
        }
        if !self.0.context.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.0.kind.name())?;
        let mut source = self.source();
        while let Some(cause) = source {
            write!(f, "; caused by: {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_message_then_context_and_keeps_its_source() {
        let error = Error::new(ErrorKind::NotFound, "no such key")
            .with("key", "a")
            .with("partition", "p")
            .caused_by(std::io::Error::other("disk"));
        assert_eq!(error.to_string(), "no such key (key: a, partition: p)");
        assert_eq!(
            error.source().map(ToString::to_string).as_deref(),
            Some("disk")
        );
        assert_eq!(error.retry(), Retry::Permanent);
        assert!(format!("{error:?}").contains("caused by: disk"));
    }

    #[test]
    fn readiness_and_capacity_can_be_retried() {
        for kind in [ErrorKind::NotReady, ErrorKind::CapacityExceeded] {
            assert_eq!(Error::new(kind, "").retry(), Retry::Temporary);
        }
    }
}
