//! A task's view of a partition, and short forms of requests.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use tq_controller::TagValue;
use tq_controller::sampler::{
    LENGTH_TAG, ReadySamples, SampleRequest, Sampled, Sampler, SamplerConfig,
};
use tq_proto::{ErrorKind, GlobalIndex, Result};

/// Samples as one task sees them.
#[derive(Debug, Default, Clone)]
pub(crate) struct Samples {
    pub(crate) exist: BTreeSet<u64>,
    pub(crate) consumed: BTreeSet<u64>,
    /// Indexes are never used again.
    next: u64,
    pub(crate) lengths: BTreeMap<u64, TagValue>,
    /// Ready samples that were looked at.
    pub(crate) walked: Cell<usize>,
}

impl Samples {
    pub(crate) fn new(exist: impl IntoIterator<Item = u64>) -> Self {
        let exist: BTreeSet<u64> = exist.into_iter().collect();
        Self {
            next: exist.last().map_or(0, |last| last + 1),
            exist,
            ..Self::default()
        }
    }

    /// Samples 0, 1, … of these lengths.
    pub(crate) fn of_lengths(lengths: impl IntoIterator<Item = i64>) -> Self {
        let mut samples = Self::default();
        samples.append(lengths);
        samples
    }

    pub(crate) fn append(&mut self, lengths: impl IntoIterator<Item = i64>) {
        for length in lengths {
            self.exist.insert(self.next);
            self.lengths.insert(self.next, TagValue::Int(length));
            self.next += 1;
        }
    }

    pub(crate) fn clear(&mut self, indexes: &[u64]) {
        for index in indexes {
            self.exist.remove(index);
            self.consumed.remove(index);
        }
    }

    pub(crate) fn tokens(&self, indexes: &[u64]) -> i64 {
        let length = |index| match self.lengths.get(index) {
            Some(TagValue::Int(length)) => *length,
            _ => 1,
        };
        indexes.iter().map(length).sum()
    }

    /// Asks, checks that the answer may be given, and consumes it as a controller does.
    pub(crate) fn ask(
        &mut self,
        sampler: &mut Sampler,
        request: &SampleRequest<'_>,
    ) -> Option<(Vec<u64>, bool)> {
        let Sampled {
            sampled,
            consumed,
            again,
        } = sampler.sample(self, request).unwrap()?;
        let sampled: Vec<u64> = sampled.into_iter().map(|index| index.0).collect();
        assert!(!sampled.is_empty());
        assert_eq!(consumed.len(), sampled.len());
        for index in &sampled {
            assert!(self.exist.contains(index), "{index} is gone");
            assert!(
                again || !self.consumed.contains(index),
                "{index} was consumed"
            );
        }
        self.consumed.extend(consumed.iter().map(|index| index.0));
        Some((sampled, again))
    }
}

impl ReadySamples for Samples {
    fn iter(&self) -> Box<dyn Iterator<Item = GlobalIndex> + '_> {
        let ready = self.exist.difference(&self.consumed);
        Box::new(ready.map(|index| {
            self.walked.set(self.walked.get() + 1);
            GlobalIndex(*index)
        }))
    }

    fn tag(&self, index: GlobalIndex, name: &str) -> Option<TagValue> {
        (name == LENGTH_TAG).then(|| self.lengths.get(&index.0).cloned())?
    }

    fn is_available(&self, index: GlobalIndex) -> bool {
        self.exist.contains(&index.0)
    }
}

pub(crate) fn sampler(config: SamplerConfig) -> Sampler {
    Sampler::new(config).unwrap()
}

/// A request that names no rank.
pub(crate) fn plain(batch_size: usize) -> SampleRequest<'static> {
    SampleRequest {
        partition: "p",
        task: "t",
        batch_size,
        dp_rank: None,
        batch_index: None,
    }
}

pub(crate) fn ranked(batch_size: usize, rank: u64, batch: u64) -> SampleRequest<'static> {
    SampleRequest {
        dp_rank: Some(rank),
        batch_index: Some(batch),
        ..plain(batch_size)
    }
}

pub(crate) fn fresh(samples: &[u64]) -> Option<(Vec<u64>, bool)> {
    Some((samples.to_vec(), false))
}

pub(crate) fn again(samples: &[u64]) -> Option<(Vec<u64>, bool)> {
    Some((samples.to_vec(), true))
}

/// The text of the refusal.
pub(crate) fn refusal(result: Result<Option<Sampled>>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    error.to_string()
}
