//! Answers given, and answers promised to ranks that have yet to ask.
//!
//! A sampler that deals one batch to several ranks settles all their shares when the first of them
//! asks, but a share is consumed only when its own rank asks. Until then its samples look ready;
//! they are promised, and kept out of what is drawn for other batches of the task.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};
use tq_proto::{GlobalIndex, PartitionId, Result, TaskName};

use super::{ReadySamples, SampleRequest, Sampled, invalid};

/// Who shares a batch.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ranks {
    /// Each rank has batches of its own.
    Alone,
    /// This many ranks share a batch.
    Together(usize),
}

/// Answers by partition, task, batch index and rank.
#[derive(Debug, Default)]
pub(super) struct Answers {
    partitions: FxHashMap<PartitionId, FxHashMap<TaskName, TaskAnswers>>,
}

#[derive(Debug, Default)]
struct TaskAnswers {
    batches: FxHashMap<u64, BTreeMap<u64, Answer>>,
    /// Samples of the answers that are not given yet.
    promised: FxHashSet<GlobalIndex>,
    /// So many batches are not worth a search for those that are over.
    tolerated: usize,
}

#[derive(Debug)]
struct Answer {
    samples: Vec<GlobalIndex>,
    given: bool,
}

impl Answer {
    /// Whether it can be given: again while its samples exist, for the first time only while no
    /// one else has consumed them.
    fn holds(&self, ready: &dyn ReadySamples) -> bool {
        if self.given {
            self.samples.iter().all(|index| ready.is_available(*index))
        } else {
            are_ready(ready, &self.samples)
        }
    }
}

impl Answers {
    /// The answer that is kept for `request` if it still holds, else one that `draw` makes. `draw`
    /// gets the ready samples that are promised to nobody and the number of shares to make of
    /// them; `None` means that they do not suffice.
    ///
    /// Only a request that names its rank and batch index leaves an answer behind.
    ///
    /// # Errors
    /// Those of `draw`, and `InvalidArgument` for a rank beyond the last. Nothing changes then.
    pub(super) fn answer(
        &mut self,
        ready: &dyn ReadySamples,
        request: &SampleRequest<'_>,
        ranks: Ranks,
        draw: impl FnOnce(
            Box<dyn Iterator<Item = GlobalIndex> + '_>,
            usize,
        ) -> Result<Option<Vec<Vec<GlobalIndex>>>>,
    ) -> Result<Option<Sampled>> {
        let rank = request.dp_rank.unwrap_or(0);
        if let Ranks::Together(size) = ranks
            && rank >= size as u64
        {
            return Err(invalid(format!(
                "dp_rank is {rank}, but the sampler serves {size} ranks, from 0 to {}; give it \
                 another dp_size",
                size - 1
            )));
        }
        let sharing: Vec<u64> = match ranks {
            Ranks::Alone => vec![rank],
            Ranks::Together(size) => (0..size as u64).collect(),
        };
        let kept = identity(request);
        let task = self.find_mut(request);

        let mut drawn_for = sharing;
        let mut released = FxHashSet::default();
        let mut promised = None;
        if let Some(task) = task {
            if let Some((rank, batch)) = kept
                && let Some(answers) = task.batches.get_mut(&batch)
            {
                if let Some(answer) = answers.get_mut(&rank)
                    && answer.holds(ready)
                {
                    let sampled = Sampled::of(answer.samples.clone(), answer.given);
                    answer.given = true;
                    for index in &sampled.sampled {
                        task.promised.remove(index);
                    }
                    return Ok(Some(sampled));
                }
                drawn_for = to_draw(answers, rank, drawn_for, ready);
                let dropped = drawn_for.iter().filter_map(|rank| answers.get(rank));
                released.extend(dropped.flat_map(|answer| answer.samples.iter().copied()));
            }
            promised = Some(&task.promised);
        }

        let withheld = |index: &GlobalIndex| {
            promised.is_some_and(|promised| promised.contains(index)) && !released.contains(index)
        };
        let candidates = Box::new(ready.iter().filter(|index| !withheld(index)));
        let Some(mut shares) = draw(candidates, drawn_for.len())? else {
            return Ok(None);
        };
        let own = drawn_for.iter().position(|drawn| *drawn == rank);
        let own = own.unwrap_or_default();
        let Some((_, batch)) = kept else {
            return Ok(Some(Sampled::of(shares.swap_remove(own), false)));
        };
        let sampled = Sampled::of(shares[own].clone(), false);
        let task = self.entry(request);
        task.forget_finished(ready);
        for index in &released {
            task.promised.remove(index);
        }
        let answers = task.batches.entry(batch).or_default();
        for (drawn, samples) in drawn_for.into_iter().zip(shares) {
            let given = drawn == rank;
            if !given {
                task.promised.extend(samples.iter().copied());
            }
            answers.insert(drawn, Answer { samples, given });
        }
        Ok(Some(sampled))
    }

    /// Whether an answer to `request` is kept, stale or not.
    pub(super) fn has(&self, request: &SampleRequest<'_>) -> bool {
        identity(request).is_some_and(|(rank, batch)| {
            self.partitions
                .get(request.partition)
                .and_then(|tasks| tasks.get(request.task))
                .and_then(|task| task.batches.get(&batch))
                .is_some_and(|answers| answers.contains_key(&rank))
        })
    }

    pub(super) fn forget_partition(&mut self, partition: &str) {
        self.partitions.remove(partition);
    }

    fn find_mut(&mut self, request: &SampleRequest<'_>) -> Option<&mut TaskAnswers> {
        self.partitions
            .get_mut(request.partition)?
            .get_mut(request.task)
    }

    fn entry(&mut self, request: &SampleRequest<'_>) -> &mut TaskAnswers {
        self.partitions
            .entry(request.partition.into())
            .or_default()
            .entry(request.task.into())
            .or_default()
    }
}

impl TaskAnswers {
    /// Forgets the batches that every rank was given and of which no sample is left, so that a
    /// partition that is filled and emptied for ever does not grow a list of its past. Runs each
    /// time the batches have doubled, so its cost per batch stays constant.
    fn forget_finished(&mut self, ready: &dyn ReadySamples) {
        const FEW: usize = 64;
        if self.batches.len() < self.tolerated.max(FEW) {
            return;
        }
        self.batches.retain(|_, answers| {
            answers.values().any(|answer| {
                !answer.given
                    || answer
                        .samples
                        .iter()
                        .any(|index| ready.is_available(*index))
            })
        });
        self.tolerated = 2 * self.batches.len();
    }
}

/// Rank and batch index, where both are named.
fn identity(request: &SampleRequest<'_>) -> Option<(u64, u64)> {
    request.dp_rank.zip(request.batch_index)
}

/// The ranks whose shares are drawn anew because that of `rank` does not hold. Shares that hold
/// stay as they are. A share that was given is replaced only where `rank` itself was given its
/// share before, so that the batch is started over; else its rank has moved on, and what would be
/// promised to it would never be asked for.
fn to_draw(
    answers: &BTreeMap<u64, Answer>,
    rank: u64,
    sharing: Vec<u64>,
    ready: &dyn ReadySamples,
) -> Vec<u64> {
    let starts_over = answers.get(&rank).is_some_and(|answer| answer.given);
    let stale = |other: &u64| match answers.get(other) {
        Some(answer) => (starts_over || !answer.given) && !answer.holds(ready),
        None => *other == rank,
    };
    sharing.into_iter().filter(stale).collect()
}

/// Whether all of `samples` are ready. Walks no further than the last of them.
fn are_ready(ready: &dyn ReadySamples, samples: &[GlobalIndex]) -> bool {
    let mut wanted = samples.to_vec();
    wanted.sort_unstable();
    let mut wanted = wanted.into_iter().peekable();
    for index in ready.iter() {
        match wanted.peek() {
            None => return true,
            Some(next) if index > *next => return false,
            Some(next) if index == *next => wanted.next(),
            Some(_) => None,
        };
    }
    wanted.peek().is_none()
}
