//! Groups dealt to the ranks by their lengths.

use tq_controller::TagValue;
use tq_controller::sampler::{SampleRequest, Sampler, SamplerConfig};

use crate::support::{Samples, again, fresh, plain, ranked, refusal, sampler};

fn balanced(n_samples_per_prompt: usize, dp_size: usize) -> Sampler {
    sampler(SamplerConfig::SeqlenBalanced {
        n_samples_per_prompt,
        dp_size,
    })
}

#[test]
fn each_rank_gets_one_long_and_one_short_sample() {
    let mut samples = Samples::of_lengths([100, 100, 10, 10]);
    let mut sampler = balanced(1, 2);
    let (first, _) = samples.ask(&mut sampler, &ranked(2, 0, 0)).unwrap();
    let (second, _) = samples.ask(&mut sampler, &ranked(2, 1, 0)).unwrap();
    assert_eq!(samples.tokens(&first), 110);
    assert_eq!(samples.tokens(&second), 110);
    assert_eq!(samples.consumed.len(), 4);
    assert_eq!(samples.ask(&mut sampler, &ranked(2, 0, 0)), again(&first));
    assert_eq!(samples.ask(&mut sampler, &ranked(2, 1, 0)), again(&second));
}

#[test]
fn groups_stay_whole_and_lengths_may_be_floats_or_missing() {
    let mut samples = Samples::of_lengths([100, 90, 50]);
    samples.exist.extend([3, 4, 5, 6, 7]);
    samples.lengths.insert(4, TagValue::Float(180.5));
    let mut sampler = balanced(2, 2);
    // The groups weigh 190, 51, 181.5 and 2.
    assert_eq!(
        samples.ask(&mut sampler, &ranked(4, 0, 0)),
        fresh(&[2, 3, 4, 5])
    );
    assert_eq!(
        samples.ask(&mut sampler, &ranked(4, 1, 0)),
        fresh(&[0, 1, 6, 7])
    );
}

#[test]
fn the_whole_batch_must_be_ready() {
    let mut samples = Samples::of_lengths([1, 2, 3]);
    let mut sampler = balanced(1, 2);
    assert_eq!(samples.ask(&mut sampler, &ranked(2, 0, 0)), None);
    assert!(!sampler.has_answer(&ranked(2, 0, 0)));
    samples.append([4]);
    assert!(samples.ask(&mut sampler, &ranked(2, 0, 0)).is_some());
    assert!(sampler.has_answer(&ranked(2, 1, 0)));
}

#[test]
fn a_fast_rank_is_not_given_what_a_slow_one_was_promised() {
    let mut samples = Samples::of_lengths([7, 7, 7, 7, 7, 7]);
    let mut sampler = balanced(1, 2);
    assert_eq!(samples.ask(&mut sampler, &ranked(1, 0, 0)), fresh(&[1]));
    assert_eq!(samples.ask(&mut sampler, &ranked(1, 0, 1)), fresh(&[3]));
    assert_eq!(samples.ask(&mut sampler, &ranked(1, 1, 0)), fresh(&[0]));
    // Not the share that rank 1 has yet to ask for, though this request names no batch.
    assert_eq!(samples.ask(&mut sampler, &plain(1)), fresh(&[5]));
    assert_eq!(samples.ask(&mut sampler, &ranked(1, 1, 1)), fresh(&[2]));
}

#[test]
fn a_promised_share_that_another_consumer_took_is_drawn_anew() {
    let mut samples = Samples::of_lengths([5, 5, 5, 5]);
    let mut sampler = balanced(1, 2);
    assert_eq!(samples.ask(&mut sampler, &ranked(1, 0, 0)), fresh(&[1]));
    samples.consumed.insert(0);
    assert_eq!(samples.ask(&mut sampler, &ranked(1, 1, 0)), fresh(&[2]));
    assert_eq!(samples.ask(&mut sampler, &ranked(1, 0, 0)), again(&[1]));
    assert_eq!(samples.ask(&mut sampler, &ranked(1, 1, 0)), again(&[2]));
}

#[test]
fn what_is_left_of_a_promised_share_that_lost_a_sample_is_dealt_again() {
    let mut samples = Samples::of_lengths([5; 4]);
    let mut sampler = balanced(1, 2);
    assert_eq!(samples.ask(&mut sampler, &ranked(2, 0, 0)), fresh(&[0, 3]));
    samples.clear(&[1]);
    assert_eq!(samples.ask(&mut sampler, &ranked(2, 1, 0)), None);
    samples.append([5]);
    assert_eq!(samples.ask(&mut sampler, &ranked(2, 1, 0)), fresh(&[2, 4]));
}

#[test]
fn a_rank_that_has_moved_on_is_promised_nothing_more() {
    let mut samples = Samples::of_lengths([5; 4]);
    let mut sampler = balanced(1, 2);
    assert_eq!(samples.ask(&mut sampler, &ranked(1, 0, 0)), fresh(&[1]));
    samples.clear(&[0, 1]);
    assert_eq!(samples.ask(&mut sampler, &ranked(1, 1, 0)), fresh(&[2]));
    assert_eq!(samples.ask(&mut sampler, &ranked(1, 0, 0)), fresh(&[3]));
}

#[test]
fn a_batch_index_can_be_used_again_by_all_ranks_after_a_clear() {
    let mut samples = Samples::of_lengths([9, 1]);
    let mut sampler = balanced(1, 2);
    for rank in 0..2 {
        samples.ask(&mut sampler, &ranked(1, rank, 0)).unwrap();
    }
    samples.clear(&[0, 1]);
    samples.exist.extend(2..6);
    assert_eq!(samples.ask(&mut sampler, &ranked(2, 0, 0)), fresh(&[2, 5]));
    assert_eq!(samples.ask(&mut sampler, &ranked(2, 1, 0)), fresh(&[3, 4]));
}

#[test]
fn without_a_rank_the_share_of_the_first_is_given_and_not_kept() {
    let mut samples = Samples::of_lengths([4, 3, 2, 1]);
    let mut sampler = balanced(1, 2);
    assert_eq!(samples.ask(&mut sampler, &plain(1)), fresh(&[0]));
    assert_eq!(samples.ask(&mut sampler, &plain(1)), fresh(&[1]));
    let only_rank = SampleRequest {
        batch_index: None,
        ..ranked(1, 1, 0)
    };
    assert_eq!(samples.ask(&mut sampler, &only_rank), fresh(&[3]));
}

#[test]
fn refusals_name_what_is_wrong_and_change_nothing() {
    let mut samples = Samples::of_lengths([1, 1, 1, 1]);
    let mut sampler = balanced(2, 2);
    let text = refusal(sampler.sample(&samples, &ranked(2, 2, 0)));
    assert!(
        text.contains("dp_rank is 2") && text.contains("from 0 to 1"),
        "{text}"
    );
    let text = refusal(sampler.sample(&samples, &ranked(3, 0, 0)));
    assert!(
        text.contains("must be a multiple of n_samples_per_prompt"),
        "{text}"
    );
    let values = [
        (TagValue::Null, "None"),
        (TagValue::Bool(true), "the truth value true"),
        (TagValue::Str("9".into()), "the text `9`"),
        (TagValue::Float(f64::NAN), "NaN"),
        (TagValue::Int(-1), "-1"),
        (TagValue::Opaque([0].into()), "an object"),
    ];
    for (value, shown) in values {
        samples.lengths.insert(2, value);
        let text = refusal(sampler.sample(&samples, &ranked(2, 0, 0)));
        assert!(
            text.contains("sample 2, but its tag `total_lengths`"),
            "{text}"
        );
        assert!(text.contains(&format!("is {shown};")), "{text}");
        assert!(!sampler.has_answer(&ranked(2, 0, 0)));
    }
    samples.lengths.insert(2, TagValue::Int(1));
    assert!(samples.ask(&mut sampler, &ranked(2, 0, 0)).is_some());
}
