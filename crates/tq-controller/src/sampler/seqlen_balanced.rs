//! Whole groups, dealt to the ranks so that their tokens are even.

use tq_proto::{GlobalIndex, Result};

use super::answers::{Answers, Ranks};
use super::groups::members;
use super::grpo_group_n::{first_groups, groups_of};
use super::lengths::length;
use super::{LENGTH_TAG, ReadySamples, SampleRequest, Sampled, balanced_partitions, positive};

/// One global batch of `batch_size` samples a rank, balanced by the tag `total_lengths`, 1 where a
/// sample lacks it. The first rank to ask for a batch index settles the shares of all.
#[derive(Debug)]
pub(super) struct SeqlenBalanced {
    group: usize,
    dp_size: usize,
    pub(super) answers: Answers,
}

impl SeqlenBalanced {
    pub(super) fn new(n_samples_per_prompt: usize, dp_size: usize) -> Result<Self> {
        Ok(Self {
            group: positive("n_samples_per_prompt", n_samples_per_prompt)?,
            dp_size: positive("dp_size", dp_size)?,
            answers: Answers::default(),
        })
    }

    pub(super) fn sample(
        &mut self,
        ready: &dyn ReadySamples,
        request: &SampleRequest<'_>,
    ) -> Result<Option<Sampled>> {
        let group = self.group;
        let ranks = Ranks::Together(self.dp_size);
        self.answers
            .answer(ready, request, ranks, |candidates, shares| {
                let groups = groups_of(request.batch_size, group)?.saturating_mul(shares);
                let Some(firsts) = first_groups(candidates, groups, group) else {
                    return Ok(None);
                };
                deal(ready, &firsts, group, shares).map(Some)
            })
    }
}

fn deal(
    ready: &dyn ReadySamples,
    firsts: &[GlobalIndex],
    group: usize,
    shares: usize,
) -> Result<Vec<Vec<GlobalIndex>>> {
    let mut lengths = Vec::with_capacity(firsts.len());
    for first in firsts {
        let mut sum = 0.0;
        for index in members(*first, group) {
            sum += length(ready, index, LENGTH_TAG)?.unwrap_or(1.0);
        }
        lengths.push(sum);
    }
    let samples_of = |part: Vec<usize>| {
        part.into_iter()
            .flat_map(|place| members(firsts[place], group))
            .collect()
    };
    Ok(balanced_partitions(&lengths, shares, true)?
        .into_iter()
        .map(samples_of)
        .collect())
}
