//! Selections: which samples match a condition, are ready and fit, and why the others do not;
//! with a claim, in the same step.
//!
//! A selection looks at the samples that have a key, or at those of given keys, once each. They are
//! ordered by the tags in `order_by`, then by creation or as their keys are given. Numbers come before text, and last, in both directions, comes
//! what has no order: a missing tag, `None`, a NaN and values of other types.
//!
//! With `group_by`, all samples with an equal value of that tag are one group, which is selected
//! whole or not at all: each of its samples must match, be ready and not be claimed. A sample
//! without the tag, or with a NaN, belongs to no group and is not selected. Groups are ordered by
//! their first sample, and the samples within a group as they are elsewhere. A group that does not
//! fit under the limit any more is passed over for one that does, so that one large group cannot
//! hold up all the others.

mod groups;
mod order;
mod survey;

use tq_proto::{Error, ErrorKind, FieldName, GlobalIndex, Key, Result, TaskName};

use crate::Controller;
use crate::partition::Partition;
use crate::predicate::{Matcher, Predicate};
use crate::slots::Slot;
use crate::tags::{TagName, Tags};

use self::order::take;
use self::survey::Survey;

/// What to select.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// The samples in question, in this order; all samples of the partition where `None`. Unknown
    /// keys are passed over, and so is the repetition of a key.
    pub keys: Option<Vec<Key>>,
    /// Condition on the tags of a sample.
    pub predicate: Predicate,
    /// Fields that must be produced; with one that was never put no sample is ready.
    pub fields: Vec<FieldName>,
    /// Tags to order by, the most important first, and whether descending.
    pub order_by: Vec<(TagName, bool)>,
    /// How many samples to select at most.
    pub limit: Option<usize>,
    /// Tag whose equal values make samples a group.
    pub group_by: Option<TagName>,
    /// How many samples a group has; others count as incomplete. Needs `group_by`.
    pub group_size: Option<usize>,
    /// Task for which the samples must not be consumed and are marked as consumed.
    pub claim_for: Option<TaskName>,
}

impl Default for Selection {
    /// Selects every sample that has a key.
    fn default() -> Self {
        Self {
            keys: None,
            predicate: Predicate::Always,
            fields: Vec::new(),
            order_by: Vec::new(),
            limit: None,
            group_by: None,
            group_size: None,
            claim_for: None,
        }
    }
}

/// Answer to [`Controller::select`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Selected {
    /// The samples, in the order asked for.
    pub global_indexes: Vec<GlobalIndex>,
    /// The key of each.
    pub keys: Vec<Key>,
    /// The tags of each.
    pub tags: Vec<Tags>,
    /// Sorted names of the fields produced for all of them; empty when there are none.
    pub fields: Vec<FieldName>,
    /// What became of every sample looked at.
    pub counts: SelectionCounts,
}

/// What became of the samples with a key. Each counts in the first of the reasons that applies to
/// it, in this order, or as selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SelectionCounts {
    /// All of them.
    pub samples: usize,
    /// Selected.
    pub selected: usize,
    /// The predicate is false.
    pub not_matching: usize,
    /// A field is not produced.
    pub not_ready: usize,
    /// The claiming task has consumed it before.
    pub already_claimed: usize,
    /// Of no group, or of one that is not taken for one of the reasons above or its size.
    pub incomplete_group: usize,
    /// Does not fit under the limit any more.
    pub over_limit: usize,
}

impl Controller {
    /// Selects samples of `partition`, and claims them where a task is given: they are marked as
    /// consumed by it, so that no two claims of a task get the same sample. That is no change to
    /// the samples and leaves [`Self::sequence`] alone. Nothing is selected in an unknown
    /// partition. One pass over the samples, plus sorting where an order is asked for.
    ///
    /// # Errors
    /// `InvalidArgument` when the predicate is nested too deep, or a group size is 0 or given
    /// without a tag to group by. Nothing is claimed then.
    pub fn select(&mut self, partition: &str, selection: &Selection) -> Result<Selected> {
        let matcher = check(selection).map_err(|error| error.with("partition", partition))?;
        let Some((state, counters)) = self.visible_mut(partition) else {
            return Ok(Selected::default());
        };
        let named = selection
            .keys
            .as_ref()
            .map(|keys| state.slots_of(keys, counters.next_call()));
        let (slots, counts) = choose(state, selection, named.as_deref(), matcher);
        let selected = answer(state, &slots, counts);
        if let Some(task) = &selection.claim_for
            && !slots.is_empty()
        {
            state.mark_consumed(task, &slots);
        }
        Ok(selected)
    }
}

/// Everything that can speak against a selection.
fn check(selection: &Selection) -> Result<Matcher<'_>> {
    let invalid = |message: &str| Err(Error::new(ErrorKind::InvalidArgument, message));
    match (selection.group_size, &selection.group_by) {
        (Some(0), _) => invalid("groups of 0 samples were asked for; a group has at least one"),
        (Some(size), None) => invalid(&format!(
            "groups of {size} samples were asked for without a tag to group by; give both"
        )),
        _ => Matcher::new(&selection.predicate),
    }
}

/// The selected slots in order.
fn choose(
    state: &Partition,
    selection: &Selection,
    named: Option<&[Slot]>,
    matcher: Matcher<'_>,
) -> (Vec<Slot>, SelectionCounts) {
    let Survey {
        mut counts,
        candidates,
        groups,
        order,
    } = Survey::new(state, selection, named, matcher);
    let numbers = match groups {
        None => take(
            (0..candidates.len()).collect(),
            selection.limit,
            &order,
            |_| 1,
            |number| *number,
        ),
        Some(groups) => {
            let complete = groups.complete(selection.group_size, &order);
            let members = complete.iter().map(Vec::len).sum::<usize>();
            counts.incomplete_group += candidates.len() - members;
            take(complete, selection.limit, &order, Vec::len, |group| {
                group[0]
            })
            .concat()
        }
    };
    counts.selected = numbers.len();
    let refused = counts.not_matching + counts.not_ready + counts.already_claimed;
    counts.over_limit = counts.samples - counts.selected - refused - counts.incomplete_group;
    let slots = numbers.iter().map(|number| candidates[*number]).collect();
    (slots, counts)
}

impl Partition {
    /// Slots of the visible samples among `keys`, each once.
    fn slots_of(&mut self, keys: &[Key], call: u64) -> Vec<Slot> {
        let mut slots: Vec<_> = self.visible_slots(keys).flatten().collect();
        slots.retain(|slot| self.slots.touch(*slot, call));
        slots
    }
}

fn answer(state: &Partition, slots: &[Slot], counts: SelectionCounts) -> Selected {
    let mut selected = Selected {
        global_indexes: Vec::with_capacity(slots.len()),
        keys: Vec::with_capacity(slots.len()),
        tags: Vec::with_capacity(slots.len()),
        fields: state.fields.ready(slots, state.slots.visible()),
        counts,
    };
    for sample in slots.iter().map(|slot| &state.slots[*slot]) {
        selected.global_indexes.push(sample.index);
        // Only samples with a key were looked at.
        selected.keys.extend(sample.key.clone());
        selected.tags.push(sample.tags.clone());
    }
    selected
}
