//! A predicate made ready for many samples.
//!
//! Samples of a partition mostly have the same tags in the same places, and share one allocation
//! per tag name. So each tag of the predicate is looked for where it was last found, by address.

use std::cmp::Ordering;
use std::sync::Arc;

use rustc_hash::FxHashSet;
use tq_proto::{Error, ErrorKind, Result};

use super::values::{Equality, Ordered};
use super::{Comparison, Predicate};
use crate::tags::{TagName, TagValue, Tags};

/// Finds the value of one tag, sample after sample.
#[derive(Debug)]
pub(crate) struct TagReader {
    /// The allocation in which the name was last found.
    name: TagName,
    /// Where among the tags of a sample.
    place: usize,
}

impl TagReader {
    pub(crate) fn new(name: &TagName) -> Self {
        Self {
            name: name.clone(),
            place: 0,
        }
    }

    pub(crate) fn read<'t>(&mut self, tags: &'t Tags) -> Option<&'t TagValue> {
        if let Some((name, value)) = tags.iter().nth(self.place)
            && Arc::ptr_eq(name, &self.name)
        {
            return Some(value);
        }
        let (place, (name, value)) = tags
            .iter()
            .enumerate()
            .find(|(_, (name, _))| **name == self.name)?;
        self.name = name.clone();
        self.place = place;
        Some(value)
    }
}

/// A [`Predicate`] made ready for many samples; faster the more their tags are alike.
#[derive(Debug)]
pub struct Matcher<'p>(Node<'p>);

#[derive(Debug)]
enum Node<'p> {
    Always,
    Has(TagReader),
    Among {
        tag: TagReader,
        values: Values<'p>,
        negated: bool,
    },
    Order {
        tag: TagReader,
        accepted: fn(Ordering) -> bool,
        value: Option<Ordered<'p>>,
    },
    All(Vec<Node<'p>>),
    Any(Vec<Node<'p>>),
    Not(Box<Node<'p>>),
}

/// Values to be equal to one of.
#[derive(Debug)]
enum Values<'p> {
    Few(Vec<Equality<'p>>),
    Many(FxHashSet<Equality<'p>>),
}

impl<'p> Values<'p> {
    /// Up to here comparing with each is faster than hashing.
    const FEW: usize = 8;

    fn new(values: &'p [TagValue]) -> Self {
        let values = values.iter().filter_map(Equality::of);
        if values.clone().count() <= Self::FEW {
            Self::Few(values.collect())
        } else {
            Self::Many(values.collect())
        }
    }

    fn contain(&self, value: &TagValue) -> bool {
        Equality::of(value).is_some_and(|value| match self {
            Self::Few(values) => values.contains(&value),
            Self::Many(values) => values.contains(&value),
        })
    }
}

impl<'p> Matcher<'p> {
    /// Makes `predicate` ready.
    ///
    /// # Errors
    /// `InvalidArgument` when it is nested deeper than [`Predicate::MAX_DEPTH`].
    pub fn new(predicate: &'p Predicate) -> Result<Self> {
        Node::new(predicate, 1).map(Self)
    }

    /// Whether the predicate is true for a sample with `tags`.
    pub fn matches(&mut self, tags: &Tags) -> bool {
        self.0.matches(tags)
    }
}

impl<'p> Node<'p> {
    fn new(predicate: &'p Predicate, depth: usize) -> Result<Self> {
        if depth > Predicate::MAX_DEPTH {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "the predicate is nested more than {} levels deep; write it flatter",
                    Predicate::MAX_DEPTH
                ),
            ));
        }
        let children = |predicates: &'p [Predicate]| {
            let nodes = predicates.iter().map(|child| Self::new(child, depth + 1));
            nodes.collect::<Result<Vec<_>>>()
        };
        Ok(match predicate {
            Predicate::Always => Self::Always,
            Predicate::Has(tag) => Self::Has(TagReader::new(tag)),
            Predicate::Compare { tag, op, value } => Self::compare(tag, *op, value),
            Predicate::OneOf {
                tag,
                values,
                negated,
            } => Self::Among {
                tag: TagReader::new(tag),
                values: Values::new(values),
                negated: *negated,
            },
            Predicate::And(all) => Self::All(children(all)?),
            Predicate::Or(any) => Self::Any(children(any)?),
            Predicate::Not(negated) => Self::Not(Box::new(Self::new(negated, depth + 1)?)),
        })
    }

    fn compare(tag: &TagName, op: Comparison, value: &'p TagValue) -> Self {
        let accepted: fn(Ordering) -> bool = match op {
            Comparison::Equal | Comparison::NotEqual => {
                return Self::Among {
                    tag: TagReader::new(tag),
                    values: Values::new(std::slice::from_ref(value)),
                    negated: op == Comparison::NotEqual,
                };
            }
            Comparison::Less => Ordering::is_lt,
            Comparison::LessOrEqual => Ordering::is_le,
            Comparison::Greater => Ordering::is_gt,
            Comparison::GreaterOrEqual => Ordering::is_ge,
        };
        Self::Order {
            tag: TagReader::new(tag),
            accepted,
            value: Ordered::of(value),
        }
    }

    fn matches(&mut self, tags: &Tags) -> bool {
        match self {
            Self::Always => true,
            Self::Has(tag) => tag.read(tags).is_some(),
            Self::Among {
                tag,
                values,
                negated,
            } => tag
                .read(tags)
                .is_some_and(|found| values.contain(found) != *negated),
            Self::Order {
                tag,
                accepted,
                value,
            } => tag
                .read(tags)
                .and_then(Ordered::of)
                .zip(*value)
                .and_then(|(found, value)| found.among_like(value))
                .is_some_and(*accepted),
            Self::All(nodes) => nodes.iter_mut().all(|node| node.matches(tags)),
            Self::Any(nodes) => nodes.iter_mut().any(|node| node.matches(tags)),
            Self::Not(node) => !node.matches(tags),
        }
    }
}
