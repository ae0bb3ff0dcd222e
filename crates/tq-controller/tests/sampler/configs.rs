//! Parameters that no sampler can work with.

use tq_controller::sampler::{Sampler, SamplerConfig};
use tq_proto::ErrorKind;

fn refused(config: SamplerConfig) -> String {
    let error = Sampler::new(config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    error.to_string()
}

#[test]
fn sizes_of_zero_are_refused_by_name() {
    let text = refused(SamplerConfig::GrpoGroupN {
        n_samples_per_prompt: 0,
    });
    assert!(
        text.contains("n_samples_per_prompt must be positive"),
        "{text}"
    );
    let text = refused(SamplerConfig::SeqlenBalanced {
        n_samples_per_prompt: 1,
        dp_size: 0,
    });
    assert!(text.contains("dp_size must be positive"), "{text}");
    let text = refused(SamplerConfig::StreamingTokenBudget {
        token_budget: 0,
        n_samples_per_prompt: 1,
        dp_size: 1,
        length_tag: "n".into(),
    });
    assert!(text.contains("token_budget must be positive"), "{text}");
}
