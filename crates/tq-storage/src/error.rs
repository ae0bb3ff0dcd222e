//! The errors of this crate, worded in one place.

use std::fmt::Write;

use tq_arena::{CommitError, LoanError};
use tq_proto::{Error, ErrorKind, GlobalIndex};

use crate::admission::Full;
use crate::rebuild::Contradiction;
use crate::rows::LayoutError;

/// Global indexes an error names before it only counts the rest.
const NAMED: usize = 5;

/// The first few of `indexes`, and how many more there are.
fn some_of(indexes: &[GlobalIndex]) -> String {
    let mut text = String::new();
    for (position, index) in indexes.iter().take(NAMED).enumerate() {
        let comma = if position == 0 { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}{index:?}");
    }
    if indexes.len() > NAMED {
        let _ = write!(text, " and {} more", indexes.len() - NAMED);
    }
    text
}

pub(crate) fn layout(field: &str, cause: LayoutError) -> Error {
    let message = format!("field {field:?} cannot be put: {cause}");
    Error::new(ErrorKind::InvalidArgument, message).caused_by(cause)
}

pub(crate) fn merge(field: &str, rows: usize) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("the parts of a read of {rows} rows of field {field:?} are not those rows"),
    )
}

pub(crate) fn being_filled() -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        "the put was published while its bytes were still being written; publish it once all are",
    )
}

pub(crate) fn batch_too_large() -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        "the columns of this put exceed 64 bits of bytes together; check the row shapes",
    )
}

pub(crate) fn too_many_rows(rows: usize) -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        format!(
            "one put or read holds at most {} samples, {rows} were given; split it",
            u32::MAX
        ),
    )
}

pub(crate) fn duplicate_field(field: &str) -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        format!("field {field:?} is given twice in one put; name each field once"),
    )
}

pub(crate) fn duplicate_indexes(twice: &[GlobalIndex]) -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        format!(
            "{} global indexes are given more than once in one put; name each sample once",
            twice.len()
        ),
    )
    .with("repeated", some_of(twice))
}

pub(crate) fn samples_full(full: &Full) -> Error {
    Error::new(
        ErrorKind::CapacityExceeded,
        format!(
            "a put of {} new samples was asked, {} of {} samples are in use; clear samples that \
             were consumed, or raise the limit",
            full.asked, full.in_use, full.limit
        ),
    )
}

pub(crate) fn loan(cause: LoanError) -> Error {
    match &cause {
        LoanError::CapacityExceeded {
            asked,
            in_use,
            capacity,
        } => Error::new(
            ErrorKind::CapacityExceeded,
            format!(
                "a put of {asked} bytes was asked, {in_use} of {capacity} bytes are in use; clear \
                 samples that were consumed, drop what was read of cleared ones, or raise the limit"
            ),
        ),
        LoanError::Guest { asked } => Error::new(
            ErrorKind::Unsupported,
            format!(
                "a put of {asked} bytes was asked of a unit over another process's memory; put \
                 through that process"
            ),
        ),
        LoanError::ForeignProcess => Error::new(
            ErrorKind::Forked,
            "a put was begun behind a fork; open a unit of its own there",
        ),
        LoanError::System { asked, .. } => Error::new(
            ErrorKind::System,
            format!("{asked} bytes for a put could not be had"),
        ),
    }
    .caused_by(cause)
}

/// The cuts of a batch are this crate's own, so a refusal is a defect here.
pub(crate) fn commit(cause: CommitError) -> Error {
    Error::new(
        ErrorKind::Internal,
        "a filled put could not be committed; report this",
    )
    .caused_by(cause)
}

pub(crate) fn not_stored(field: &str, asked: usize, missing: &[GlobalIndex]) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!(
            "field {field:?} is not stored for {} of the {asked} samples asked for; put it first, \
             or ask the controller which fields are produced",
            missing.len()
        ),
    )
    .with("field", field)
    .with("global indexes", some_of(missing))
}

pub(crate) fn description(field: &str, cause: Contradiction) -> Error {
    let message = format!("the description of a read of field {field:?} is refused: {cause}");
    Error::new(ErrorKind::InvalidArgument, message).caused_by(cause)
}

pub(crate) fn gather_length(asked: usize, found: u64) -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        format!("the rows read take {found} bytes, the destination has {asked}; pass exactly that"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_first_few_and_counts_the_rest() {
        let indexes: Vec<_> = (1..=7).map(GlobalIndex).collect();
        assert_eq!(some_of(&indexes), "#1, #2, #3, #4, #5 and 2 more");
        assert_eq!(some_of(&indexes[..2]), "#1, #2");
    }
}
