//! Sequential and rank-aware: the oldest samples.

use tq_controller::sampler::{SampleRequest, SamplerConfig};

use crate::support::{Samples, again, fresh, plain, ranked, refusal, sampler};

#[test]
fn sequential_takes_the_oldest_and_walks_no_further() {
    let mut samples = Samples::new(0..1000);
    let mut sequential = sampler(SamplerConfig::Sequential);
    assert_eq!(samples.ask(&mut sequential, &plain(3)), fresh(&[0, 1, 2]));
    assert_eq!(samples.walked.get(), 3);
    assert_eq!(samples.ask(&mut sequential, &plain(2)), fresh(&[3, 4]));
}

#[test]
fn sequential_takes_nothing_where_a_sample_lacks() {
    let mut samples = Samples::new([4, 9]);
    let mut sequential = sampler(SamplerConfig::Sequential);
    assert_eq!(samples.ask(&mut sequential, &plain(3)), None);
    assert_eq!(samples.ask(&mut sequential, &plain(0)), None);
    assert_eq!(samples.ask(&mut sequential, &plain(2)), fresh(&[4, 9]));
}

#[test]
fn sequential_keeps_no_answers() {
    let mut samples = Samples::new(0..4);
    let mut sequential = sampler(SamplerConfig::Sequential);
    assert_eq!(
        samples.ask(&mut sequential, &ranked(2, 0, 0)),
        fresh(&[0, 1])
    );
    assert!(!sequential.has_answer(&ranked(2, 0, 0)));
    assert_eq!(
        samples.ask(&mut sequential, &ranked(2, 0, 0)),
        fresh(&[2, 3])
    );
}

#[test]
fn a_rank_gets_the_same_batch_however_often_it_asks() {
    let mut samples = Samples::new(0..6);
    let mut rank_aware = sampler(SamplerConfig::RankAware);
    assert!(!rank_aware.has_answer(&ranked(3, 0, 0)));
    assert_eq!(
        samples.ask(&mut rank_aware, &ranked(3, 0, 0)),
        fresh(&[0, 1, 2])
    );
    assert!(rank_aware.has_answer(&ranked(3, 0, 0)));
    assert!(!rank_aware.has_answer(&plain(3)));
    assert_eq!(
        samples.ask(&mut rank_aware, &ranked(3, 0, 0)),
        again(&[0, 1, 2])
    );
    assert_eq!(
        samples.ask(&mut rank_aware, &ranked(3, 1, 0)),
        fresh(&[3, 4, 5])
    );
    assert_eq!(samples.ask(&mut rank_aware, &ranked(3, 0, 1)), None);
    assert!(!rank_aware.has_answer(&ranked(3, 0, 1)));
    assert_eq!(
        samples.ask(&mut rank_aware, &ranked(3, 1, 0)),
        again(&[3, 4, 5])
    );
}

#[test]
fn tasks_and_partitions_have_answers_of_their_own() {
    let samples = Samples::new(0..4);
    let mut rank_aware = sampler(SamplerConfig::RankAware);
    let first = ranked(2, 0, 0);
    let other_task = SampleRequest { task: "u", ..first };
    let other_partition = SampleRequest {
        partition: "q",
        ..first
    };
    for request in [first, other_task, other_partition] {
        assert!(!rank_aware.has_answer(&request));
        assert!(
            !rank_aware
                .sample(&samples, &request)
                .unwrap()
                .unwrap()
                .again
        );
    }
    rank_aware.forget_partition("p");
    assert!(!rank_aware.has_answer(&first) && !rank_aware.has_answer(&other_task));
    assert!(
        rank_aware
            .sample(&samples, &other_partition)
            .unwrap()
            .unwrap()
            .again
    );
}

#[test]
fn an_answer_with_a_sample_that_is_gone_is_sampled_anew() {
    let mut samples = Samples::new(0..5);
    let mut rank_aware = sampler(SamplerConfig::RankAware);
    samples.ask(&mut rank_aware, &ranked(2, 0, 0));
    samples.clear(&[1]);
    assert_eq!(
        samples.ask(&mut rank_aware, &ranked(2, 0, 0)),
        fresh(&[2, 3])
    );
    assert_eq!(
        samples.ask(&mut rank_aware, &ranked(2, 0, 0)),
        again(&[2, 3])
    );
    samples.clear(&[2]);
    assert_eq!(samples.ask(&mut rank_aware, &ranked(2, 0, 0)), None);
}

#[test]
fn rank_aware_names_what_the_request_lacks() {
    let samples = Samples::new(0..4);
    let mut rank_aware = sampler(SamplerConfig::RankAware);
    let text = refusal(rank_aware.sample(&samples, &plain(2)));
    assert!(text.contains("needs dp_rank and batch_index"), "{text}");
    let only_rank = SampleRequest {
        batch_index: None,
        ..ranked(2, 0, 0)
    };
    let text = refusal(rank_aware.sample(&samples, &only_rank));
    assert!(text.contains("needs batch_index"), "{text}");
    let only_batch = SampleRequest {
        dp_rank: None,
        ..ranked(2, 0, 0)
    };
    let text = refusal(rank_aware.sample(&samples, &only_batch));
    assert!(text.contains("needs dp_rank in"), "{text}");
}
