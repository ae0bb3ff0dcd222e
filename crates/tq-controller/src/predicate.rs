//! Predicates over tags: which samples a selection is about.
//!
//! Values compare as in Python: booleans and numbers of every type with each other and exactly,
//! text by code point, a NaN with nothing. Where Python would raise an error, because values of
//! unlike types have no order, the comparison is false. A value of any other type is equal to the
//! same bytes and has no order.
//!
//! A comparison with a tag that a sample does not have is false, `!=` and `not in` too; negating
//! it with [`Predicate::Not`] makes it true.

mod matcher;
pub(crate) mod values;

use crate::tags::{TagName, TagValue};

pub use matcher::Matcher;
pub(crate) use matcher::TagReader;

/// A condition on the tags of one sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    /// True for every sample.
    Always,
    /// The tag is there and compares so with the value.
    Compare {
        /// Name of the tag, left of the operator.
        tag: TagName,
        /// How to compare.
        op: Comparison,
        /// What to compare with, right of the operator.
        value: TagValue,
    },
    /// The tag is there and equal to one of the values, or where `negated` to none of them.
    OneOf {
        /// Name of the tag.
        tag: TagName,
        /// The values, in any order.
        values: Vec<TagValue>,
        /// Whether none of the values may be equal.
        negated: bool,
    },
    /// The tag is there, whatever its value.
    Has(TagName),
    /// Every one is true; also where there is none.
    And(Vec<Predicate>),
    /// At least one is true; never where there is none.
    Or(Vec<Predicate>),
    /// The other is false.
    Not(Box<Predicate>),
}

impl Predicate {
    /// Levels of nesting that are accepted: far beyond what anybody writes, far below what a
    /// thread's stack holds. Code that builds predicates from bytes must stop there too.
    pub const MAX_DEPTH: usize = 64;
}

/// Comparison operator, read as "tag, operator, value".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// The operator written as `symbol` in Python.
    #[must_use]
    pub fn from_symbol(symbol: &str) -> Option<Self> {
        Some(match symbol {
            "==" => Self::Equal,
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }
}
