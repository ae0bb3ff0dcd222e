//! Random histories with overlapping puts, clears and consumption, against a naive model.
#![allow(clippy::unwrap_used)]

mod compare;
mod consume;
mod model;
mod pair;
mod steps;
mod words;

use pair::Pair;
use proptest::prelude::*;
use words::numbers;

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn any_history_agrees_with_the_naive_model(
        ops in prop::collection::vec(steps::op(), 1..80)
    ) {
        let mut pair = Pair::default();
        for op in ops {
            pair.run(op);
            pair.compare();
        }
        while let Some((real, partition, indexes)) = pair.take(0) {
            let orphans = pair.real.abandon(real);
            prop_assert_eq!(numbers(&orphans), pair.model.abandon(&partition, &indexes));
            pair.compare();
        }
    }
}
