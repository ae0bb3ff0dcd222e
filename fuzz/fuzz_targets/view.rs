//! Any bytes as a packed buffer.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    tq_fuzz::view(bytes);
});
