//! Where inside a value an error happened, such as `value['images'][3]`.

use std::fmt::Write as _;

use pyo3::prelude::*;

/// Text of a path that grows from the outermost container inwards.
pub(crate) struct Path(String);

/// Characters of a key's `repr` that are shown.
const KEY_CHARS: usize = 60;

impl Path {
    pub(crate) fn new(root: &str) -> Self {
        Self(root.to_owned())
    }

    pub(crate) fn index(&mut self, position: usize) {
        let _ = write!(self.0, "[{position}]");
    }

    pub(crate) fn key(&mut self, key: &Bound<'_, PyAny>) {
        let shown = key
            .repr()
            .map_or_else(|_| "?".to_owned(), |repr| repr.to_string());
        let short: String = shown.chars().take(KEY_CHARS).collect();
        let _ = write!(self.0, "[{short}]");
    }

    /// Into the content of a value that is rebuilt by name.
    pub(crate) fn inside(&mut self, name: &str) {
        let _ = write!(self.0, "<{name}>");
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }
}
