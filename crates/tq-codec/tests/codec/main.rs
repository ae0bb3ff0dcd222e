//! Tests of the packed buffer through its public surface.
//!
//! | module | asks |
//! |---|---|
//! | `preamble_lies`, `table_lies`, `header_lies` | is every lie a buffer can tell named for what it is? |
//! | `refusals` | is what cannot be planned or written refused, and nothing touched? |
//! | `round_trip` | does a value come back as it went in? |
//! | `integrity` | is every altered or missing byte found? |
//! | `parallel` | do the bytes depend on the number of threads? |
//! | `golden` | are the bytes still those of version 1? |
//! | `depth` | is the deepest value read on a small stack, and one deeper refused? |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that panics fails where it should"
)]

mod depth;
mod golden;
mod header_lies;
mod integrity;
mod parallel;
mod preamble_lies;
mod refusals;
mod round_trip;
mod strategy;
mod support;
mod table_lies;
