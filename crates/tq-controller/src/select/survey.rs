//! The one pass over the samples.

use crate::field::Field;
use crate::partition::Partition;
use crate::predicate::Matcher;
use crate::slots::Slot;

use super::groups::Groups;
use super::order::Order;
use super::{Selection, SelectionCounts};

/// What a selection needs to know of its partition.
pub(super) struct Survey<'a> {
    /// Complete up to what groups and the limit decide.
    pub(super) counts: SelectionCounts,
    /// Samples that could be selected, in the order in which they were looked at.
    pub(super) candidates: Vec<Slot>,
    /// Where groups were asked for: who is in which.
    pub(super) groups: Option<Groups<'a>>,
    /// The order of the candidates, which it knows by number.
    pub(super) order: Order<'a>,
}

impl<'a> Survey<'a> {
    pub(super) fn new(
        state: &'a Partition,
        selection: &Selection,
        named: Option<&[Slot]>,
        mut matcher: Matcher<'_>,
    ) -> Self {
        let fields = selection.fields.iter().map(|name| state.fields.get(name));
        let fields: Option<Vec<&Field>> = fields.collect();
        let consumed = selection
            .claim_for
            .as_ref()
            .and_then(|task| state.consumption.consumed(task));
        let mut counts = SelectionCounts::default();
        let mut candidates = Vec::new();
        let mut groups = selection.group_by.as_ref().map(Groups::new);
        let mut order = Order::new(&selection.order_by);

        let all = named.is_none().then(|| state.slots.in_order());
        let named = named.unwrap_or_default().iter().copied();
        for slot in named.chain(all.into_iter().flatten().map(|(slot, ..)| slot)) {
            let sample = &state.slots[slot];
            counts.samples += 1;
            let group = groups.as_mut().map(|groups| groups.join(&sample.tags));
            if !matcher.matches(&sample.tags) {
                counts.not_matching += 1;
                continue;
            }
            let is_ready = |fields: &Vec<&Field>| fields.iter().all(|f| f.is_produced(slot));
            if !fields.as_ref().is_some_and(is_ready) {
                counts.not_ready += 1;
                continue;
            }
            if consumed.is_some_and(|consumed| consumed.contains(slot)) {
                counts.already_claimed += 1;
                continue;
            }
            match (&mut groups, group) {
                (Some(groups), Some(Some(group))) => groups.accept(group, candidates.len()),
                (Some(_), _) => {
                    counts.incomplete_group += 1;
                    continue;
                }
                (None, _) => {}
            }
            candidates.push(slot);
            order.push(&sample.tags);
        }
        Self {
            counts,
            candidates,
            groups,
            order,
        }
    }
}
