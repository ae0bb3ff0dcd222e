//! Requests of consumption, puts and their replies.

use tq_controller::sampler::SamplerConfig;
use tq_controller::{FetchRequest, Published};
use tq_engine::Claim;
use tq_proto::{FieldName, GlobalIndex, Result};

use crate::malformed::malformed;
use crate::proto::{self, sampler_request::Policy};
use crate::tags::tags;
use crate::texts::{count, field_names, indexes, names, numbers};

impl proto::SamplerRequest {
    /// The request for `config`.
    #[must_use]
    pub fn of(config: &SamplerConfig) -> Self {
        let mut request = Self::default();
        let policy = match config {
            SamplerConfig::Sequential => Policy::Sequential,
            SamplerConfig::GrpoGroupN {
                n_samples_per_prompt,
            } => {
                request.n_samples_per_prompt = *n_samples_per_prompt as u64;
                Policy::GrpoGroupN
            }
            SamplerConfig::RankAware => Policy::RankAware,
            SamplerConfig::SeqlenBalanced {
                n_samples_per_prompt,
                dp_size,
            } => {
                request.n_samples_per_prompt = *n_samples_per_prompt as u64;
                request.dp_size = *dp_size as u64;
                Policy::SeqlenBalanced
            }
            SamplerConfig::StreamingTokenBudget {
                token_budget,
                n_samples_per_prompt,
                dp_size,
                length_tag,
            } => {
                request.token_budget = *token_budget;
                request.n_samples_per_prompt = *n_samples_per_prompt as u64;
                request.dp_size = *dp_size as u64;
                request.length_tag = length_tag.as_ref().into();
                Policy::StreamingTokenBudget
            }
        };
        request.policy = policy.into();
        request
    }

    /// The sampler's configuration; the engine checks its numbers.
    ///
    /// # Errors
    /// `Internal` for an unknown policy.
    pub fn read(self) -> Result<SamplerConfig> {
        let policy = Policy::try_from(self.policy)
            .map_err(|error| malformed("unknown sampler").caused_by(error))?;
        let n_samples_per_prompt = count(self.n_samples_per_prompt);
        let dp_size = count(self.dp_size);
        Ok(match policy {
            Policy::Sequential => SamplerConfig::Sequential,
            Policy::GrpoGroupN => SamplerConfig::GrpoGroupN {
                n_samples_per_prompt,
            },
            Policy::RankAware => SamplerConfig::RankAware,
            Policy::SeqlenBalanced => SamplerConfig::SeqlenBalanced {
                n_samples_per_prompt,
                dp_size,
            },
            Policy::StreamingTokenBudget => SamplerConfig::StreamingTokenBudget {
                token_budget: self.token_budget,
                n_samples_per_prompt,
                dp_size,
                length_tag: self.length_tag.into(),
            },
        })
    }
}

impl proto::FetchMessage {
    /// The message for `request`.
    #[must_use]
    pub fn of(request: &FetchRequest) -> Self {
        Self {
            partition: request.partition.as_ref().into(),
            task: request.task.as_ref().into(),
            fields: names(&request.fields),
            batch_size: request.batch_size as u64,
            dp_rank: request.dp_rank,
            batch_index: request.batch_index,
        }
    }

    /// The request.
    #[must_use]
    pub fn read(self) -> FetchRequest {
        FetchRequest {
            partition: self.partition.into(),
            task: self.task.into(),
            fields: field_names(self.fields),
            batch_size: count(self.batch_size),
            dp_rank: self.dp_rank,
            batch_index: self.batch_index,
        }
    }
}

/// A claim with its own parts; [`OwnedClaim::claim`] lends them.
#[derive(Debug)]
pub struct OwnedClaim {
    partition: String,
    task: String,
    fields: Vec<FieldName>,
    sampled: Vec<GlobalIndex>,
    consumed: Vec<GlobalIndex>,
    again: bool,
}

impl OwnedClaim {
    /// The claim.
    #[must_use]
    pub fn claim(&self) -> Claim<'_> {
        Claim {
            partition: &self.partition,
            task: &self.task,
            fields: self.fields.clone(),
            sampled: &self.sampled,
            consumed: &self.consumed,
            again: self.again,
        }
    }
}

impl proto::ClaimMessage {
    /// The message for `claim`.
    #[must_use]
    pub fn of(claim: &Claim<'_>) -> Self {
        Self {
            partition: claim.partition.into(),
            task: claim.task.into(),
            fields: names(&claim.fields),
            sampled: numbers(claim.sampled),
            consumed: numbers(claim.consumed),
            again: claim.again,
        }
    }

    /// The claim.
    #[must_use]
    pub fn read(self) -> OwnedClaim {
        OwnedClaim {
            partition: self.partition,
            task: self.task,
            fields: field_names(self.fields),
            sampled: indexes(self.sampled),
            consumed: indexes(self.consumed),
            again: self.again,
        }
    }
}

impl proto::PublishedReply {
    /// The reply that gives `published`.
    #[must_use]
    pub fn of(published: &Published) -> Self {
        Self {
            tags: Some(proto::Tags::of(&published.tags)),
            fields: names(&published.fields),
            sequence: published.sequence,
        }
    }

    /// What a put of `rows` samples has brought about.
    ///
    /// # Errors
    /// `Internal` where there are other than `rows` sets of tags.
    pub fn read(self, rows: usize) -> Result<Published> {
        Ok(Published {
            tags: tags(self.tags.as_ref(), rows)?,
            fields: field_names(self.fields),
            sequence: self.sequence,
        })
    }
}
