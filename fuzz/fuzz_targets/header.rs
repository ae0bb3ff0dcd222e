//! Any bytes as a header, with frames of any lengths.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (lengths, header) = tq_fuzz::split_header_input(bytes);
    tq_fuzz::walk(header, &lengths);
});
