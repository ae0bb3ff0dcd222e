//! What error messages share.

use std::fmt::Display;

use tq_proto::{Error, ErrorKind};

/// An error about what the caller gave.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// So many names are spelled out.
const NAMED: usize = 5;

/// "`a`, `b` and 7 more".
pub(crate) fn some_of<T: Display>(names: impl IntoIterator<Item = T>) -> String {
    let mut names = names.into_iter();
    let shown: Vec<_> = names
        .by_ref()
        .take(NAMED)
        .map(|name| format!("`{name}`"))
        .collect();
    let left = names.count();
    let shown = shown.join(", ");
    if left == 0 {
        shown
    } else {
        format!("{shown} and {left} more")
    }
}

#[cfg(test)]
mod tests {
    use super::some_of;

    #[test]
    fn a_few_names_are_spelled_out_and_the_rest_counted() {
        assert_eq!(some_of(["a", "b"]), "`a`, `b`");
        assert_eq!(some_of(0..7), "`0`, `1`, `2`, `3`, `4` and 2 more");
    }
}
