//! Groups packed onto ranks up to a budget of tokens.

use tq_controller::TagValue;
use tq_controller::sampler::{LENGTH_TAG, Sampler, SamplerConfig};

use crate::support::{Samples, again, fresh, plain, ranked, refusal, sampler};

fn budget(token_budget: u64, n_samples_per_prompt: usize, dp_size: usize) -> Sampler {
    sampler(SamplerConfig::StreamingTokenBudget {
        token_budget,
        n_samples_per_prompt,
        dp_size,
        length_tag: LENGTH_TAG.into(),
    })
}

#[test]
fn a_batch_is_closed_by_the_group_that_fits_nowhere() {
    let mut samples = Samples::of_lengths([60, 30, 50, 40]);
    let mut sampler = budget(100, 1, 2);
    assert_eq!(samples.ask(&mut sampler, &ranked(8, 0, 0)), None);
    samples.append([30]);
    assert_eq!(samples.ask(&mut sampler, &ranked(8, 0, 0)), fresh(&[0, 3]));
    assert_eq!(samples.ask(&mut sampler, &ranked(8, 0, 0)), again(&[0, 3]));
    // The 30 waits for the next batch, which is not closed yet.
    assert_eq!(samples.ask(&mut sampler, &ranked(8, 0, 1)), None);
    assert_eq!(samples.ask(&mut sampler, &ranked(8, 1, 0)), fresh(&[1, 2]));
    samples.append([100, 71]);
    assert_eq!(samples.ask(&mut sampler, &ranked(8, 1, 1)), fresh(&[5]));
    assert_eq!(samples.ask(&mut sampler, &ranked(8, 0, 1)), fresh(&[4]));
}

#[test]
fn a_batch_is_closed_when_every_rank_holds_batch_size_samples() {
    let mut samples = Samples::of_lengths([1, 9, 1]);
    let mut sampler = budget(1000, 1, 2);
    assert_eq!(samples.ask(&mut sampler, &ranked(2, 1, 0)), None);
    samples.append([2]);
    assert_eq!(samples.ask(&mut sampler, &ranked(2, 1, 0)), fresh(&[1, 3]));
    assert_eq!(samples.ask(&mut sampler, &ranked(2, 0, 0)), fresh(&[0, 2]));
}

#[test]
fn groups_stay_whole_and_count_against_batch_size() {
    let mut samples = Samples::of_lengths([4, 4, 1, 1, 1, 1, 5, 5, 1, 1]);
    let mut sampler = budget(1000, 2, 2);
    // Five samples of room are two groups of two.
    assert_eq!(
        samples.ask(&mut sampler, &ranked(5, 0, 0)),
        fresh(&[0, 1, 6, 7])
    );
    assert_eq!(samples.walked.get(), 8);
    assert_eq!(
        samples.ask(&mut sampler, &ranked(5, 1, 0)),
        fresh(&[2, 3, 4, 5])
    );
}

#[test]
fn promised_samples_are_in_no_other_batch() {
    let mut samples = Samples::of_lengths([10; 9]);
    let mut sampler = budget(20, 1, 2);
    assert_eq!(samples.ask(&mut sampler, &ranked(4, 0, 0)), fresh(&[0, 2]));
    assert_eq!(samples.ask(&mut sampler, &ranked(4, 0, 1)), fresh(&[4, 6]));
    assert_eq!(samples.ask(&mut sampler, &ranked(4, 1, 1)), fresh(&[5, 7]));
    assert_eq!(samples.ask(&mut sampler, &ranked(4, 1, 0)), fresh(&[1, 3]));
    assert_eq!(samples.ask(&mut sampler, &ranked(4, 1, 2)), None);
}

#[test]
fn a_sample_is_ready_only_with_its_length() {
    let mut samples = Samples::of_lengths([10, 10]);
    samples.exist.insert(2);
    let mut sampler = budget(30, 1, 1);
    assert_eq!(samples.ask(&mut sampler, &ranked(9, 0, 0)), None);
    samples.lengths.insert(2, TagValue::Float(10.0));
    assert_eq!(
        samples.ask(&mut sampler, &ranked(9, 0, 0)),
        fresh(&[0, 1, 2])
    );
}

#[test]
fn one_rank_needs_no_names() {
    let mut samples = Samples::of_lengths([10, 10, 15, 20]);
    let mut sampler = budget(30, 1, 1);
    assert_eq!(samples.ask(&mut sampler, &plain(9)), fresh(&[0, 1]));
    assert_eq!(samples.ask(&mut sampler, &plain(9)), fresh(&[2]));
    assert_eq!(samples.ask(&mut sampler, &plain(9)), None);
    assert_eq!(samples.ask(&mut sampler, &plain(1)), fresh(&[3]));
}

#[test]
fn a_group_over_the_budget_is_named() {
    let samples = Samples::of_lengths([10, 10, 60, 50]);
    let mut sampler = budget(100, 2, 1);
    let text = refusal(sampler.sample(&samples, &ranked(8, 0, 0)));
    assert!(
        text.contains("the group of samples 2 to 3 has 110 tokens"),
        "{text}"
    );
    assert!(text.contains("token_budget of 100"), "{text}");
    let text = refusal(budget(59, 1, 1).sample(&samples, &ranked(8, 0, 0)));
    assert!(text.contains("sample 2 has 60 tokens"), "{text}");
    // A batch that is closed before it is not held up.
    assert!(
        budget(59, 1, 1)
            .sample(&samples, &ranked(2, 0, 0))
            .unwrap()
            .is_some()
    );
}

#[test]
fn requests_that_no_batch_can_answer_are_refused() {
    let samples = Samples::of_lengths([1; 8]);
    let mut sampler = budget(100, 2, 2);
    for batch_size in [0, 1] {
        let text = refusal(sampler.sample(&samples, &ranked(batch_size, 0, 0)));
        assert!(
            text.contains(&format!("batch_size is {batch_size}")),
            "{text}"
        );
    }
    let text = refusal(sampler.sample(&samples, &plain(2)));
    assert!(text.contains("needs dp_rank and batch_index"), "{text}");
    let text = refusal(sampler.sample(&samples, &ranked(2, 2, 0)));
    assert!(text.contains("dp_rank is 2"), "{text}");
}
