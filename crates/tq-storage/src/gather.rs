//! Copying pieces behind each other, in parallel where that pays.

use tq_arena::copy_streamed;
use tq_codec::{Stores, parallel};

/// Bytes below which one thread is faster than starting others.
const PARALLEL_BYTES: usize = 8 << 20;
/// Bytes a thread copies before it asks for more.
const CHUNK_BYTES: usize = 4 << 20;

/// A part of the destination and where in the sources its bytes begin.
struct Job<'a> {
    dst: &'a mut [u8],
    source: usize,
    skip: usize,
}

/// Copies `sources` back to back into `dst`, whose length is the sum of theirs (what is longer is cut
/// off), on at most `threads` threads, this one among them.
pub fn gather(sources: &[&[u8]], dst: &mut [u8], threads: usize) {
    let stores = Stores::of(dst.len() as u64);
    if threads < 2 || dst.len() < PARALLEL_BYTES {
        copy(
            sources,
            Job {
                dst,
                source: 0,
                skip: 0,
            },
            stores,
        );
        return;
    }
    let jobs = split(sources, dst, CHUNK_BYTES);
    parallel::drain(jobs, threads, |job| copy(sources, job, stores));
}

fn split<'a>(sources: &[&[u8]], dst: &'a mut [u8], chunk_bytes: usize) -> Vec<Job<'a>> {
    let (mut source, mut skip) = (0, 0);
    let mut jobs = Vec::with_capacity(dst.len().div_ceil(chunk_bytes));
    for chunk in dst.chunks_mut(chunk_bytes) {
        let mut ahead = chunk.len();
        jobs.push(Job {
            dst: chunk,
            source,
            skip,
        });
        while source < sources.len() && ahead >= sources[source].len() - skip {
            ahead -= sources[source].len() - skip;
            (source, skip) = (source + 1, 0);
        }
        skip += ahead;
    }
    jobs
}

/// Copies as many bytes, through the cache or past it.
///
/// # Panics
/// Where the lengths differ.
pub fn copy_bytes(from: &[u8], to: &mut [u8], stores: Stores) {
    match stores {
        Stores::Cached => to.copy_from_slice(from),
        Stores::Streamed => copy_streamed(from, to),
    }
}

fn copy(sources: &[&[u8]], job: Job<'_>, stores: Stores) {
    let Job {
        mut dst,
        source,
        mut skip,
    } = job;
    for bytes in sources.iter().skip(source) {
        let bytes = &bytes[skip..];
        skip = 0;
        let taken = bytes.len().min(dst.len());
        let (head, tail) = dst.split_at_mut(taken);
        copy_bytes(&bytes[..taken], head, stores);
        dst = tail;
        if dst.is_empty() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn split_jobs_copy_what_one_copy_would(
            sources in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20),
            chunk in 1usize..50,
        ) {
            let slices: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
            let wanted = slices.concat();
            let mut dst = vec![0; wanted.len()];
            let jobs = split(&slices, &mut dst, chunk);
            prop_assert_eq!(jobs.len(), wanted.len().div_ceil(chunk));
            for job in jobs.into_iter().rev() {
                copy(&slices, job, Stores::Streamed);
            }
            prop_assert_eq!(dst, wanted);
        }
    }

    #[test]
    fn many_threads_copy_every_byte_once() {
        let pattern: Vec<u8> = (0..3_000_017u32).map(|n| (n % 251) as u8).collect();
        let slices = vec![pattern.as_slice(); 4];
        let mut dst = vec![0; 4 * pattern.len()];
        gather(&slices, &mut dst, 3);
        assert!(dst == slices.concat());
    }
}
