//! Tells the process that made an arena from a child that inherited it through `fork`.
//!
//! In such a child the threads are gone and locks may be held by nobody, and its accounting is a
//! copy that must never act on memory the parent still uses. So there, drops leak and requests are
//! refused.

/// The process something was made in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Birthplace(u32);

impl Birthplace {
    pub(crate) fn here() -> Self {
        Self(std::process::id())
    }

    /// True in a process forked from that one.
    pub(crate) fn is_foreign(self) -> bool {
        std::process::id() != self.0
    }
}
