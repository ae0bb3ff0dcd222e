//! The oldest samples, the same again for the same rank and batch index.

use tq_proto::Result;

use super::answers::{Answers, Ranks};
use super::sequential::oldest;
use super::{ReadySamples, SampleRequest, Sampled, invalid};

#[derive(Debug, Default)]
pub(super) struct RankAware {
    pub(super) answers: Answers,
}

impl RankAware {
    pub(super) fn sample(
        &mut self,
        ready: &dyn ReadySamples,
        request: &SampleRequest<'_>,
    ) -> Result<Option<Sampled>> {
        let lacking = match (request.dp_rank, request.batch_index) {
            (Some(_), Some(_)) => None,
            (None, Some(_)) => Some("dp_rank"),
            (Some(_), None) => Some("batch_index"),
            (None, None) => Some("dp_rank and batch_index"),
        };
        if let Some(lacking) = lacking {
            return Err(invalid(format!(
                "RankAwareSampler needs {lacking} in sampling_config"
            )));
        }
        self.answers
            .answer(ready, request, Ranks::Alone, |candidates, _| {
                Ok(oldest(candidates, request.batch_size).map(|samples| vec![samples]))
            })
    }
}
