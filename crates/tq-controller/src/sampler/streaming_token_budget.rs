//! Whole groups, dealt to the ranks up to a number of tokens each.

use std::sync::Arc;

use tq_proto::{GlobalIndex, Result};

use super::answers::{Answers, Ranks};
use super::groups::{Groups, members};
use super::lengths::length;
use super::{Packing, ReadySamples, SampleRequest, Sampled, invalid, positive};

/// Batches bounded in tokens instead of samples, for samples that arrive in a stream.
///
/// Ready groups are packed in order: each goes, whole, to the least loaded rank that has room for
/// it. A rank has room up to `token_budget` tokens and `batch_size` samples. The batch is closed
/// when the next group fits on no rank, which leaves it to the next batch, or when all ranks are
/// full; until then it is answered with `None`, so ranks never get less than the stream could give
/// them. A closed batch leaves no rank empty, since a rank that is empty has room for any group.
///
/// With a budget of 100, two ranks, groups of one and the lengths 60, 30, 50, 40, 30: the 60 goes
/// to rank 0, the 30 and the 50 to rank 1, the 40 to rank 0, and the last 30 fits on neither, so
/// the batch is closed: 100 and 80 tokens.
///
/// A sample without the length tag is not ready for this sampler. What is left at the end of a
/// stream fills no batch; ask for it with a smaller `batch_size`.
#[derive(Debug)]
pub(super) struct StreamingTokenBudget {
    token_budget: f64,
    group: usize,
    dp_size: usize,
    length_tag: Arc<str>,
    pub(super) answers: Answers,
}

impl StreamingTokenBudget {
    pub(super) fn new(
        token_budget: u64,
        n_samples_per_prompt: usize,
        dp_size: usize,
        length_tag: Arc<str>,
    ) -> Result<Self> {
        if token_budget == 0 {
            return Err(invalid("token_budget must be positive, but it is 0".into()));
        }
        Ok(Self {
            token_budget: token_budget as f64,
            group: positive("n_samples_per_prompt", n_samples_per_prompt)?,
            dp_size: positive("dp_size", dp_size)?,
            length_tag,
            answers: Answers::default(),
        })
    }

    pub(super) fn sample(
        &mut self,
        ready: &dyn ReadySamples,
        request: &SampleRequest<'_>,
    ) -> Result<Option<Sampled>> {
        self.check(request)?;
        let Self {
            token_budget,
            group,
            dp_size,
            length_tag,
            answers,
        } = self;
        let packing = Shares {
            ready,
            budget: *token_budget,
            group: *group,
            most: request.batch_size / *group,
            length_tag,
        };
        answers.answer(
            ready,
            request,
            Ranks::Together(*dp_size),
            |candidates, ranks| packing.fill(candidates, ranks),
        )
    }

    fn check(&self, request: &SampleRequest<'_>) -> Result<()> {
        if request.batch_size < self.group {
            return Err(invalid(format!(
                "batch_size is {}, but a rank must have room for a group of {} samples; ask for at \
                 least that many",
                request.batch_size, self.group
            )));
        }
        if self.dp_size > 1 && (request.dp_rank.is_none() || request.batch_index.is_none()) {
            return Err(invalid(format!(
                "StreamingTokenBudgetSampler deals to {} ranks and needs dp_rank and batch_index; \
                 name them in sampling_config",
                self.dp_size
            )));
        }
        Ok(())
    }
}

struct Shares<'a> {
    ready: &'a dyn ReadySamples,
    budget: f64,
    group: usize,
    /// Groups of one rank.
    most: usize,
    length_tag: &'a str,
}

impl Shares<'_> {
    /// The samples of each rank, or `None` where the candidates do not close the batch.
    fn fill(
        &self,
        candidates: impl Iterator<Item = GlobalIndex>,
        ranks: usize,
    ) -> Result<Option<Vec<Vec<GlobalIndex>>>> {
        let mut packing = Packing::new(ranks, self.budget, self.most);
        let mut shares = vec![Vec::new(); ranks];
        let tagged = candidates.filter(|index| self.ready.tag(*index, self.length_tag).is_some());
        for first in Groups::new(tagged, self.group) {
            let Some(rank) = packing.place(self.tokens(first)?) else {
                return Ok(Some(shares));
            };
            shares[rank].extend(members(first, self.group));
            if packing.is_full() {
                return Ok(Some(shares));
            }
        }
        Ok(None)
    }

    fn tokens(&self, first: GlobalIndex) -> Result<f64> {
        let mut tokens = 0.0;
        for index in members(first, self.group) {
            tokens += length(self.ready, index, self.length_tag)?.unwrap_or_default();
        }
        if tokens <= self.budget {
            return Ok(tokens);
        }
        let last = first.0 + (self.group as u64 - 1);
        let named = if self.group == 1 {
            format!("sample {first} has")
        } else {
            format!("the group of samples {first} to {last} has")
        };
        Err(invalid(format!(
            "{named} {tokens} tokens by the tag `{}`, more than the token_budget of {} that a rank \
             may take; clear it or raise the budget",
            self.length_tag, self.budget
        )))
    }
}
