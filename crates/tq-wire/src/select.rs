//! Selections and the conditions in them.
//!
//! A condition is sent as a list in which parts come before what they are parts of, so that no
//! nesting of messages, and no recursion, stands behind it.

use tq_controller::{Comparison, Predicate, Selected, Selection, SelectionCounts};
use tq_proto::Result;

use crate::malformed::{malformed, required, same_length};
use crate::proto::{self, Condition, SelectRequest, Values, condition::Kind};
use crate::tags::tags;
use crate::texts::{count, field_names, indexes, names, numbers, texts};

impl proto::Predicate {
    /// The message for `predicate`.
    #[must_use]
    pub fn of(predicate: &Predicate) -> Self {
        let mut conditions = Vec::new();
        // Backwards and parents first, so that a stack does for it; then turned around.
        let mut left = vec![predicate];
        while let Some(next) = left.pop() {
            let parts: &[Predicate] = match next {
                Predicate::And(parts) | Predicate::Or(parts) => parts,
                Predicate::Not(part) => std::slice::from_ref(part),
                _ => &[],
            };
            conditions.push(condition(next, parts.len()));
            left.extend(parts);
        }
        conditions.reverse();
        Self { conditions }
    }

    /// The predicate.
    ///
    /// # Errors
    /// `Internal` where the conditions do not combine to one, or nest deeper than
    /// [`Predicate::MAX_DEPTH`].
    pub fn read(self) -> Result<Predicate> {
        // With each predicate its depth: dropping deep ones recurses.
        let mut stack: Vec<(Predicate, usize)> = Vec::new();
        for next in self.conditions {
            let parts = next.parts as usize;
            let first = stack
                .len()
                .checked_sub(parts)
                .ok_or_else(|| malformed("a condition lacks its parts"))?;
            let deepest = stack[first..].iter().map(|(_, depth)| *depth).max();
            let depth = deepest.map_or(1, |depth| depth + 1);
            if depth > Predicate::MAX_DEPTH {
                return Err(malformed("conditions are nested too deep"));
            }
            let parts = stack.drain(first..).map(|(part, _)| part).collect();
            let predicate = read(next, parts)?;
            stack.push((predicate, depth));
        }
        match (stack.pop(), stack.pop()) {
            (Some((predicate, _)), None) => Ok(predicate),
            _ => Err(malformed("conditions do not combine to one")),
        }
    }
}

fn condition(predicate: &Predicate, parts: usize) -> Condition {
    let (kind, tag, values) = match predicate {
        Predicate::Always => (Kind::Always, None, None),
        Predicate::Compare { tag, op, value } => {
            (of_comparison(*op), Some(tag), Some(Values::of([value])))
        }
        Predicate::OneOf {
            tag,
            values,
            negated,
        } => {
            let kind = if *negated { Kind::NoneOf } else { Kind::OneOf };
            (kind, Some(tag), Some(Values::of(values)))
        }
        Predicate::Has(tag) => (Kind::Has, Some(tag), None),
        Predicate::And(_) => (Kind::And, None, None),
        Predicate::Or(_) => (Kind::Or, None, None),
        Predicate::Not(_) => (Kind::Not, None, None),
    };
    Condition {
        kind: kind.into(),
        tag: tag.map_or_else(String::new, ToString::to_string),
        values,
        parts: parts as u32,
    }
}

const fn of_comparison(comparison: Comparison) -> Kind {
    match comparison {
        Comparison::Equal => Kind::Equal,
        Comparison::NotEqual => Kind::NotEqual,
        Comparison::Less => Kind::Less,
        Comparison::LessOrEqual => Kind::LessOrEqual,
        Comparison::Greater => Kind::Greater,
        Comparison::GreaterOrEqual => Kind::GreaterOrEqual,
    }
}

fn read(condition: Condition, mut parts: Vec<Predicate>) -> Result<Predicate> {
    let kind = Kind::try_from(condition.kind)
        .map_err(|error| malformed("unknown condition").caused_by(error))?;
    let compared = match kind {
        Kind::And => return Ok(Predicate::And(parts)),
        Kind::Or => return Ok(Predicate::Or(parts)),
        Kind::Not => {
            let only = parts.pop().filter(|_| parts.is_empty());
            let only = required("single part of a negation", only)?;
            return Ok(Predicate::Not(Box::new(only)));
        }
        _ if !parts.is_empty() => return Err(malformed("a comparison has parts")),
        Kind::Always => return Ok(Predicate::Always),
        Kind::Has => return Ok(Predicate::Has(condition.tag.into())),
        Kind::OneOf | Kind::NoneOf => {
            return Ok(Predicate::OneOf {
                tag: condition.tag.into(),
                values: condition.values.unwrap_or_default().read()?,
                negated: kind == Kind::NoneOf,
            });
        }
        Kind::Equal => Comparison::Equal,
        Kind::NotEqual => Comparison::NotEqual,
        Kind::Less => Comparison::Less,
        Kind::LessOrEqual => Comparison::LessOrEqual,
        Kind::Greater => Comparison::Greater,
        Kind::GreaterOrEqual => Comparison::GreaterOrEqual,
    };
    let mut values = condition.values.unwrap_or_default().read()?;
    let only = values.pop().filter(|_| values.is_empty());
    Ok(Predicate::Compare {
        tag: condition.tag.into(),
        op: compared,
        value: required("single value of a comparison", only)?,
    })
}

impl SelectRequest {
    /// The request for `selection` in `partition`.
    #[must_use]
    pub fn of(partition: &str, selection: &Selection) -> Self {
        let (order_by, descending) = selection
            .order_by
            .iter()
            .map(|(tag, descending)| (String::from(&**tag), *descending))
            .unzip();
        Self {
            partition: partition.into(),
            keys: selection.keys.as_ref().map(proto::Texts::of),
            predicate: Some(proto::Predicate::of(&selection.predicate)),
            fields: names(&selection.fields),
            order_by,
            descending,
            limit: selection.limit.map(|limit| limit as u64),
            group_by: selection.group_by.as_deref().map(String::from),
            group_size: selection.group_size.map(|size| size as u64),
            claim_for: selection.claim_for.as_deref().map(String::from),
        }
    }

    /// The partition and the selection.
    ///
    /// # Errors
    /// As [`proto::Predicate::read`]; `Internal` where the directions are not as many as the tags
    /// to order by.
    pub fn read(self) -> Result<(String, Selection)> {
        same_length("directions", self.descending.len(), self.order_by.len())?;
        let order_by = self.order_by.into_iter().map(Into::into);
        let keys = self.keys.as_ref().map(proto::Texts::read).transpose()?;
        let selection = Selection {
            keys: keys.map(|keys| keys.into_iter().map(Into::into).collect()),
            predicate: required("predicate", self.predicate)?.read()?,
            fields: field_names(self.fields),
            order_by: order_by.zip(self.descending).collect(),
            limit: self.limit.map(count),
            group_by: self.group_by.map(Into::into),
            group_size: self.group_size.map(count),
            claim_for: self.claim_for.map(Into::into),
        };
        Ok((self.partition, selection))
    }
}

impl proto::SelectedReply {
    /// The reply that gives `selected`.
    #[must_use]
    pub fn of(selected: &Selected) -> Self {
        let counts = &selected.counts;
        Self {
            global_indexes: numbers(&selected.global_indexes),
            keys: Some(proto::Texts::of(&selected.keys)),
            tags: Some(proto::Tags::of(&selected.tags)),
            fields: names(&selected.fields),
            samples: counts.samples as u64,
            selected: counts.selected as u64,
            not_matching: counts.not_matching as u64,
            not_ready: counts.not_ready as u64,
            already_claimed: counts.already_claimed as u64,
            incomplete_group: counts.incomplete_group as u64,
            over_limit: counts.over_limit as u64,
        }
    }

    /// What was selected.
    ///
    /// # Errors
    /// `Internal` where the columns contradict each other.
    pub fn read(self) -> Result<Selected> {
        let rows = self.global_indexes.len();
        let keys = texts(self.keys.as_ref())?;
        same_length("keys", keys.len(), rows)?;
        Ok(Selected {
            keys: keys.into_iter().map(Into::into).collect(),
            tags: tags(self.tags.as_ref(), rows)?,
            fields: field_names(self.fields),
            counts: SelectionCounts {
                samples: count(self.samples),
                selected: count(self.selected),
                not_matching: count(self.not_matching),
                not_ready: count(self.not_ready),
                already_claimed: count(self.already_claimed),
                incomplete_group: count(self.incomplete_group),
                over_limit: count(self.over_limit),
            },
            global_indexes: indexes(self.global_indexes),
        })
    }
}
