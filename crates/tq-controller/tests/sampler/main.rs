//! Samplers over a set of ready samples that is kept here, without a controller.
#![allow(clippy::unwrap_used)]

mod balanced;
mod configs;
mod first_samples;
mod groups;
mod histories;
mod support;
mod token_budget;
