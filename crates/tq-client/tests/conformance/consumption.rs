//! Fetch, claim, reset, statuses.

use tq_client::Engine;
use tq_controller::FetchRequest;
use tq_controller::sampler::SamplerConfig;
use tq_engine::Claim;
use tq_proto::ErrorKind;

use crate::common::{keys, on_all, put, tags};

fn request(batch_size: usize) -> FetchRequest {
    FetchRequest {
        partition: "p".into(),
        task: "t".into(),
        fields: vec!["x".into()],
        batch_size,
        dp_rank: None,
        batch_index: None,
    }
}

fn ready(engine: &Engine) -> usize {
    engine.ready_count("p", "t", &["x".into()], 100).unwrap()
}

#[test]
fn each_sample_is_fetched_once_until_it_is_given_back() {
    on_all(|engine| {
        put(engine, "p", &keys(0..6), "x", 8, 1).unwrap();
        let batch = engine.fetch(&request(4)).unwrap().unwrap();
        assert_eq!(batch.global_indexes.len(), 4);
        assert_eq!(batch.produced, [1; 4]);
        assert!(engine.fetch(&request(4)).unwrap().is_none());
        assert_eq!(ready(engine), 2);
        assert!(!engine.is_consumed("p", "t").unwrap());
        let status = engine.consumption_status("p", "t").unwrap().unwrap();
        assert_eq!(status.cells, [1, 1, 1, 1, 0, 0]);
        let some = Some(&batch.global_indexes[..1]);
        assert_eq!(engine.reset_consumption("p", Some("t"), some).unwrap(), 1);
        assert_eq!(engine.reset_consumption("p", None, None).unwrap(), 3);
        assert_eq!(ready(engine), 6);
        engine.fetch(&request(6)).unwrap().unwrap();
        assert!(engine.is_consumed("p", "t").unwrap());
    });
}

#[test]
fn a_batch_sampled_elsewhere_is_claimed_or_refused_as_a_whole() {
    on_all(|engine| {
        put(engine, "p", &keys(0..4), "x", 8, 1).unwrap();
        let found = engine
            .ready_indexes("p", "t", &["x".into()], 4)
            .unwrap()
            .unwrap();
        assert_eq!(
            engine.ready_indexes("p", "t", &["x".into()], 5).unwrap(),
            None
        );
        let claim = |sampled| Claim {
            partition: "p",
            task: "t",
            fields: vec!["x".into()],
            sampled,
            consumed: sampled,
            again: false,
        };
        let batch = engine.claim(claim(&found[1..3])).unwrap();
        assert_eq!(batch.global_indexes, found[1..3]);
        let error = engine.claim(claim(&found)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotReady);
        assert_eq!(ready(engine), 2);
    });
}

#[test]
fn every_sampler_can_be_chosen() {
    let samplers = [
        SamplerConfig::Sequential,
        SamplerConfig::GrpoGroupN {
            n_samples_per_prompt: 2,
        },
        SamplerConfig::RankAware,
        SamplerConfig::SeqlenBalanced {
            n_samples_per_prompt: 2,
            dp_size: 1,
        },
        SamplerConfig::StreamingTokenBudget {
            token_budget: 1000,
            n_samples_per_prompt: 1,
            dp_size: 1,
            length_tag: "total_lengths".into(),
        },
    ];
    on_all(|engine| {
        for sampler in &samplers {
            let put = engine
                .begin_put("p", &keys(0..4), vec![crate::common::dense("x", 8)])
                .unwrap();
            put.publish(Some(vec![tags("total_lengths", 10); 4]))
                .unwrap();
            engine.set_sampler(sampler.clone()).unwrap();
            let asked = FetchRequest {
                dp_rank: Some(0),
                batch_index: Some(0),
                ..request(2)
            };
            assert!(engine.fetch(&asked).unwrap().is_some(), "{sampler:?}");
            engine.clear_partition("p").unwrap();
        }
        let none = SamplerConfig::GrpoGroupN {
            n_samples_per_prompt: 0,
        };
        let error = engine.set_sampler(none).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    });
}
