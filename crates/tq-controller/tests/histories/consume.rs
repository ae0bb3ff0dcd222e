//! Steps that consume, and take consumption back.

use std::collections::BTreeSet;

use tq_controller::FetchRequest;
use tq_controller::sampler::{Sampler, SamplerConfig};
use tq_proto::ErrorKind;

use crate::model::Model;
use crate::pair::Pair;
use crate::steps::{Op, Picks};
use crate::words::{field_name, indexes, names, numbers, partition, task};

impl Pair {
    pub(crate) fn consume(&mut self, op: Op) {
        match op {
            Op::Fetch(number, of, fields, size) => {
                self.fetch(&partition(number), &task(of), &fields, size);
            }
            Op::Claim {
                partition: number,
                task: of,
                fields,
                sampled,
                consumed,
                again,
            } => {
                let id = partition(number);
                let sampled = self.pick(&id, &sampled);
                let consumed = consumed.map(|picks| self.pick(&id, &picks));
                let consumed = consumed.unwrap_or_else(|| sampled.clone());
                self.claim(&id, &task(of), &fields, &sampled, &consumed, again);
            }
            Op::Reset(number, of, picks) => {
                self.reset(&partition(number), of.map(task), picks);
            }
            Op::AskStatus(number, of) => {
                let (id, of) = (partition(number), task(of));
                let status = self.real.consumption_status(&id, &of);
                assert_eq!(status.is_some(), self.model.existing(&id).is_some());
                if status.is_some() {
                    self.model.of(&id).tasks.insert(of);
                }
            }
            other => panic!("{other:?} does not consume"),
        }
    }

    fn fetch(&mut self, id: &str, task: &str, fields: &[usize], size: usize) {
        let mut sampler = Sampler::new(SamplerConfig::Sequential).unwrap();
        let fields: Vec<_> = fields.iter().map(|field| field_name(*field)).collect();
        let request = FetchRequest {
            partition: id.into(),
            task: task.into(),
            fields: names(&fields),
            batch_size: size,
            dp_rank: None,
            batch_index: None,
        };
        let fetched = self.real.fetch(&mut sampler, &request).unwrap();
        let mut expected = ready(&self.model, id, task, &fields);
        expected.truncate(size);
        let enough = size > 0 && expected.len() == size;
        assert_eq!(
            fetched.as_deref().map(numbers),
            enough.then_some(expected.clone())
        );
        if enough {
            self.model.consume(id, task, &expected);
        }
    }

    fn claim(
        &mut self,
        id: &str,
        task: &str,
        fields: &[usize],
        sampled: &[u64],
        consumed: &[u64],
        again: bool,
    ) {
        let fields: Vec<_> = fields.iter().map(|field| field_name(*field)).collect();
        let claimed = self.real.claim(
            id,
            task,
            &names(&fields),
            &indexes(sampled),
            &indexes(consumed),
            again,
        );
        let Some(state) = self.model.existing(id) else {
            assert_eq!(claimed.unwrap_err().kind(), ErrorKind::NotFound);
            return;
        };
        let fit = ready(&self.model, id, task, &fields);
        let fits = |index: &u64| match again {
            true => state.has_all(*index, &fields),
            false => fit.contains(index),
        };
        let unfit: Vec<_> = sampled.iter().filter(|index| !fits(index)).collect();
        let distinct: BTreeSet<_> = sampled.iter().collect();
        match claimed {
            Ok(()) => {
                assert!(unfit.is_empty() && distinct.len() == sampled.len());
                let counted = |index: &u64| state.is_counted(*index);
                let marked: Vec<_> = consumed.iter().copied().filter(counted).collect();
                self.model.consume(id, task, &marked);
            }
            Err(error) if unfit.is_empty() => {
                assert_eq!(error.kind(), ErrorKind::InvalidArgument);
                assert!(distinct.len() < sampled.len());
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotReady);
                assert!(error.message().contains(&format!("`{}`", unfit[0])));
            }
        }
    }

    fn reset(&mut self, id: &str, task: Option<String>, picks: Option<Picks>) {
        let wanted = picks.map(|picks| self.pick(id, &picks));
        let given = wanted.as_deref().map(indexes);
        let reset = self
            .real
            .reset_consumption(id, task.as_deref(), given.as_deref());
        let mut expected = 0;
        let state = self.model.of(id);
        for (index, sample) in state.samples.iter_mut().filter(|_| state.exists) {
            if wanted.as_ref().is_none_or(|wanted| wanted.contains(index)) {
                let before = sample.consumed.len();
                let kept = |of: &String| task.as_ref().is_some_and(|task| task != of);
                sample.consumed.retain(kept);
                expected += before - sample.consumed.len();
            }
        }
        assert_eq!(reset, expected);
    }
}

/// Nothing is ready for a field that was never put.
pub(crate) fn ready(model: &Model, id: &str, task: &str, fields: &[String]) -> Vec<u64> {
    let state = model.existing(id);
    let state = state.filter(|state| fields.iter().all(|field| state.knows(field)));
    state.map_or_else(Vec::new, |state| state.ready(task, fields))
}
