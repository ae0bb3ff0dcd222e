//! Groups of consecutive samples.

use tq_controller::sampler::{SampleRequest, Sampler, SamplerConfig};

use crate::support::{Samples, again, fresh, plain, ranked, refusal, sampler};

fn grouped(n_samples_per_prompt: usize) -> Sampler {
    sampler(SamplerConfig::GrpoGroupN {
        n_samples_per_prompt,
    })
}

#[test]
fn whole_groups_are_taken_in_order() {
    let mut samples = Samples::new([0, 1, 3, 4, 5, 6, 7, 9, 10, 11]);
    let mut sampler = grouped(3);
    assert_eq!(
        samples.ask(&mut sampler, &plain(6)),
        fresh(&[3, 4, 5, 9, 10, 11])
    );
    let mut samples = Samples::new(5..13);
    let expected: Vec<u64> = (5..13).collect();
    assert_eq!(samples.ask(&mut grouped(4), &plain(8)), fresh(&expected));
}

#[test]
fn too_few_groups_give_nothing() {
    let mut samples = Samples::new([0, 1, 2, 4, 5]);
    let mut sampler = grouped(3);
    assert_eq!(samples.ask(&mut sampler, &plain(6)), None);
    assert_eq!(samples.ask(&mut sampler, &plain(0)), None);
    samples.exist.insert(6);
    assert_eq!(
        samples.ask(&mut sampler, &plain(6)),
        fresh(&[0, 1, 2, 4, 5, 6])
    );
}

#[test]
fn only_a_prefix_is_walked() {
    let mut samples = Samples::new(0..1000);
    samples.ask(&mut grouped(4), &plain(8));
    assert_eq!(samples.walked.get(), 8);
}

#[test]
fn a_batch_that_groups_cannot_fill_is_refused_but_not_a_kept_answer() {
    let mut samples = Samples::new(0..8);
    let mut sampler = grouped(2);
    let text = refusal(sampler.sample(&samples, &plain(3)));
    assert!(
        text.contains("must be a multiple of n_samples_per_prompt"),
        "{text}"
    );
    assert_eq!(samples.ask(&mut sampler, &ranked(2, 0, 0)), fresh(&[0, 1]));
    assert_eq!(samples.ask(&mut sampler, &ranked(3, 0, 0)), again(&[0, 1]));
}

#[test]
fn an_answer_is_kept_only_for_a_rank_and_a_batch_index() {
    let mut samples = Samples::new(0..8);
    let mut sampler = grouped(2);
    let only_rank = SampleRequest {
        batch_index: None,
        ..ranked(2, 0, 0)
    };
    assert_eq!(samples.ask(&mut sampler, &only_rank), fresh(&[0, 1]));
    assert_eq!(samples.ask(&mut sampler, &only_rank), fresh(&[2, 3]));
    assert_eq!(samples.ask(&mut sampler, &ranked(2, 0, 0)), fresh(&[4, 5]));
    assert_eq!(samples.ask(&mut sampler, &ranked(2, 0, 0)), again(&[4, 5]));
}
