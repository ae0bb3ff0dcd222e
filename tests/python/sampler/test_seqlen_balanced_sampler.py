"""`SeqlenBalancedSampler` and the partitions it deals by."""

import logging
import pickle
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sampler_fakes import Partition, partition_of_lengths

from transfer_queue.sampler import GRPOGroupNSampler, SeqlenBalancedSampler
from transfer_queue.sampler.seqlen_balanced_sampler import (
    get_seqlen_balanced_partitions,
    karmarkar_karp,
)


def ask(sampler, ready, batch_size, rank=0, batch=0, **named):
    named = {"task_name": "t", "partition_id": "p"} | named
    return sampler.sample(ready, batch_size, dp_rank=rank, batch_index=batch, **named)[0]


def test_each_rank_gets_one_long_and_one_short_sample():
    sampler = SeqlenBalancedSampler(n_samples_per_prompt=1, dp_size=2)
    lengths = (100, 100, 10, 10)
    shares = [
        ask(sampler, [0, 1, 2, 3], 2, rank, partition=partition_of_lengths(*lengths))
        for rank in range(2)
    ]
    assert sorted(shares[0] + shares[1]) == [0, 1, 2, 3]
    assert [sum(lengths[index] for index in share) for share in shares] == [110, 110]


def test_the_first_rank_to_ask_settles_the_shares_of_all():
    sampler = SeqlenBalancedSampler(dp_size=2)
    first = ask(sampler, [0, 1, 2, 3], 2, rank=1, partition=partition_of_lengths(4, 3, 2, 1))
    assert sampler.has_cached_result("p", "t", {"dp_rank": 0, "batch_index": 0})
    other = ask(sampler, [], 2, rank=0)
    assert sorted(first + other) == [0, 1, 2, 3]
    assert ask(sampler, [8, 9], 2, rank=1) == first
    assert ask(sampler, [8, 9], 2, rank=2) == []
    assert sampler._balanced_cache == {("p", "t", 0): [other, first]}


def test_groups_stay_whole_and_a_missing_length_counts_1():
    sampler = SeqlenBalancedSampler(n_samples_per_prompt=2, dp_size=2)
    partition = Partition({index: {"total_lengths": 50} for index in range(2)})
    shares = [ask(sampler, list(range(8)), 4, rank, partition=partition) for rank in range(2)]
    for share in shares:
        assert all(
            second == first + 1 for first, second in zip(share[::2], share[1::2], strict=True)
        )
    assert sum(len(share) for share in shares) == 8


def test_too_few_groups_for_all_ranks_give_nothing():
    sampler = SeqlenBalancedSampler(n_samples_per_prompt=2, dp_size=2)
    assert ask(sampler, [0, 1, 2], 2) == []
    assert sampler._balanced_cache == {}
    with pytest.raises(ValueError, match="must be a multiple of n_samples_per_prompt"):
        SeqlenBalancedSampler(4, 2).sample([0, 1, 2], 3)


def test_without_a_partition_ranks_get_equal_runs(caplog):
    sampler = SeqlenBalancedSampler(dp_size=2)
    with caplog.at_level(logging.WARNING):
        assert ask(sampler, [0, 1, 2, 3], 2, rank=0) == [0, 1]
    assert ask(sampler, [], 2, rank=1) == [2, 3]
    assert "no partition" in caplog.text


def test_rank_and_batch_index_are_0_where_they_are_not_given():
    sampler = SeqlenBalancedSampler(dp_size=2)
    sampled, consumed = sampler.sample([0, 1], 1)
    assert (sampled, consumed) == ([0], [0])
    assert sampler._balanced_cache == {("", "", 0): [[0], [1]]}


def test_a_cleared_partition_is_forgotten_and_a_checkpoint_carries_the_shares():
    sampler = SeqlenBalancedSampler(dp_size=2)
    for name in ("p", "q"):
        ask(sampler, [0, 1], 1, partition_id=name)
    restored = SeqlenBalancedSampler(dp_size=2)
    restored.load_checkpoint(pickle.loads(pickle.dumps(sampler.save_checkpoint())))
    sampler.clear_cache("p")
    assert list(sampler._balanced_cache) == [("q", "t", 0)]
    assert not sampler.has_cached_result("p", "t", {"dp_rank": 0, "batch_index": 0})
    assert ask(restored, [], 1, rank=1) == [1]


def test_parameters_must_be_positive():
    assert issubclass(SeqlenBalancedSampler, GRPOGroupNSampler)
    with pytest.raises(ValueError, match="dp_size must be positive"):
        SeqlenBalancedSampler(dp_size=0)
    with pytest.raises(ValueError, match="must be positive"):
        SeqlenBalancedSampler(0)


@pytest.mark.parametrize(
    ("lengths", "parts", "equal_size", "expected"),
    [
        ([10, 20, 30, 40], 2, True, [[0, 3], [1, 2]]),
        ([100, 90, 50, 10, 5, 1], 2, True, [[1, 2, 5], [0, 3, 4]]),
        ([100, 10, 10, 10, 10], 2, False, [[0], [1, 2, 3, 4]]),
        ([50] * 4, 2, True, [[0, 3], [1, 2]]),
        ([100, 80, 60, 40, 20, 10], 3, True, [[0, 5], [2, 3], [1, 4]]),
        ([7, 3, 5, 1, 9, 2], 2, False, [[0, 2, 5], [1, 3, 4]]),
    ],
)
def test_known_lengths_have_known_parts(lengths, parts, equal_size, expected):
    assert get_seqlen_balanced_partitions(lengths, parts, equal_size) == expected
    assert karmarkar_karp(lengths, parts, equal_size) == expected


@pytest.mark.parametrize(
    ("lengths", "parts", "equal_size"),
    [([1], 2, False), ([1, 2, 3], 2, True), ([1], 0, False), ([], 1, True)],
)
def test_parts_that_cannot_be_filled_are_refused(lengths, parts, equal_size):
    with pytest.raises(AssertionError, match="cannot be put into"):
        get_seqlen_balanced_partitions(lengths, parts, equal_size)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60), st.integers(1, 6))
def test_equal_parts_hold_every_position_once(lengths, parts):
    lengths = lengths * parts
    found = get_seqlen_balanced_partitions(lengths, parts, equal_size=True)
    assert {len(part) for part in found} == {len(lengths) // parts}
    assert sorted(chain.from_iterable(found)) == list(range(len(lengths)))
