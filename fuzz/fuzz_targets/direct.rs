//! Any bytes as direct calls, in pieces of the length that the first byte says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tq_wire::direct::{Frame, Frames};

fuzz_target!(|input: &[u8]| {
    let Some((length, bytes)) = input.split_first() else {
        return;
    };
    let mut frames = Frames::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let space = frames.space();
        // Memory is taken for what has come, and not for what was announced.
        assert!(space.len() <= bytes.len().max(16 << 10));
        let count = usize::from(*length).max(1);
        let count = count.min(rest.len()).min(space.len());
        let (now, later) = rest.split_at(count);
        space[..count].copy_from_slice(now);
        rest = later;
        match frames.take(count) {
            Ok(None) => {}
            Err(_) => return,
            Ok(Some(frame)) => {
                let written = Frame::write(&frame.head, &frame.message);
                assert!(written.is_ok(), "what was read can be written");
                // An error is a fine answer here.
                let _ = frame.head.headers();
            }
        }
    }
});
