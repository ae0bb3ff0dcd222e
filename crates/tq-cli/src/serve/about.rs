//! What guests are told of the engine. The Python package reads it, and writes the same for its own
//! engines (`Engine.start` in `_engine.py`).

use serde_json::json;
use tq_wire::secret::Secret;

use crate::settings::{SamplerName, Settings};

/// Seconds that a sampler written in Python may take; none runs here, but guests ask for it.
const SAMPLER_TIMEOUT: f64 = 30.0;

/// See the module.
pub(super) struct About {
    /// A name that no other engine has.
    pub(super) id: String,
    text: String,
}

impl About {
    pub(super) fn new(settings: &Settings) -> Self {
        let id = format!("TQ_CONTROLLER_{}", unique());
        let sampler = name(settings.sampler);
        // YAML, of which JSON is a part. What is not said here is as in the packaged configuration.
        let config = json!({
            "controller": {
                "sampler": sampler,
                "polling_mode": settings.polling_mode,
                "get_meta_timeout": settings.get_meta_timeout,
                "serve": true,
            },
            "backend": {
                "storage_backend": "SimpleStorage",
                "SimpleStorage": {
                    "total_storage_size": settings.max_samples,
                    "total_storage_bytes": settings.capacity(),
                    "retain_bytes": settings.retain_bytes,
                    "segment_bytes": settings.segment_bytes,
                },
            },
        });
        let about = json!({
            "id": id,
            "settings": {
                "polling": settings.polling_mode,
                "get_meta_timeout": settings.get_meta_timeout,
                "sampler_timeout": SAMPLER_TIMEOUT,
            },
            // A batch by token budget may be complete with fewer samples.
            "whole_batches": settings.sampler != SamplerName::StreamingTokenBudget,
            "sampler": null,
            "config": config.to_string(),
        });
        Self {
            id,
            text: about.to_string(),
        }
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        self.text.clone().into_bytes()
    }
}

fn name(sampler: SamplerName) -> String {
    let value = clap::ValueEnum::to_possible_value(&sampler);
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Eight digits drawn by chance.
fn unique() -> String {
    let drawn = Secret::generate().map(|secret| secret.as_bytes()[..4].to_vec());
    // Without random bytes, the process tells engines of one host apart.
    let bytes = drawn.unwrap_or_else(|_| std::process::id().to_be_bytes().to_vec());
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
