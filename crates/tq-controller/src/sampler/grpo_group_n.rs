//! Whole groups of consecutive samples.

use tq_proto::{GlobalIndex, Result};

use super::answers::{Answers, Ranks};
use super::groups::{Groups, members};
use super::{ReadySamples, SampleRequest, Sampled, invalid, positive};

/// The oldest groups of `group` consecutive samples each.
#[derive(Debug)]
pub(super) struct GrpoGroupN {
    group: usize,
    pub(super) answers: Answers,
}

impl GrpoGroupN {
    pub(super) fn new(n_samples_per_prompt: usize) -> Result<Self> {
        Ok(Self {
            group: positive("n_samples_per_prompt", n_samples_per_prompt)?,
            answers: Answers::default(),
        })
    }

    pub(super) fn sample(
        &mut self,
        ready: &dyn ReadySamples,
        request: &SampleRequest<'_>,
    ) -> Result<Option<Sampled>> {
        let group = self.group;
        self.answers
            .answer(ready, request, Ranks::Alone, |candidates, _| {
                let groups = groups_of(request.batch_size, group)?;
                let Some(firsts) = first_groups(candidates, groups, group) else {
                    return Ok(None);
                };
                let samples = firsts.into_iter().flat_map(|first| members(first, group));
                Ok(Some(vec![samples.collect()]))
            })
    }
}

/// Groups in a batch.
///
/// # Errors
/// `InvalidArgument` where they do not fill it.
pub(super) fn groups_of(batch_size: usize, group: usize) -> Result<usize> {
    if !batch_size.is_multiple_of(group) {
        return Err(invalid(format!(
            "batch_size is {batch_size}, but it must be a multiple of n_samples_per_prompt, which \
             is {group}"
        )));
    }
    Ok(batch_size / group)
}

/// First indexes of the oldest `groups` groups, or `None` where there are fewer.
pub(super) fn first_groups(
    candidates: impl Iterator<Item = GlobalIndex>,
    groups: usize,
    group: usize,
) -> Option<Vec<GlobalIndex>> {
    let firsts: Vec<_> = Groups::new(candidates, group).take(groups).collect();
    (firsts.len() == groups).then_some(firsts)
}
