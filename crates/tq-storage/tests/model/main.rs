//! Random histories of puts, reads and clears against a model that keeps every row by itself.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod naive;
mod steps;
mod world;

use proptest::prelude::*;
use steps::Step;
use world::World;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_unit_behaves_like_a_map_of_rows(
        max_samples in proptest::option::of(6u64..20),
        capacity_bytes in proptest::option::of(1_000_000u64..4_000_000),
        steps in proptest::collection::vec(any::<Step>(), 1..60),
    ) {
        let mut world = World::new(max_samples, capacity_bytes);
        for step in steps {
            world.take(step)?;
        }
        world.end()?;
    }
}
