//! Samples grouped by the value of a tag.

use rustc_hash::FxHashMap;

use super::order::Order;
use crate::predicate::TagReader;
use crate::predicate::values::Equality;
use crate::tags::{TagName, Tags};

/// The groups of a partition, numbered as they were met.
pub(super) struct Groups<'a> {
    tag: TagReader,
    numbers: FxHashMap<Equality<'a>, usize>,
    /// The group of the last sample: those of a group mostly follow each other.
    last: Option<(Equality<'a>, usize)>,
    groups: Vec<Group>,
}

#[derive(Default)]
struct Group {
    /// Samples, selectable or not.
    samples: usize,
    /// Numbers of the candidates among them, ascending.
    candidates: Vec<usize>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(tag: &TagName) -> Self {
        Self {
            tag: TagReader::new(tag),
            numbers: FxHashMap::default(),
            last: None,
            groups: Vec::new(),
        }
    }

    /// Counts one more sample. Returns its group; none when it belongs to no group.
    pub(super) fn join(&mut self, tags: &'a Tags) -> Option<usize> {
        let value = self.tag.read(tags).and_then(Equality::of)?;
        let group = match self.last {
            Some((last, group)) if last == value => group,
            _ => {
                let next = self.groups.len();
                let group = *self.numbers.entry(value).or_insert(next);
                if group == next {
                    self.groups.push(Group::default());
                }
                group
            }
        };
        self.last = Some((value, group));
        self.groups[group].samples += 1;
        Some(group)
    }

    /// Makes the sample that joined `group` a candidate.
    pub(super) fn accept(&mut self, group: usize, candidate: usize) {
        self.groups[group].candidates.push(candidate);
    }

    /// The candidates of each group that has no other samples and is of the given size, in
    /// `order`; the groups as they were met.
    pub(super) fn complete(self, size: Option<usize>, order: &Order<'_>) -> Vec<Vec<usize>> {
        let complete = self.groups.into_iter().filter(|group| {
            group.candidates.len() == group.samples && size.is_none_or(|size| size == group.samples)
        });
        complete
            .map(|mut group| {
                order.sort(&mut group.candidates, |number| *number);
                group.candidates
            })
            .collect()
    }
}
