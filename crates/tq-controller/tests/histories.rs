//! Random histories with overlapping reservations, against the naive model.
#![allow(clippy::unwrap_used)]

mod model;

use std::collections::BTreeSet;

use model::steps::{FIELDS, Fault, KEYS, Kind, Op, PARTITIONS, op};
use model::{FieldPut, Model, Pairs};
use proptest::prelude::*;
use tq_controller::{
    ClearTicket, Controller, FieldSchemaUpdate, FieldUpdate, Reservation, RowShapes, TagValue, Tags,
};
use tq_proto::{DType, ErrorKind, GlobalIndex};

fn partition(number: usize) -> String {
    format!("p{number}")
}

fn names(keys: &[usize]) -> Vec<String> {
    keys.iter().map(|key| format!("k{key}")).collect()
}

fn numbers(indexes: &[GlobalIndex]) -> Vec<u64> {
    indexes.iter().map(|index| index.0).collect()
}

fn pairs(tags: &Tags) -> Pairs {
    tags.iter()
        .map(|(name, value)| match value {
            TagValue::Int(value) => (name.to_string(), *value),
            other => panic!("{other:?} was never put"),
        })
        .collect()
}

/// The same field twice: as the controller and as the model take it.
fn field(number: usize, kind: &Kind, rows: usize, described: usize) -> (FieldUpdate, FieldPut) {
    let name = format!("f{}", FIELDS - number);
    let dtype = |wide| if wide { DType::Int64 } else { DType::Float32 };
    let (schema, nested, rows) = match *kind {
        Kind::Dense(wide, rank) => {
            let shape = vec![2; rank];
            let row_shape = shape.as_slice().into();
            let row = Some((dtype(wide), shape));
            (
                FieldSchemaUpdate::Dense {
                    dtype: dtype(wide),
                    row_shape,
                },
                false,
                vec![row; rows],
            )
        }
        Kind::Jagged(wide, spread) => {
            let dims: Vec<_> = (0..described as u64).map(|row| 1 + row % spread).collect();
            let shapes = dims
                .iter()
                .map(|dim| Some((dtype(wide), vec![*dim])))
                .collect();
            let row_shapes = RowShapes::new(1, described, dims).unwrap();
            (
                FieldSchemaUpdate::Jagged {
                    dtype: dtype(wide),
                    row_shapes,
                },
                true,
                shapes,
            )
        }
        Kind::NonTensor => (FieldSchemaUpdate::NonTensor, false, vec![None; rows]),
    };
    (
        FieldUpdate {
            name: name.as_str().into(),
            schema,
        },
        FieldPut { name, nested, rows },
    )
}

#[derive(Default)]
struct Pair {
    real: Controller,
    model: Model,
    reserved: Vec<(Reservation, model::Reservation)>,
    tickets: Vec<ClearTicket>,
    published: i64,
}

impl Pair {
    fn run(&mut self, op: Op) {
        let before: Vec<_> = (0..PARTITIONS)
            .map(|p| self.real.sequence(&partition(p)))
            .collect();
        let changed = match op {
            Op::Reserve(number, keys) => {
                self.reserve(&partition(number), &names(&keys));
                None
            }
            Op::Publish {
                which,
                fields,
                tags,
                fault,
            } => {
                let taken = self.take(which);
                taken.and_then(|taken| self.publish(taken, &fields, &tags, &fault))
            }
            Op::Abandon(which) => {
                if let Some((real, model)) = self.take(which) {
                    let orphans = self.real.abandon(real);
                    assert_eq!(numbers(&orphans), self.model.abandon(&model));
                }
                None
            }
            Op::ClearKeys(number, keys) => {
                let (id, keys) = (partition(number), names(&keys));
                let ticket = self.real.begin_clear_keys(&id, &keys);
                let cleared = self
                    .model
                    .clear(&id, |key, _| keys.iter().any(|k| k == key));
                self.cleared(ticket, &cleared).then_some(id)
            }
            Op::ClearIndexes(number, wanted) => {
                let id = partition(number);
                let indexes: Vec<_> = wanted.iter().copied().map(GlobalIndex).collect();
                let ticket = self.real.begin_clear_indexes(&id, &indexes);
                let cleared = self.model.clear(&id, |_, index| wanted.contains(&index));
                self.cleared(ticket, &cleared).then_some(id)
            }
            Op::DropPartition(number) => {
                let id = partition(number);
                let ticket = self.real.drop_partition(&id);
                let cleared = self.model.drop_partition(&id);
                assert_eq!(ticket.is_some(), cleared.is_some());
                if let (Some(ticket), Some(cleared)) = (ticket, cleared) {
                    self.cleared(ticket, &cleared);
                    assert_eq!(self.real.sequence(&id), 0);
                    return;
                }
                None
            }
            Op::FinishClear(which) => {
                if !self.tickets.is_empty() {
                    let ticket = self.tickets.remove(which % self.tickets.len());
                    self.real.finish_clear(&ticket);
                    let mut done = numbers(ticket.global_indexes());
                    done.sort_unstable();
                    self.model.unfinished.retain(|indexes| *indexes != done);
                }
                None
            }
        };
        for (number, before) in before.into_iter().enumerate() {
            let id = partition(number);
            if changed.as_ref() == Some(&id) {
                assert!(self.real.sequence(&id) > before);
            } else {
                assert_eq!(self.real.sequence(&id), before);
            }
        }
    }

    fn take(&mut self, which: usize) -> Option<(Reservation, model::Reservation)> {
        (!self.reserved.is_empty()).then(|| self.reserved.remove(which % self.reserved.len()))
    }

    fn reserve(&mut self, id: &str, keys: &[String]) {
        let distinct: BTreeSet<_> = keys.iter().collect();
        match self.real.reserve(id, keys) {
            Ok(reservation) => {
                assert!(!keys.is_empty() && distinct.len() == keys.len());
                let indexes = numbers(reservation.global_indexes());
                self.model.reserve(id, keys, &indexes, reservation.is_new());
                let rows = keys.iter().cloned().zip(indexes).collect();
                let twin = model::Reservation {
                    partition: id.into(),
                    rows,
                };
                self.reserved.push((reservation, twin));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidArgument);
                assert!(keys.is_empty() || distinct.len() < keys.len());
            }
        }
    }

    /// Returns the partition that changed.
    fn publish(
        &mut self,
        (reservation, twin): (Reservation, model::Reservation),
        kinds: &[(usize, Kind)],
        tag_names: &[usize],
        fault: &Fault,
    ) -> Option<String> {
        let rows = twin.rows.len();
        let described = rows + usize::from(matches!(fault, Fault::RowCount));
        let (mut fields, puts): (Vec<_>, Vec<_>) = kinds
            .iter()
            .map(|(number, kind)| field(*number, kind, rows, described))
            .unzip();
        let mut faulty = matches!(fault, Fault::RowCount)
            && kinds
                .iter()
                .any(|(_, kind)| matches!(kind, Kind::Jagged(..)));
        if matches!(fault, Fault::RepeatedField)
            && let Some(first) = fields.first().cloned()
        {
            fields.push(first);
            faulty = true;
        }
        self.published += 1;
        let mut given: Option<Vec<Pairs>> = (!tag_names.is_empty()).then(|| {
            let value = |row: usize| self.published * 100 + row as i64;
            let tags = |row| {
                tag_names
                    .iter()
                    .map(|name| (format!("t{name}"), value(row)))
                    .collect()
            };
            (0..rows).map(tags).collect()
        });
        if matches!(fault, Fault::TagCount)
            && let Some(given) = &mut given
        {
            given.pop();
            faulty = true;
        }
        let tags = given.as_ref().map(|given| {
            let tags = |pairs: &Pairs| {
                let pairs = pairs.iter();
                pairs
                    .map(|(name, value)| (name.as_str().into(), TagValue::Int(*value)))
                    .collect()
            };
            given.iter().map(tags).collect()
        });

        let gone = self.model.gone(&twin);
        match self.real.publish(reservation, &fields, tags) {
            Ok(published) => {
                assert!(gone.is_empty() && !faulty);
                self.model.publish(&twin, &puts, given.as_deref());
                let state = &self.model.partitions[&twin.partition];
                let keys: Vec<_> = twin.rows.iter().map(|(key, _)| key.clone()).collect();
                let ready: Vec<_> = published.fields.iter().map(ToString::to_string).collect();
                assert_eq!(ready, Vec::from_iter(state.ready(&keys)));
                for (key, tags) in keys.iter().zip(&published.tags) {
                    assert_eq!(pairs(tags), state.samples[key].tags);
                }
                assert_eq!(published.sequence, self.real.sequence(&twin.partition));
                Some(twin.partition)
            }
            Err(refused) => {
                let expected = if faulty {
                    ErrorKind::InvalidArgument
                } else {
                    ErrorKind::NotFound
                };
                assert_eq!(refused.error.kind(), expected);
                if !faulty {
                    assert!(!gone.is_empty());
                    for key in gone.iter().take(5) {
                        assert!(refused.error.message().contains(&format!("`{key}`")));
                    }
                }
                assert_eq!(numbers(&refused.orphans), self.model.abandon(&twin));
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

    /// Everything a caller can see.
    fn compare(&self) {
        let ids: Vec<_> = self
            .real
            .partitions()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(ids, self.model.order);
        let listed: Vec<_> = self
            .real
            .list(None)
            .map(|l| l.partition.to_string())
            .collect();
        assert_eq!(listed, self.model.order);
        let unfinished: BTreeSet<_> = self
            .real
            .unfinished_clears()
            .map(|ticket| BTreeSet::from_iter(numbers(ticket.global_indexes())))
            .collect();
        let expected = self.model.unfinished.iter();
        assert_eq!(
            unfinished,
            expected.map(|i| i.iter().copied().collect()).collect()
        );
        for number in 0..PARTITIONS {
            self.compare_partition(&partition(number));
        }
    }

    fn compare_partition(&self, id: &str) {
        let all = names(&Vec::from_iter(0..KEYS));
        let Some(state) = self.model.partitions.get(id).filter(|state| state.exists) else {
            assert_eq!(self.real.list(Some(id)).count(), 0);
            assert_eq!(self.real.resolve(id, &all).missing.len(), KEYS);
            assert!(self.real.schema(id).is_empty());
            return;
        };
        let listed: Vec<_> = self
            .real
            .list(Some(id))
            .flat_map(|listed| listed.keys)
            .map(|(key, tags)| (key.to_string(), pairs(tags)))
            .collect();
        let expected: Vec<_> = state
            .keys
            .iter()
            .map(|key| (key.clone(), state.samples[key].tags.clone()))
            .collect();
        assert_eq!(listed, expected);

        for asked in [
            all.clone(),
            all[..4].to_vec(),
            all[7..9].to_vec(),
            state.keys.clone(),
        ] {
            let found = self.real.resolve(id, &asked);
            let (known, missing): (Vec<_>, Vec<_>) =
                (0..asked.len()).partition(|place| state.samples.contains_key(&asked[*place]));
            let keys: Vec<_> = known.iter().map(|place| asked[*place].clone()).collect();
            let indexes: Vec<_> = keys.iter().map(|key| state.samples[key].index).collect();
            assert_eq!((&found.positions, &found.missing), (&known, &missing));
            assert_eq!(numbers(&found.global_indexes), indexes);
            let fields: Vec<_> = found.fields.iter().map(ToString::to_string).collect();
            assert_eq!(fields, Vec::from_iter(state.ready(&keys)));
            assert_eq!(
                self.real.ready_fields(id, &found.global_indexes).unwrap(),
                found.fields
            );
            assert!(
                self.real
                    .require_fields(id, &found.global_indexes, &found.fields)
                    .is_ok()
            );
            for (field, _) in &state.fields {
                let complete = keys.is_empty() || fields.contains(field);
                let checked = self
                    .real
                    .require_fields(id, &found.global_indexes, &[field]);
                assert_eq!(checked.is_ok(), complete);
                let rows = self
                    .real
                    .row_schemas(id, field, &found.global_indexes)
                    .unwrap();
                let expected: Vec<_> = keys
                    .iter()
                    .map(|key| state.row_schema(key, field))
                    .collect();
                assert_eq!(rows, expected);
            }
        }

        let schema: Vec<_> = self
            .real
            .schema(id)
            .into_iter()
            .map(|(name, schema)| (name.to_string(), schema))
            .collect();
        let expected: Vec<_> = state
            .fields
            .iter()
            .map(|(name, nested)| (name.clone(), state.schema(name, *nested)))
            .collect();
        assert_eq!(schema, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn any_history_agrees_with_the_naive_model(ops in prop::collection::vec(op(), 1..60)) {
        let mut pair = Pair::default();
        for op in ops {
            pair.run(op);
            pair.compare();
        }
        while let Some((real, model)) = pair.take(0) {
            let orphans = pair.real.abandon(real);
            prop_assert_eq!(numbers(&orphans), pair.model.abandon(&model));
            pair.compare();
        }
    }
}
