//! Any bytes as a header, with frames of any lengths.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (lengths, header) = tq_fuzz::split_header_input(bytes);
    // An error is a fine answer here; what must not happen is asserted on the way.
    let _ = tq_fuzz::walk(header, &lengths);
});
