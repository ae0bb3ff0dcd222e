//! The order of the candidates, and taking as many as a limit allows.

use std::cmp::Ordering;

use crate::predicate::TagReader;
use crate::predicate::values::Ordered;
use crate::tags::{TagName, Tags};

/// The values to order the candidates by. They are known by their numbers, which ascend with
/// their creation.
pub(super) struct Order<'a> {
    tags: Vec<TagReader>,
    descending: Vec<bool>,
    /// One per candidate and tag.
    values: Vec<Option<Ordered<'a>>>,
}

impl<'a> Order<'a> {
    pub(super) fn new(order_by: &[(TagName, bool)]) -> Self {
        Self {
            tags: order_by
                .iter()
                .map(|(tag, _)| TagReader::new(tag))
                .collect(),
            descending: order_by.iter().map(|(_, descending)| *descending).collect(),
            values: Vec::new(),
        }
    }

    /// Adds a candidate.
    pub(super) fn push(&mut self, tags: &'a Tags) {
        let values = self.tags.iter_mut();
        self.values
            .extend(values.map(|tag| tag.read(tags).and_then(Ordered::of)));
    }

    /// Whether the candidates are in order as they are numbered.
    fn is_by_creation(&self) -> bool {
        self.tags.is_empty()
    }

    fn values_of(&self, candidate: usize) -> &[Option<Ordered<'a>>] {
        let width = self.tags.len();
        &self.values[candidate * width..][..width]
    }

    fn compare(&self, a: usize, b: usize) -> Ordering {
        let pairs = self.values_of(a).iter().zip(self.values_of(b));
        for ((left, right), descending) in pairs.zip(&self.descending) {
            let order = match (left, right) {
                (Some(left), Some(right)) if *descending => right.total(*left),
                (Some(left), Some(right)) => left.total(*right),
                // What has no order comes last in both directions.
                (left, right) => left.is_none().cmp(&right.is_none()),
            };
            if order.is_ne() {
                return order;
            }
        }
        a.cmp(&b)
    }

    /// Sorts `units` by one candidate of each.
    pub(super) fn sort<U>(&self, units: &mut [U], candidate: impl Fn(&U) -> usize) {
        if !self.is_by_creation() {
            units.sort_unstable_by(|a, b| self.compare(candidate(a), candidate(b)));
        }
    }

    /// Brings the first `count` of `units` to the front, in any order.
    fn partition<U>(&self, units: &mut [U], count: usize, candidate: impl Fn(&U) -> usize) {
        if !self.is_by_creation() && count < units.len() {
            units.select_nth_unstable_by(count, |a, b| self.compare(candidate(a), candidate(b)));
        }
    }
}

/// Takes units of candidates in order, as long as samples are left of the limit, passing over
/// those that are too large for what is left. The units come by creation; `candidate` names the
/// one that gives a unit its place. Only as many are sorted as are looked at.
pub(super) fn take<U: Default>(
    mut units: Vec<U>,
    limit: Option<usize>,
    order: &Order<'_>,
    size: impl Fn(&U) -> usize,
    candidate: impl Fn(&U) -> usize,
) -> Vec<U> {
    let Some(mut left) = limit else {
        order.sort(&mut units, candidate);
        return units;
    };
    let smallest = units.iter().map(&size).min().unwrap_or_default();
    let mut taken = Vec::new();
    let (mut seen, mut more) = (0, left);
    while seen < units.len() && left >= smallest {
        let rest = &mut units[seen..];
        // Doubling keeps the cost down where many units in a row are too large.
        more = more.max(1).min(rest.len());
        order.partition(rest, more, &candidate);
        let next = &mut rest[..more];
        order.sort(next, &candidate);
        for unit in next {
            if size(unit) <= left {
                left -= size(unit);
                taken.push(std::mem::take(unit));
            }
        }
        seen += more;
        more *= 2;
    }
    taken
}
