//! The pages of memory that is about to be written for the first time, asked for at once instead of by a
//! fault for each.

use std::mem::MaybeUninit;

use rustix::mm::{Advice, madvise};
use rustix::param::page_size;

/// Fewer bytes are not worth asking: three pages, and their faults cost as much.
const WORTH_IT: usize = 16 << 10;

/// Has the system provide the whole pages of `memory`. What they hold stays as it is. A system that
/// does not know how (Linux before 5.14) provides them when they are written.
pub(super) fn touch(memory: &mut [MaybeUninit<u8>]) {
    if memory.len() < WORTH_IT {
        return;
    }
    let page = page_size();
    let before = memory.as_ptr().align_offset(page);
    let whole = memory.get_mut(before..).unwrap_or_default();
    let len = whole.len() / page * page;
    // SAFETY: the range is that of `whole`, which nobody else uses, and the advice changes nothing
    // that its bytes say.
    let done = unsafe { madvise(whole.as_mut_ptr().cast(), len, Advice::LinuxPopulateWrite) };
    // Whatever it was, the faults are still there to do it.
    let _ = done;
}
