//! Any value, there and back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tq_fuzz::tree::Tree;

fuzz_target!(|tree: Tree| {
    tq_fuzz::round_trip(tree.into_value());
});
