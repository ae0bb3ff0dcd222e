//! The bytes do not depend on the number of threads, and none is written beyond the plan's size.

use std::collections::HashSet;
use std::sync::Mutex;
use std::thread::{self, ThreadId};

use proptest::prelude::*;
use rstest::rstest;
use tq_codec::{FrameSource, PackedView, Plan, Slot, Stores, checksum, write_batch};

use crate::support::Pattern;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// What a thread must have to do before one is started.
const SHARE: u64 = 4 * MIB;
const BLOCK: u64 = checksum::BLOCK as u64;
const CANARY: usize = 100;

/// Writes one buffer per list of frame lengths. What was in the buffers, and stays behind them, is
/// `before`.
fn write(batch: &[Vec<u64>], checksum: bool, workers: usize, before: u8) -> Vec<Vec<u8>> {
    let header = [0x90; 77];
    let frames: Vec<Vec<Pattern>> = batch
        .iter()
        .enumerate()
        .map(|(slot, lens)| {
            let seeds = (0..).map(|frame| 1000 * slot as u64 + frame);
            lens.iter()
                .zip(seeds)
                .map(|(len, seed)| Pattern { len: *len, seed })
                .collect()
        })
        .collect();
    let plans: Vec<Plan> = batch
        .iter()
        .map(|lens| Plan::new(header.len() as u64, lens.iter().copied()).unwrap())
        .collect();
    let mut buffers: Vec<Vec<u8>> = plans
        .iter()
        .map(|plan| vec![before; plan.total_len as usize + CANARY])
        .collect();
    let slots = plans
        .iter()
        .zip(&frames)
        .zip(&mut buffers)
        .map(|((plan, frames), buffer)| Slot {
            plan: *plan,
            header: &header,
            frames,
            buffer,
            checksum,
            empty: false,
        });
    write_batch(slots.collect(), workers).unwrap();
    for (buffer, plan) in buffers.iter_mut().zip(&plans) {
        let beyond = buffer.split_off(plan.total_len as usize);
        assert_eq!(
            beyond,
            vec![before; CANARY],
            "bytes beyond the plan's size were written"
        );
    }
    buffers
}

fn assert_threads_do_not_matter(batch: &[Vec<u64>], checksum: bool) {
    let serial = write(batch, checksum, 1, 0x55);
    for buffer in &serial {
        assert_eq!(
            PackedView::parse(buffer).unwrap().has_frames_checksum(),
            checksum
        );
    }
    // Hashing without optimisation is slow; one number of threads that divides nothing will do.
    let workers: &[usize] = if checksum { &[3] } else { &[2, 3, 7] };
    for workers in workers.iter().copied() {
        // Other bytes in the buffers than before: a byte that is not written differs.
        let parallel = write(batch, checksum, workers, 0xaa);
        assert!(serial == parallel, "{workers} workers wrote other bytes");
    }
}

#[rstest]
#[case::nothing_to_share(vec![vec![100]])]
#[case::just_enough_for_one(vec![vec![2 * SHARE - 1024]])]
#[case::just_enough_for_two(vec![vec![2 * SHARE]])]
#[case::one_byte_more(vec![vec![2 * SHARE + 1]])]
#[case::one_byte_less_than_a_block_more(vec![vec![2 * SHARE + BLOCK - 1]])]
#[case::one_block_more(vec![vec![2 * SHARE + BLOCK]])]
#[case::enough_for_three_and_not_divisible(vec![vec![3 * SHARE + 12_345]])]
#[case::equal_slots(vec![vec![SHARE]; 3])]
#[case::slots_that_end_inside_a_share(vec![vec![3 * MIB + 7], vec![6 * MIB + 1], vec![5]])]
#[case::large_behind_small(vec![vec![1], vec![], vec![9 * MIB]])]
#[case::small_behind_large(vec![vec![9 * MIB], vec![], vec![1]])]
#[case::frames_that_end_at_block_borders(vec![vec![BLOCK; 40]])]
#[case::frames_that_end_one_byte_after(vec![vec![BLOCK + 1; 36]])]
#[case::frames_that_end_one_byte_before(vec![vec![BLOCK - 1; 36]])]
#[case::empty_frames_at_block_borders(vec![vec![0, BLOCK, 0, 0, 2 * SHARE, 0, BLOCK, 0]])]
#[case::many_tiny_frames(vec![vec![1; 140_000]])]
#[case::slots_without_frames(vec![vec![], vec![2 * SHARE], vec![]])]
fn any_number_of_threads_writes_the_same(
    #[case] batch: Vec<Vec<u64>>,
    #[values(false, true)] checksum: bool,
) {
    assert_threads_do_not_matter(&batch, checksum);
}

fn frame_len() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..3 * BLOCK,
        2 => 0..130u64,
        1 => (0..9u64, 0..3u64).prop_map(|(blocks, more)| blocks * BLOCK + more),
        1 => MIB..3 * MIB,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 64, ..Default::default() })]

    #[test]
    fn any_batch_is_written_the_same(
        mut batch in prop::collection::vec(prop::collection::vec(frame_len(), 0..8), 1..5),
        fill in 0..64 * KIB,
        checksum: bool,
    ) {
        // Enough for two threads at least, wherever the random frames end.
        batch[0].push(2 * SHARE + fill);
        assert_threads_do_not_matter(&batch, checksum);
    }
}

#[test]
fn seven_threads_write_the_same() {
    assert_threads_do_not_matter(&[vec![7 * SHARE + 64]], false);
}

#[test]
fn what_several_threads_hashed_is_verified_by_one() {
    let buffers = write(&[vec![SHARE + 1, SHARE], vec![BLOCK]], true, 2, 0);
    for mut buffer in buffers {
        let last = buffer.len() - 1;
        PackedView::parse(&buffer)
            .unwrap()
            .verify_frames(&buffer)
            .unwrap();
        buffer[last] ^= 1;
        PackedView::parse(&buffer)
            .unwrap()
            .verify_frames(&buffer)
            .unwrap_err();
    }
}

/// A frame that remembers who read it.
struct Watched<'a> {
    len: u64,
    readers: &'a Mutex<HashSet<ThreadId>>,
}

impl FrameSource for Watched<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn copy_range(&self, _: u64, dst: &mut [u8], _: Stores) {
        assert!(!dst.is_empty(), "asked for nothing");
        self.readers.lock().unwrap().insert(thread::current().id());
        dst.fill(1);
    }
}

#[rstest]
#[case::not_worth_a_second_thread(2 * SHARE - 4096, 7, 1)]
#[case::worth_two(2 * SHARE, 7, 2)]
#[case::as_many_as_asked_for(4 * SHARE, 2, 2)]
#[case::one_was_asked_for(4 * SHARE, 1, 1)]
#[case::none_was_asked_for(SHARE, 0, 1)]
fn threads_are_started_where_they_pay(
    #[case] len: u64,
    #[case] workers: usize,
    #[case] threads: usize,
) {
    let readers = Mutex::new(HashSet::new());
    let frames = [Watched {
        len,
        readers: &readers,
    }];
    let plan = Plan::new(1, [len].into_iter()).unwrap();
    let mut buffer = vec![0; plan.total_len as usize];
    let slot = Slot {
        plan,
        header: &[0xc0],
        frames: &frames,
        buffer: &mut buffer,
        checksum: false,
        empty: false,
    };
    write_batch(vec![slot], workers).unwrap();
    let readers = readers.into_inner().unwrap();
    assert_eq!(readers.len(), threads);
    assert!(
        readers.contains(&thread::current().id()),
        "the caller's own thread did nothing"
    );
}
