//! Tokens of samples, from a tag.

use tq_proto::{GlobalIndex, Result};

use super::{ReadySamples, invalid};
use crate::tags::TagValue;

/// The tag `name` of a sample as a length, `None` where it has no such tag.
///
/// # Errors
/// `InvalidArgument`, naming the sample, where the tag is no finite number of at least 0.
pub(super) fn length(
    ready: &dyn ReadySamples,
    index: GlobalIndex,
    name: &str,
) -> Result<Option<f64>> {
    let Some(value) = ready.tag(index, name) else {
        return Ok(None);
    };
    let length = match &value {
        // Exact up to 2^53 tokens.
        TagValue::Int(length) => *length as f64,
        TagValue::Float(length) => *length,
        _ => f64::NAN,
    };
    if length.is_finite() && length >= 0.0 {
        return Ok(Some(length));
    }
    Err(invalid(format!(
        "the sampler needs the length of sample {index}, but its tag `{name}` is {}; set it to a \
         number of at least 0",
        shown(&value)
    )))
}

fn shown(value: &TagValue) -> String {
    match value {
        TagValue::Null => "None".into(),
        TagValue::Bool(truth) => format!("the truth value {truth}"),
        TagValue::Int(number) => number.to_string(),
        TagValue::Float(number) => number.to_string(),
        TagValue::Str(text) => format!("the text `{text}`"),
        TagValue::Opaque(_) => "an object".into(),
    }
}
