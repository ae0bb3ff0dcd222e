//! A controller and its model, which take every step together.

use std::collections::BTreeSet;

use tq_controller::{ClearTicket, Controller, Reservation};
use tq_proto::ErrorKind;

use crate::model::{Model, Pairs, Partition};
use crate::steps::{Fault, Kind, Op, PARTITIONS};
use crate::words::{field, indexes, keys, merge, numbers, partition, tags};

#[derive(Default)]
pub(crate) struct Pair {
    pub(crate) real: Controller,
    pub(crate) model: Model,
    reserved: Vec<(Reservation, String, Vec<u64>)>,
    tickets: Vec<ClearTicket>,
    /// Makes the values of tags differ.
    steps: i64,
}

impl Pair {
    pub(crate) fn run(&mut self, op: Op) {
        self.steps += 1;
        let before: Vec<_> = (0..PARTITIONS)
            .map(|p| self.real.sequence(&partition(p)))
            .collect();
        let changed = self.step(op);
        for (number, before) in before.into_iter().enumerate() {
            let id = partition(number);
            let now = self.real.sequence(&id);
            if self.model.existing(&id).is_none() {
                assert_eq!(now, 0);
            } else if changed.as_ref() == Some(&id) {
                assert!(now > before);
            } else {
                assert_eq!(now, before);
            }
        }
    }

    /// Returns the partition of which something that listings or statuses show has changed.
    fn step(&mut self, op: Op) -> Option<String> {
        match op {
            Op::Reserve(number, wanted) => {
                self.reserve(partition(number), &keys(&wanted));
                None
            }
            Op::ReserveIndexes(number, picks) => {
                self.reserve_indexes(partition(number), &picks);
                None
            }
            Op::Insert(number, count) => {
                let id = partition(number);
                let inserted = self.real.insert(&id, count);
                assert_eq!(inserted.is_ok(), count > 0);
                let inserted = numbers(&inserted.ok()?);
                assert_eq!(inserted.len(), count);
                self.model.insert(&id, &inserted);
                Some(id)
            }
            Op::Register(number, wanted) => self.register(partition(number), &keys(&wanted)),
            Op::Preallocate(number, count) => {
                let id = partition(number);
                self.real.preallocate(&id, count).unwrap();
                if self.model.existing(&id).is_some() {
                    return None;
                }
                let new = numbers(&self.real.all_indexes(&id).unwrap());
                assert_eq!(new.len(), count);
                self.model.preallocate(&id, &new);
                Some(id)
            }
            Op::Publish {
                which,
                fields,
                tags,
                fault,
            } => {
                let taken = self.take(which)?;
                self.publish(taken, &fields, &tags, &fault)
            }
            Op::Abandon(which) => {
                let (real, id, indexes) = self.take(which)?;
                let orphans = self.real.abandon(real);
                assert_eq!(numbers(&orphans), self.model.abandon(&id, &indexes));
                None
            }
            Op::ClearKeys(number, wanted) => {
                let (id, keys) = (partition(number), keys(&wanted));
                let ticket = self.real.begin_clear_keys(&id, &keys);
                let state = self.model.of(&id);
                let found: Vec<_> = keys.iter().filter_map(|k| state.visible_key(k)).collect();
                let cleared = self.model.clear(&id, &found);
                self.cleared(ticket, &cleared).then_some(id)
            }
            Op::ClearIndexes(number, picks) => {
                let id = partition(number);
                let wanted = self.pick(&id, &picks);
                let ticket = self.real.begin_clear_indexes(&id, &indexes(&wanted));
                let cleared = self.model.clear(&id, &wanted);
                self.cleared(ticket, &cleared).then_some(id)
            }
            Op::DropPartition(number) => {
                let id = partition(number);
                let ticket = self.real.drop_partition(&id);
                let cleared = self.model.drop_partition(&id);
                assert_eq!(ticket.is_some(), cleared.is_some());
                self.cleared(ticket?, &cleared?);
                None
            }
            Op::FinishClear(which) => {
                if !self.tickets.is_empty() {
                    let ticket = self.tickets.remove(which % self.tickets.len());
                    self.real.finish_clear(&ticket);
                    let done = BTreeSet::from_iter(numbers(ticket.global_indexes()));
                    self.model.unfinished.retain(|indexes| *indexes != done);
                }
                None
            }
            Op::Retag(number, picks, replace) => {
                let id = partition(number);
                let wanted = self.pick(&id, &picks);
                self.retag(id, &wanted, replace)
            }
            consumption => {
                self.consume(consumption);
                None
            }
        }
    }

    pub(crate) fn take(&mut self, which: usize) -> Option<(Reservation, String, Vec<u64>)> {
        (!self.reserved.is_empty()).then(|| self.reserved.remove(which % self.reserved.len()))
    }

    /// Mostly indexes of samples that the partition has, and some that it does not have.
    pub(crate) fn pick(&self, id: &str, picks: &[u64]) -> Vec<u64> {
        let counted = self
            .model
            .existing(id)
            .map_or_else(Vec::new, Partition::counted);
        let next = self.model.handed_out.last().map_or(1, |last| last + 2);
        let index = |pick: &u64| match pick % 9 {
            0 => pick % next,
            _ if counted.is_empty() => pick % next,
            _ => counted[(pick / 9) as usize % counted.len()],
        };
        picks.iter().map(index).collect()
    }

    fn reserve(&mut self, id: String, keys: &[String]) {
        let distinct: BTreeSet<_> = keys.iter().collect();
        match self.real.reserve(&id, keys) {
            Ok(reservation) => {
                assert!(!keys.is_empty() && distinct.len() == keys.len());
                let given = numbers(reservation.global_indexes());
                let is_new = reservation.is_new();
                self.model.reserve(&id, keys, &given, is_new);
                self.reserved.push((reservation, id, given));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidArgument);
                assert!(keys.is_empty() || distinct.len() < keys.len());
            }
        }
    }

    fn reserve_indexes(&mut self, id: String, picks: &[u64]) {
        let wanted = self.pick(&id, picks);
        let distinct: BTreeSet<_> = wanted.iter().collect();
        let state = self.model.existing(&id);
        let known = |index: &u64| state.is_some_and(|state| state.is_counted(*index));
        let all_known = state.is_some() && wanted.iter().all(known);
        match self.real.reserve_indexes(&id, &indexes(&wanted)) {
            Ok(reservation) => {
                assert!(all_known && !wanted.is_empty() && distinct.len() == wanted.len());
                assert_eq!(numbers(reservation.global_indexes()), wanted);
                self.model.reserve_indexes(&id, &wanted);
                self.reserved.push((reservation, id, wanted));
            }
            Err(error) if all_known => {
                assert_eq!(error.kind(), ErrorKind::InvalidArgument);
                assert!(wanted.is_empty() || distinct.len() < wanted.len());
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
        }
    }

    fn register(&mut self, id: String, keys: &[String]) -> Option<String> {
        let registered = self.real.register_keys(&id, keys);
        assert_eq!(registered.is_ok(), !keys.is_empty());
        let given = numbers(&registered.ok()?);
        let state = self.model.of(&id);
        let all_known = keys.iter().all(|key| state.visible_key(key).is_some());
        let is_new = !(state.exists && all_known);
        self.model.register(&id, keys, &given);
        is_new.then_some(id)
    }

    fn retag(&mut self, id: String, wanted: &[u64], replace: bool) -> Option<String> {
        let update = |row: usize| -> Pairs {
            let value = self.steps * 100 + row as i64;
            vec![(format!("t{}", row % 4), value), ("own".into(), value)]
        };
        let given: Vec<Pairs> = (0..wanted.len()).map(update).collect();
        let updates = given.iter().map(tags).collect();
        let set = match replace {
            true => self.real.replace_tags(&id, &indexes(wanted), updates),
            false => self.real.merge_tags(&id, &indexes(wanted), updates),
        };
        let mut expected = 0;
        let state = self.model.of(&id);
        for (index, update) in wanted.iter().zip(&given).filter(|_| state.exists) {
            if state.is_counted(*index) {
                expected += 1;
                let known = &mut state.samples.get_mut(index).unwrap().tags;
                match replace {
                    true => *known = update.clone(),
                    false => merge(known, update),
                }
            }
        }
        assert_eq!(set, expected);
        (set > 0).then_some(id)
    }

    fn publish(
        &mut self,
        (reservation, id, rows): (Reservation, String, Vec<u64>),
        kinds: &[(usize, Kind)],
        tag_names: &[usize],
        fault: &Fault,
    ) -> Option<String> {
        let described = rows.len() + usize::from(matches!(fault, Fault::RowCount));
        let (mut fields, puts): (Vec<_>, Vec<_>) = kinds
            .iter()
            .map(|(number, kind)| field(*number, kind, rows.len(), described))
            .unzip();
        let per_row = |(_, kind): &(usize, Kind)| matches!(kind, Kind::Jagged(..));
        let mut faulty = matches!(fault, Fault::RowCount) && kinds.iter().any(per_row);
        if matches!(fault, Fault::RepeatedField)
            && let Some(first) = fields.first().cloned()
        {
            fields.push(first);
            faulty = true;
        }
        let mut given: Option<Vec<Pairs>> = (!tag_names.is_empty()).then(|| {
            let value = |row: usize| self.steps * 100 + row as i64;
            let tag = |row, name| (format!("t{name}"), value(row));
            (0..rows.len())
                .map(|row| tag_names.iter().map(|name| tag(row, name)).collect())
                .collect()
        });
        if matches!(fault, Fault::TagCount)
            && let Some(given) = &mut given
        {
            given.pop();
            faulty = true;
        }
        let updates = given.as_ref().map(|given| given.iter().map(tags).collect());

        let gone = self.model.gone(&id, &rows);
        let labels: Vec<_> = (reservation.keys().iter().zip(&rows))
            .filter(|(_, index)| gone.contains(index))
            .map(|(key, index)| {
                key.as_ref()
                    .map_or(format!("#{index}"), ToString::to_string)
            })
            .collect();
        match self.real.publish(reservation, &fields, updates) {
            Ok(published) => {
                assert!(gone.is_empty() && !faulty);
                self.model.publish(&id, &rows, &puts, given.as_deref());
                let state = &self.model.partitions[&id];
                let common: Vec<_> = published.fields.iter().map(ToString::to_string).collect();
                assert_eq!(common, state.common(&rows));
                for (index, merged) in rows.iter().zip(&published.tags) {
                    assert_eq!(crate::words::pairs(merged), state.samples[index].tags);
                }
                assert_eq!(published.sequence, self.real.sequence(&id));
                Some(id)
            }
            Err(refused) => {
                let expected = match faulty {
                    true => ErrorKind::InvalidArgument,
                    false => ErrorKind::NotFound,
                };
                assert_eq!(refused.error.kind(), expected);
                if !faulty {
                    assert!(!labels.is_empty());
                    for label in labels.iter().take(5) {
                        assert!(refused.error.message().contains(&format!("`{label}`")));
                    }
                }
                assert_eq!(numbers(&refused.orphans), self.model.abandon(&id, &rows));
                None
            }
        }
    }

    fn cleared(&mut self, ticket: ClearTicket, expected: &BTreeSet<u64>) -> bool {
        let indexes = numbers(ticket.global_indexes());
        assert_eq!(indexes.len(), expected.len());
        assert_eq!(&BTreeSet::from_iter(indexes), expected);
        if !expected.is_empty() {
            self.tickets.push(ticket);
        }
        !expected.is_empty()
    }
}
