//! The state: partitions by name and the counters that never go back.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use tq_proto::{Error, ErrorKind, GlobalIndex, PartitionId, Result};

use crate::changes::Tombstones;
use crate::clear::ClearTicket;
use crate::parcels::Bin;
use crate::partition::Partition;
use crate::placement::Placement;
use crate::wording::some_of;

/// All status of one TransferQueue. Single owner: every change takes `&mut self`.
#[derive(Debug, Default)]
pub struct Controller {
    pub(crate) partitions: FxHashMap<PartitionId, Partition>,
    pub(crate) counters: Counters,
    /// Clears whose storage may not be dropped yet, by ticket number.
    pub(crate) unfinished: BTreeMap<u64, ClearTicket>,
    /// Keys that were cleared, for those who follow the changes.
    pub(crate) tombstones: Tombstones,
    /// Rows that lie in other storage units than the controller's own.
    pub(crate) placement: Placement,
    /// Parcels that no row needs any more.
    pub(crate) bin: Bin,
}

/// Counters that only go up, also across a partition that is dropped and created again.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    index: u64,
    change: u64,
    call: u64,
    ticket: u64,
}

impl Counters {
    pub(crate) fn next_index(&mut self) -> GlobalIndex {
        let index = GlobalIndex(self.index);
        self.index += 1;
        index
    }

    /// Number of a visible change; the first is 1.
    pub(crate) fn next_change(&mut self) -> u64 {
        self.change += 1;
        self.change
    }

    /// Number of the last visible change; 0 before the first.
    pub(crate) fn last_change(&self) -> u64 {
        self.change
    }

    /// Number of a call that marks the slots it has touched; the first is 1, 0 marks nothing.
    pub(crate) fn next_call(&mut self) -> u64 {
        self.call += 1;
        self.call
    }

    pub(crate) fn next_ticket(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }
}

impl Controller {
    /// A controller without partitions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Names of the partitions that exist, oldest first. A partition exists from the first publish
    /// into it until it is dropped, whether or not it holds samples.
    #[must_use]
    pub fn partitions(&self) -> Vec<PartitionId> {
        self.visible_by_age()
            .into_iter()
            .map(|partition| partition.id.clone())
            .collect()
    }

    /// Number of the last visible change to `partition`, 0 when it does not exist. What adds or
    /// shows samples, produces fields, sets tags or clears a sample raises it; consumption does
    /// not. Numbers are shared by all partitions, so a
    /// partition dropped and created again never shows a number it has shown before.
    #[must_use]
    pub fn sequence(&self, partition: &str) -> u64 {
        self.visible(partition)
            .map_or(0, |partition| partition.sequence)
    }

    /// Samples visible in `partition`, 0 when it does not exist.
    #[must_use]
    pub fn sample_count(&self, partition: &str) -> usize {
        self.visible(partition)
            .map_or(0, |partition| partition.slots.visible())
    }

    /// Whether `partition` exists.
    #[must_use]
    pub fn has_partition(&self, partition: &str) -> bool {
        self.visible(partition).is_some()
    }

    /// As [`Self::visible`], or `NotFound` naming the partitions that exist.
    pub(crate) fn existing(&self, partition: &str) -> Result<&Partition> {
        self.visible(partition).ok_or_else(|| {
            let known = match self.partitions() {
                none if none.is_empty() => "there are no partitions".to_owned(),
                known => format!("partitions are {}", some_of(known)),
            };
            Error::new(
                ErrorKind::NotFound,
                format!("partition `{partition}` was not found; {known}"),
            )
        })
    }

    /// As [`Self::existing`], to change it.
    pub(crate) fn existing_mut(
        &mut self,
        partition: &str,
    ) -> Result<(&mut Partition, &mut Counters)> {
        self.existing(partition)?;
        match self.partitions.get_mut(partition) {
            Some(state) => Ok((state, &mut self.counters)),
            None => Err(Error::new(ErrorKind::Internal, "a partition got lost")),
        }
    }

    pub(crate) fn visible_mut(
        &mut self,
        partition: &str,
    ) -> Option<(&mut Partition, &mut Counters)> {
        let state = self.partitions.get_mut(partition)?;
        state.exists().then_some((state, &mut self.counters))
    }

    pub(crate) fn visible(&self, partition: &str) -> Option<&Partition> {
        self.partitions
            .get(partition)
            .filter(|partition| partition.exists())
    }

    pub(crate) fn visible_by_age(&self) -> Vec<&Partition> {
        let mut found: Vec<_> = self
            .partitions
            .values()
            .filter(|partition| partition.exists())
            .collect();
        found.sort_unstable_by_key(|partition| partition.born);
        found
    }
}

#[cfg(test)]
mod tests {
    use tq_proto::DType;

    use super::*;
    use crate::pages::PAGE;
    use crate::put::FieldUpdate;
    use crate::schema::FieldSchemaUpdate;

    fn put(controller: &mut Controller, partition: &str, keys: &[String]) {
        let schema = FieldSchemaUpdate::Dense {
            dtype: DType::Int8,
            row_shape: [].into(),
        };
        let fields = [FieldUpdate {
            name: "f".into(),
            schema,
        }];
        let reservation = controller.reserve(partition, keys).unwrap();
        controller.publish(reservation, &fields, None).unwrap();
    }

    #[test]
    fn memory_follows_the_samples_held_and_not_the_highest_index() {
        let mut controller = Controller::new();
        put(&mut controller, "p", &["resident".into()]);
        for step in 0..500 {
            let keys: Vec<_> = (0..10).map(|row| format!("{step}_{row}")).collect();
            put(&mut controller, "p", &keys);
            put(&mut controller, "late", &keys[..1]);
            let ticket = controller.begin_clear_keys("p", &keys);
            controller.finish_clear(&ticket);
            let ticket = controller.begin_clear_keys("late", &keys[..1]);
            controller.finish_clear(&ticket);
        }
        put(&mut controller, "late", &["last".into()]);
        assert_eq!(
            controller.resolve("late", &["last"]).global_indexes,
            [GlobalIndex(5501)]
        );
        // Each sample left holds its page, and one more page was in use at a time.
        for (name, most) in [("p", 3 * PAGE), ("late", PAGE)] {
            let slots = &controller.partitions[name].slots;
            assert!(slots.in_order().all(|(slot, ..)| slot < most));
            assert!(slots.pages().at_hand() < most as usize);
        }
        assert_eq!(controller.sample_count("p"), 1);
        assert!(controller.unfinished.is_empty());
    }

    #[test]
    fn it_can_stand_behind_a_lock_between_threads() {
        fn shareable<T: Send + Sync + 'static>() {}
        shareable::<std::sync::RwLock<Controller>>();
        shareable::<crate::Reservation>();
    }

    #[test]
    fn a_partition_of_pending_samples_is_forgotten_with_the_last_of_them() {
        let mut controller = Controller::new();
        let first = controller.reserve("p", &["a", "b"]).unwrap();
        let second = controller.reserve("p", &["b"]).unwrap();
        controller.abandon(first);
        assert_eq!(controller.partitions["p"].slots.occupied(), 1);
        controller.abandon(second);
        assert!(controller.partitions.is_empty());
    }
}
