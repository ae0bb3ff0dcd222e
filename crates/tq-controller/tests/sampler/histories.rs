//! Random interleavings of ranks, puts, clears and foreign consumers.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tq_controller::sampler::{LENGTH_TAG, Sampler, SamplerConfig};

use crate::support::{Samples, ranked, sampler};

const RANKS: usize = 3;
const BUDGET: i64 = 50;
const BATCH: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    Put(Vec<i64>),
    /// The rank asks for its next batch.
    Next(u64),
    /// The rank asks again for the last batch it got.
    Repeat(u64),
    Clear(u64),
    Consume(u64),
}

fn steps(destructive: bool) -> impl Strategy<Value = Vec<Step>> {
    let rank = 0..RANKS as u64;
    let other = if destructive { 1 } else { 0 };
    let step = prop_oneof![
        4 => prop::collection::vec(1..=20i64, 1..10).prop_map(Step::Put),
        8 => rank.clone().prop_map(Step::Next),
        3 => rank.prop_map(Step::Repeat),
        other => (0..80u64).prop_map(Step::Clear),
        other => (0..80u64).prop_map(Step::Consume),
    ];
    prop::collection::vec(step, 1..80)
}

fn both() -> [Sampler; 2] {
    [
        sampler(SamplerConfig::SeqlenBalanced {
            n_samples_per_prompt: 2,
            dp_size: RANKS,
        }),
        sampler(SamplerConfig::StreamingTokenBudget {
            token_budget: BUDGET as u64,
            n_samples_per_prompt: 2,
            dp_size: RANKS,
            length_tag: LENGTH_TAG.into(),
        }),
    ]
}

/// `Samples::ask` checks that no sample is given twice and none that is gone.
fn run(mut sampler: Sampler, steps: &[Step]) -> (Samples, Sampler, [u64; RANKS]) {
    let mut samples = Samples::default();
    let mut next = [0; RANKS];
    let mut given: BTreeMap<(u64, u64), Vec<u64>> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Put(lengths) => samples.append(lengths.iter().copied()),
            Step::Next(rank) => {
                let batch = next[*rank as usize];
                if let Some((share, again)) =
                    samples.ask(&mut sampler, &ranked(BATCH, *rank, batch))
                {
                    assert!(!again && share.len() <= BATCH);
                    assert!(share.chunks(2).all(|pair| pair[0] + 1 == pair[1]));
                    given.insert((*rank, batch), share);
                    next[*rank as usize] += 1;
                }
            }
            Step::Repeat(rank) => {
                let Some(batch) = next[*rank as usize].checked_sub(1) else {
                    continue;
                };
                let before = given.remove(&(*rank, batch));
                let answer = samples.ask(&mut sampler, &ranked(BATCH, *rank, batch));
                if let Some(before) = before {
                    let whole = before.iter().all(|index| samples.exist.contains(index));
                    if whole {
                        assert_eq!(answer, Some((before.clone(), true)));
                    }
                }
                if let Some((share, _)) = answer {
                    given.insert((*rank, batch), share);
                }
            }
            Step::Clear(index) => samples.clear(&[*index]),
            Step::Consume(index) => {
                if samples.exist.contains(index) {
                    samples.consumed.insert(*index);
                }
            }
        }
    }
    (samples, sampler, next)
}

proptest! {
    #[test]
    fn no_sample_is_given_twice_whatever_happens(steps in steps(true)) {
        for sampler in both() {
            run(sampler, &steps);
        }
    }

    /// Without clears every rank can always ask for the batches that another rank has had, and
    /// then everything that was drawn has been consumed.
    #[test]
    fn ranks_that_catch_up_leave_no_promise_behind(steps in steps(false)) {
        for sampler in both() {
            let (mut samples, mut sampler, next) = run(sampler, &steps);
            let last = next.iter().copied().max().unwrap_or(0);
            for (rank, next) in next.into_iter().enumerate() {
                for batch in next..last {
                    prop_assert!(samples.ask(&mut sampler, &ranked(BATCH, rank as u64, batch)).is_some());
                }
            }
            let consumed = samples.consumed.len() as u64;
            prop_assert!(samples.consumed.iter().copied().eq(0..consumed));
        }
    }
}

/// What a task leaves behind when its samples are cleared after each batch.
#[test]
fn answers_of_cleared_samples_do_not_pile_up() {
    let mut samples = Samples::default();
    let mut rank_aware = sampler(SamplerConfig::RankAware);
    for batch in 0..2000 {
        samples.append([1, 1]);
        let (share, _) = samples.ask(&mut rank_aware, &ranked(2, 0, batch)).unwrap();
        samples.clear(&share);
    }
    let kept = (0..2000)
        .filter(|batch| rank_aware.has_answer(&ranked(2, 0, *batch)))
        .count();
    assert!(kept <= 65, "{kept} answers are kept");
}
