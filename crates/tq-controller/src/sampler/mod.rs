//! Samplers: which of the ready samples a task gets next.
//!
//! A sampler sees the ready samples of one partition and task through [`ReadySamples`] and answers
//! with the batch; it marks nothing. The caller marks [`Sampled::consumed`] within the same lock,
//! so that nobody else is given those samples meanwhile. A sampler walks only as far as it must:
//! a batch costs the batch and not the partition.
//!
//! Where a request names both a rank and a batch index, its answer is kept: the same rank, batch
//! index, task and partition get the same samples again, however often they ask. An answer of
//! which a sample is gone is dropped, and the batch is sampled anew.
//!
//! | module | holds |
//! |---|---|
//! | `sequential` | the oldest samples |
//! | `grpo_group_n` | whole groups of consecutive samples |
//! | `rank_aware` | the oldest samples, the same again for the same rank and batch index |
//! | `seqlen_balanced` | whole groups, dealt to the ranks so that their tokens are even |
//! | `streaming_token_budget` | whole groups, dealt to the ranks up to a number of tokens each |
//! | `answers` | answers given, and answers promised to ranks that have yet to ask |
//! | `groups` | groups of consecutive global indexes |
//! | `lengths` | tokens of samples, from a tag |
//! | `karmarkar_karp` | even partitions of lengths |
//! | `packing` | lengths packed onto ranks up to a budget |

use std::sync::Arc;

use tq_proto::{Error, ErrorKind, GlobalIndex, Result};

use crate::tags::TagValue;

mod answers;
mod groups;
mod grpo_group_n;
mod karmarkar_karp;
mod lengths;
mod packing;
mod rank_aware;
mod seqlen_balanced;
mod sequential;
mod streaming_token_budget;

pub use groups::Groups;
pub use karmarkar_karp::balanced_partitions;
pub use packing::{Packing, pack};

use grpo_group_n::GrpoGroupN;
use rank_aware::RankAware;
use seqlen_balanced::SeqlenBalanced;
use streaming_token_budget::StreamingTokenBudget;

/// Tag with the tokens of a sample, unless a sampler is told another.
pub const LENGTH_TAG: &str = "total_lengths";

/// The samples that are ready for one task and the fields it asks for.
pub trait ReadySamples {
    /// Ready samples in ascending order, found as they are asked for.
    fn iter(&self) -> Box<dyn Iterator<Item = GlobalIndex> + '_>;

    /// The tag `name` of a sample; `None` where it has no such tag.
    fn tag(&self, index: GlobalIndex, name: &str) -> Option<TagValue>;

    /// Whether the sample still exists with the fields produced, consumed or not.
    fn is_available(&self, index: GlobalIndex) -> bool;
}

/// What a batch is asked for.
#[derive(Debug, Clone, Copy)]
pub struct SampleRequest<'a> {
    /// The partition.
    pub partition: &'a str,
    /// The task that consumes.
    pub task: &'a str,
    /// Samples asked for; for some samplers the most of one rank.
    pub batch_size: usize,
    /// The data-parallel rank that asks.
    pub dp_rank: Option<u64>,
    /// Number of the batch, counted by the ranks.
    pub batch_index: Option<u64>,
}

/// A batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampled {
    /// Its samples, in order.
    pub sampled: Vec<GlobalIndex>,
    /// What the task has consumed with it.
    pub consumed: Vec<GlobalIndex>,
    /// Whether this rank was given this batch before; its samples may be consumed already then.
    pub again: bool,
}

impl Sampled {
    fn of(samples: Vec<GlobalIndex>, again: bool) -> Self {
        Self {
            consumed: samples.clone(),
            sampled: samples,
            again,
        }
    }
}

/// Which sampler, with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SamplerConfig {
    /// The oldest samples.
    Sequential,
    /// Whole groups of consecutive samples.
    GrpoGroupN {
        /// Samples of a group.
        n_samples_per_prompt: usize,
    },
    /// The oldest samples; needs rank and batch index.
    RankAware,
    /// Whole groups, dealt to the ranks so that the sums of the tag `total_lengths` are even.
    SeqlenBalanced {
        /// Samples of a group.
        n_samples_per_prompt: usize,
        /// Ranks that ask.
        dp_size: usize,
    },
    /// Whole groups, dealt to the ranks up to a number of tokens each.
    StreamingTokenBudget {
        /// The most tokens of one rank in one batch.
        token_budget: u64,
        /// Samples of a group.
        n_samples_per_prompt: usize,
        /// Ranks that ask.
        dp_size: usize,
        /// Tag with the tokens of a sample.
        length_tag: Arc<str>,
    },
}

/// A sampler with the answers it has given. One serves all partitions and tasks of a controller.
#[derive(Debug)]
pub struct Sampler(Policy);

#[derive(Debug)]
enum Policy {
    Sequential,
    GrpoGroupN(GrpoGroupN),
    RankAware(RankAware),
    SeqlenBalanced(SeqlenBalanced),
    StreamingTokenBudget(StreamingTokenBudget),
}

impl Sampler {
    /// A sampler that has answered nothing yet.
    ///
    /// # Errors
    /// `InvalidArgument` where a group, the ranks or the budget are of size 0.
    pub fn new(config: SamplerConfig) -> Result<Self> {
        Ok(Self(match config {
            SamplerConfig::Sequential => Policy::Sequential,
            SamplerConfig::RankAware => Policy::RankAware(RankAware::default()),
            SamplerConfig::GrpoGroupN {
                n_samples_per_prompt,
            } => Policy::GrpoGroupN(GrpoGroupN::new(n_samples_per_prompt)?),
            SamplerConfig::SeqlenBalanced {
                n_samples_per_prompt,
                dp_size,
            } => Policy::SeqlenBalanced(SeqlenBalanced::new(n_samples_per_prompt, dp_size)?),
            SamplerConfig::StreamingTokenBudget {
                token_budget,
                n_samples_per_prompt,
                dp_size,
                length_tag,
            } => Policy::StreamingTokenBudget(StreamingTokenBudget::new(
                token_budget,
                n_samples_per_prompt,
                dp_size,
                length_tag,
            )?),
        }))
    }

    /// The batch for `request`, or `None` where too few samples are ready. A batch is never empty,
    /// so a `batch_size` of 0 gets `None`, except where the sampler refuses it.
    ///
    /// # Errors
    /// `InvalidArgument` where the request does not fit the sampler or a sample has no usable
    /// length. Nothing is remembered then.
    pub fn sample(
        &mut self,
        ready: &dyn ReadySamples,
        request: &SampleRequest<'_>,
    ) -> Result<Option<Sampled>> {
        match &mut self.0 {
            Policy::StreamingTokenBudget(sampler) => sampler.sample(ready, request),
            _ if request.batch_size == 0 => Ok(None),
            Policy::Sequential => Ok(sequential::oldest(ready.iter(), request.batch_size)
                .map(|samples| Sampled::of(samples, false))),
            Policy::GrpoGroupN(sampler) => sampler.sample(ready, request),
            Policy::RankAware(sampler) => sampler.sample(ready, request),
            Policy::SeqlenBalanced(sampler) => sampler.sample(ready, request),
        }
    }

    /// Whether an answer to `request` is kept, so that it can be given however few samples are
    /// ready. It may turn out to be stale: [`Sampler::sample`] decides.
    #[must_use]
    pub fn has_answer(&self, request: &SampleRequest<'_>) -> bool {
        match &self.0 {
            Policy::Sequential => false,
            Policy::GrpoGroupN(sampler) => sampler.answers.has(request),
            Policy::RankAware(sampler) => sampler.answers.has(request),
            Policy::SeqlenBalanced(sampler) => sampler.answers.has(request),
            Policy::StreamingTokenBudget(sampler) => sampler.answers.has(request),
        }
    }

    /// Forgets the answers of a partition; for when it is cleared.
    pub fn forget_partition(&mut self, partition: &str) {
        match &mut self.0 {
            Policy::Sequential => {}
            Policy::GrpoGroupN(sampler) => sampler.answers.forget_partition(partition),
            Policy::RankAware(sampler) => sampler.answers.forget_partition(partition),
            Policy::SeqlenBalanced(sampler) => sampler.answers.forget_partition(partition),
            Policy::StreamingTokenBudget(sampler) => sampler.answers.forget_partition(partition),
        }
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// # Errors
/// `InvalidArgument` for a 0, naming the parameter.
fn positive(name: &str, value: usize) -> Result<usize> {
    if value == 0 {
        return Err(invalid(format!("{name} must be positive, but it is 0")));
    }
    Ok(value)
}
