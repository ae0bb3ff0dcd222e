//! What has changed in a partition since a given change: each key once, as it is now.
//!
//! Every visible change has a number ([`Controller::sequence`]). A log of slots in the order of
//! their last change tells which samples are newer than a number; what they are now is read from
//! the samples themselves, so that nothing is kept twice and whoever asks late gets the sum of what
//! he missed. A cleared sample leaves its key behind as a tombstone. Tombstones outlive their
//! partition, and so many of them are kept over all partitions; who asks from before the oldest one
//! of his partition is told that he may have missed some.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use tq_proto::{FieldName, GlobalIndex, Key, PartitionId};

use crate::Controller;
use crate::partition::Partition;
use crate::slots::{Slot, Slots};
use crate::tags::Tags;

/// Tombstones kept over all partitions; about 60 bytes each beside the keys.
const TOMBSTONES: usize = 1 << 17;
/// Partitions of which it is known one by one up to when tombstones went.
const TOLD_APART: usize = 1 << 12;

/// The state of one key after its last change.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyChange {
    /// Number of that change.
    pub sequence: u64,
    /// The key.
    pub key: Key,
    /// Sorted names of the fields produced for it; none when it was cleared.
    pub fields: Arc<[FieldName]>,
    /// Its tags; none when it was cleared.
    pub tags: Tags,
    /// Whether it is gone.
    pub cleared: bool,
}

/// Answer to [`Controller::changes`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// Keys in the order of their last change.
    pub changes: Vec<KeyChange>,
    /// What to ask from next time.
    pub next: u64,
    /// False when keys may have been cleared since, and be missing here.
    pub complete: bool,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    sequence: u64,
    slot: Slot,
    index: GlobalIndex,
}

/// The slots of a partition in the order of their last change.
#[derive(Debug, Default)]
pub(crate) struct ChangeLog {
    /// Ascending in sequence. Of the entries of a slot only the last one counts.
    entries: VecDeque<Entry>,
    /// The number of the last entry of each slot.
    last: Vec<u64>,
}

impl ChangeLog {
    const FEW: usize = 64;

    pub(crate) fn changed(&mut self, sequence: u64, slots: &[Slot], samples: &Slots) {
        for slot in slots {
            let place = *slot as usize;
            if place >= self.last.len() {
                self.last.resize(place + 1, 0);
            }
            self.last[place] = sequence;
            self.entries.push_back(Entry {
                sequence,
                slot: *slot,
                index: samples[*slot].index,
            });
        }
        self.forget_outdated(samples);
    }

    /// Runs each time most of the log may be outdated, so its cost per change stays constant.
    fn forget_outdated(&mut self, samples: &Slots) {
        if self.entries.len() > 2 * samples.visible() + Self::FEW {
            let last = &self.last;
            self.entries.retain(|entry| is_last(last, entry, samples));
        }
    }

    /// Entries after `since` that count.
    fn after<'a>(&'a self, since: u64, samples: &'a Slots) -> impl Iterator<Item = &'a Entry> {
        let start = self
            .entries
            .partition_point(|entry| entry.sequence <= since);
        self.entries
            .range(start..)
            .filter(|entry| is_last(&self.last, entry, samples))
    }
}

fn is_last(last: &[u64], entry: &Entry, samples: &Slots) -> bool {
    last.get(entry.slot as usize) == Some(&entry.sequence) && samples.holds(entry.slot, entry.index)
}

/// Keys that were cleared, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    of: FxHashMap<PartitionId, VecDeque<(u64, Key)>>,
    /// Whose tombstone is the oldest, the second oldest, and so on.
    order: VecDeque<PartitionId>,
    /// Number of the newest clear of which a tombstone went, by partition.
    lost: FxHashMap<PartitionId, u64>,
    /// The same, of the partitions that are no longer told apart.
    lost_anywhere: u64,
}

impl Tombstones {
    pub(crate) fn add(&mut self, partition: &PartitionId, sequence: u64, keys: Vec<Key>) {
        let own = self.of.entry(partition.clone()).or_default();
        for key in keys {
            own.push_back((sequence, key));
            self.order.push_back(partition.clone());
        }
        if own.is_empty() {
            self.of.remove(partition);
        }
        while self.order.len() > TOMBSTONES {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(partition) = self.order.pop_front() else {
            return;
        };
        let Some(own) = self.of.get_mut(&partition) else {
            return;
        };
        if let Some((sequence, _)) = own.pop_front() {
            self.lost.insert(partition.clone(), sequence);
        }
        if own.is_empty() {
            self.of.remove(&partition);
        }
        if self.lost.len() > TOLD_APART {
            let newest = self.lost.drain().map(|(_, sequence)| sequence).max();
            self.lost_anywhere = self.lost_anywhere.max(newest.unwrap_or(0));
        }
    }

    /// Whether all clears of `partition` after `since` are still known.
    fn is_complete(&self, partition: &str, since: u64) -> bool {
        let lost = self.lost.get(partition).copied().unwrap_or(0);
        since >= lost.max(self.lost_anywhere)
    }

    fn after(&self, partition: &str, since: u64) -> impl Iterator<Item = &(u64, Key)> {
        let own = self.of.get(partition);
        let start = own.map_or(0, |own| {
            own.partition_point(|(sequence, _)| *sequence <= since)
        });
        own.into_iter().flat_map(move |own| own.range(start..))
    }
}

impl Controller {
    /// What has changed in `partition` after change `since`: each key that changed once, as it is
    /// now, and the keys that were cleared. From 0 on, all keys there are. At least `limit` keys
    /// where there are so many, up to the end of the change that reaches it. Samples without a key
    /// are passed over.
    #[must_use]
    pub fn changes(&self, partition: &str, since: u64, limit: usize) -> Changes {
        let mut found = Changes {
            complete: since == 0 || self.tombstones.is_complete(partition, since),
            ..Changes::default()
        };
        // Who starts has nothing that could be gone.
        let from = if since == 0 { u64::MAX } else { since };
        let mut cleared = self.tombstones.after(partition, from).peekable();
        let state = self.visible(partition);
        let mut changed = state
            .into_iter()
            .flat_map(|state| state.log.after(since, &state.slots))
            .peekable();
        let mut fields = FieldSets::default();
        loop {
            let next = match (cleared.peek(), changed.peek()) {
                (None, None) => break,
                (Some((sequence, _)), None) => *sequence,
                (None, Some(entry)) => entry.sequence,
                (Some((sequence, _)), Some(entry)) => entry.sequence.min(*sequence),
            };
            if found.changes.len() >= limit && next > found.next {
                return found;
            }
            found.next = next;
            if let Some((sequence, key)) = cleared.next_if(|(sequence, _)| *sequence == next) {
                found.changes.push(KeyChange {
                    sequence: *sequence,
                    key: key.clone(),
                    fields: Arc::default(),
                    tags: Tags::default(),
                    cleared: true,
                });
            } else if let (Some(entry), Some(state)) = (changed.next(), state) {
                found.changes.extend(now(entry, state, &mut fields));
            }
        }
        found.next = self.counters.last_change();
        found
    }
}

fn now(entry: &Entry, state: &Partition, fields: &mut FieldSets) -> Option<KeyChange> {
    let sample = &state.slots[entry.slot];
    Some(KeyChange {
        sequence: entry.sequence,
        key: sample.key.clone()?,
        fields: fields.of(state, entry.slot),
        tags: sample.tags.clone(),
        cleared: false,
    })
}

/// The last set of fields found: samples that follow each other mostly have the same.
#[derive(Default)]
struct FieldSets {
    numbers: Vec<usize>,
    names: Arc<[FieldName]>,
}

impl FieldSets {
    fn of(&mut self, state: &Partition, slot: Slot) -> Arc<[FieldName]> {
        let produced = || {
            state
                .fields
                .iter()
                .enumerate()
                .filter(move |(_, field)| field.is_produced(slot))
        };
        if !produced()
            .map(|(number, _)| number)
            .eq(self.numbers.iter().copied())
        {
            self.numbers = produced().map(|(number, _)| number).collect();
            let mut names: Vec<_> = produced().map(|(_, field)| field.name.clone()).collect();
            names.sort_unstable();
            self.names = names.into();
        }
        Arc::clone(&self.names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags::TagValue;

    fn put(controller: &mut Controller, keys: &[&str], tag: i64) {
        let reservation = controller.reserve("p", keys).unwrap();
        let tags = keys
            .iter()
            .map(|_| [("n".into(), TagValue::Int(tag))].into_iter().collect())
            .collect();
        controller.publish(reservation, &[], Some(tags)).unwrap();
    }

    fn clear(controller: &mut Controller, keys: &[&str]) {
        let ticket = controller.begin_clear_keys("p", keys);
        controller.finish_clear(&ticket);
    }

    /// `key=tag` or `-key`.
    fn said(changes: &Changes) -> Vec<String> {
        let word = |change: &KeyChange| match change.tags.get("n") {
            Some(TagValue::Int(tag)) => format!("{}={tag}", change.key),
            _ => format!("-{}", change.key),
        };
        changes.changes.iter().map(word).collect()
    }

    #[test]
    fn each_key_is_told_once_as_it_is_now() {
        let mut controller = Controller::new();
        put(&mut controller, &["a", "b"], 1);
        let first = controller.changes("p", 0, 100);
        assert_eq!(said(&first), ["a=1", "b=1"]);
        put(&mut controller, &["a"], 2);
        put(&mut controller, &["c"], 3);
        put(&mut controller, &["a"], 4);
        let second = controller.changes("p", first.next, 100);
        assert_eq!(said(&second), ["c=3", "a=4"]);
        assert!(controller.changes("p", second.next, 100).changes.is_empty());
        assert_eq!(
            said(&controller.changes("p", 0, 100)),
            ["b=1", "c=3", "a=4"]
        );
    }

    #[test]
    fn clears_are_told_also_after_the_partition_is_gone() {
        let mut controller = Controller::new();
        put(&mut controller, &["a", "b", "c"], 1);
        let start = controller.changes("p", 0, 100).next;
        clear(&mut controller, &["a"]);
        put(&mut controller, &["a"], 2);
        clear(&mut controller, &["b"]);
        assert_eq!(
            said(&controller.changes("p", start, 100)),
            ["-a", "a=2", "-b"]
        );
        let ticket = controller.drop_partition("p").unwrap();
        controller.finish_clear(&ticket);
        let gone = controller.changes("p", start, 100);
        assert_eq!(said(&gone), ["-a", "-b", "-c", "-a"]);
        put(&mut controller, &["d"], 5);
        assert_eq!(said(&controller.changes("p", gone.next, 100)), ["d=5"]);
        assert_eq!(said(&controller.changes("p", 0, 100)), ["d=5"]);
    }

    #[test]
    fn a_limit_ends_between_two_changes_and_the_next_call_goes_on() {
        let mut controller = Controller::new();
        put(&mut controller, &["a", "b", "c"], 1);
        put(&mut controller, &["d"], 2);
        clear(&mut controller, &["a"]);
        let first = controller.changes("p", 0, 1);
        assert_eq!(said(&first), ["b=1", "c=1"]);
        let second = controller.changes("p", first.next, 1);
        assert_eq!(said(&second), ["d=2"]);
        assert_eq!(said(&controller.changes("p", second.next, 1)), ["-a"]);
    }

    #[test]
    fn who_asks_from_before_the_oldest_tombstone_is_told_so() {
        let mut controller = Controller::new();
        put(&mut controller, &["a"], 1);
        let start = controller.changes("p", 0, 1).next;
        let keys: Vec<String> = (0..=TOMBSTONES).map(|i| i.to_string()).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        put(&mut controller, &keys, 1);
        let quiet = controller.reserve("quiet", &["q"]).unwrap();
        controller.publish(quiet, &[], None).unwrap();
        let between = controller.changes("other", 0, 1).next;
        clear(&mut controller, &keys);
        assert!(!controller.changes("p", start, 1).complete);
        assert!(!controller.changes("p", between, 1).complete);
        assert!(controller.changes("p", 0, 1).complete);
        assert!(controller.changes("quiet", start, 1).complete);
        let now = controller.changes("p", 0, usize::MAX).next;
        assert!(controller.changes("p", now, 1).complete);
        assert_eq!(controller.tombstones.order.len(), TOMBSTONES);
    }

    #[test]
    fn the_log_does_not_outgrow_the_samples() {
        let mut controller = Controller::new();
        put(&mut controller, &["a", "b"], 0);
        for tag in 0..10_000 {
            put(&mut controller, &["a"], tag);
        }
        let log = &controller.partitions["p"].log;
        assert!(log.entries.len() <= 2 * 2 + ChangeLog::FEW + 1);
        assert_eq!(said(&controller.changes("p", 0, 9)), ["b=0", "a=9999"]);
    }

    #[test]
    fn samples_without_a_key_are_not_told() {
        let mut controller = Controller::new();
        controller.insert("p", 3).unwrap();
        put(&mut controller, &["a"], 1);
        assert_eq!(said(&controller.changes("p", 0, 9)), ["a=1"]);
    }
}
