//! Messages that do not say what they should.

use tq_proto::{Error, ErrorKind};

/// The error for a message whose parts contradict each other.
pub(crate) fn malformed(what: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!(
            "the process at the other end sent a malformed message: {what}; run the same version \
             of transferqueue-rs at both ends"
        ),
    )
}

/// Two columns of one message have to be of one length.
pub(crate) fn same_length(what: &str, found: usize, wanted: usize) -> Result<(), Error> {
    if found == wanted {
        return Ok(());
    }
    Err(malformed(format_args!("{found} {what} for {wanted} rows")))
}

/// A message inside another that has to be there.
pub(crate) fn required<T>(what: &str, found: Option<T>) -> Result<T, Error> {
    found.ok_or_else(|| malformed(format_args!("no {what}")))
}
