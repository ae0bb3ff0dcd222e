//! Any bytes as a packed buffer whose checksums are right, as a liar would make them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut buffer = bytes.to_vec();
    tq_fuzz::seal(&mut buffer);
    tq_fuzz::view(&buffer);
});
