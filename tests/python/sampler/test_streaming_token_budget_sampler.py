"""`StreamingTokenBudgetSampler` called directly."""

import pickle
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sampler_fakes import Partition, partition_of_lengths

from transfer_queue.sampler import StreamingTokenBudgetSampler


def ask(sampler, ready, partition, rank=0, batch=0, batch_size=8):
    sampled, consumed = sampler.sample(
        ready,
        batch_size,
        task_name="t",
        partition_id="p",
        dp_rank=rank,
        batch_index=batch,
        partition=partition,
    )
    assert sampled == consumed
    return sampled


def test_the_group_that_fits_nowhere_closes_the_batch():
    sampler = StreamingTokenBudgetSampler(token_budget=100, dp_size=2)
    partition = partition_of_lengths(60, 30, 50, 40, 30)
    assert ask(sampler, [0, 1, 2, 3], partition) == []
    assert ask(sampler, [0, 1, 2, 3, 4], partition) == [0, 3]
    assert ask(sampler, [], partition, rank=1) == [1, 2]
    assert ask(sampler, [4], partition, batch=1) == []


def test_full_ranks_close_the_batch():
    sampler = StreamingTokenBudgetSampler(1000, n_samples_per_prompt=2, dp_size=2)
    partition = partition_of_lengths(4, 4, 1, 1, 1, 1, 5, 5)
    assert ask(sampler, list(range(6)), partition, batch_size=5) == []
    assert ask(sampler, list(range(8)), partition, batch_size=5) == [0, 1, 6, 7]
    assert ask(sampler, [], partition, rank=1, batch_size=5) == [2, 3, 4, 5]


def test_what_a_rank_was_promised_is_in_no_other_batch():
    sampler = StreamingTokenBudgetSampler(10, dp_size=2)
    partition = partition_of_lengths(*[10] * 6)
    assert ask(sampler, [0, 1, 2, 3, 4, 5], partition) == [0]
    assert ask(sampler, [1, 2, 3, 4, 5], partition, batch=1) == [2]
    assert ask(sampler, [1, 3, 4, 5], partition, rank=1) == [1]
    assert ask(sampler, [3, 4, 5], partition, rank=1, batch=1) == [3]
    assert sampler._promised == {("p", "t"): set()}


def test_an_answer_is_given_again():
    sampler = StreamingTokenBudgetSampler(10)
    partition = partition_of_lengths(10, 10)
    assert ask(sampler, [0, 1], partition) == [0]
    assert ask(sampler, [1], partition) == [0]
    assert sampler.has_cached_result("p", "t", {"dp_rank": 0, "batch_index": 0})
    sampler.clear_cache("p")
    assert ask(sampler, [1], partition) == [1]


def test_one_rank_needs_no_names_and_keeps_no_answers():
    sampler = StreamingTokenBudgetSampler(20)
    partition = partition_of_lengths(15, 15, 15)
    assert sampler.sample([0, 1, 2], 8, partition=partition) == ([0], [0])
    assert sampler.sample([1, 2], 8, partition=partition) == ([1], [1])
    assert sampler._states == {}


def test_a_sample_is_ready_only_with_its_length():
    sampler = StreamingTokenBudgetSampler(20, length_tag="tokens")
    tags = {0: {"tokens": 10}, 1: {}, 2: {"tokens": 10.0}}
    assert ask(sampler, [0, 1, 2], Partition(tags)) == [0, 2]


def test_without_a_partition_every_sample_counts_1():
    sampler = StreamingTokenBudgetSampler(2)
    assert ask(sampler, [3, 4, 5], None) == [3, 4]


def test_a_group_over_the_budget_is_named_unless_the_batch_is_closed_before():
    partition = partition_of_lengths(10, 10, 60, 50)
    with pytest.raises(ValueError, match=r"samples 2 to 3 has 110 tokens.*token_budget of 100"):
        ask(StreamingTokenBudgetSampler(100, 2), [0, 1, 2, 3], partition)
    assert ask(StreamingTokenBudgetSampler(20, 2), [0, 1, 2, 3], partition) == [0, 1]


@pytest.mark.parametrize("length", [None, "9", True, -1, float("nan"), float("inf")])
def test_a_length_that_is_none_is_named(length):
    with pytest.raises(ValueError, match="sample 0, but its tag 'total_lengths' is"):
        ask(StreamingTokenBudgetSampler(100), [0], Partition({0: {"total_lengths": length}}))


def test_requests_that_do_not_fit_are_refused():
    sampler = StreamingTokenBudgetSampler(100, n_samples_per_prompt=2, dp_size=2)
    for batch_size in (1, 0, -4):
        with pytest.raises(ValueError, match=f"batch_size is {batch_size}"):
            ask(sampler, [0, 1], None, batch_size=batch_size)
    for rank in (2, -1):
        with pytest.raises(ValueError, match=f"dp_rank is {rank}"):
            ask(sampler, [0, 1], None, rank=rank)
    with pytest.raises(ValueError, match="needs dp_rank and batch_index"):
        sampler.sample([0, 1], 2)


@pytest.mark.parametrize("name", ["token_budget", "n_samples_per_prompt", "dp_size"])
def test_parameters_must_be_positive(name):
    with pytest.raises(ValueError, match=f"{name} must be positive"):
        StreamingTokenBudgetSampler(**({"token_budget": 5} | {name: 0}))


def test_a_checkpoint_carries_answers_and_promises():
    sampler = StreamingTokenBudgetSampler(10, dp_size=2)
    partition = partition_of_lengths(*[10] * 5)
    ask(sampler, [0, 1, 2, 3, 4], partition)
    restored = StreamingTokenBudgetSampler(10, dp_size=2)
    restored.load_checkpoint(pickle.loads(pickle.dumps(sampler.save_checkpoint())))
    assert ask(restored, [1, 2, 3, 4], partition, batch=1) == [2]
    assert ask(restored, [], partition, rank=1) == [1]


@given(st.lists(st.integers(1, 20), max_size=60), st.integers(1, 3), st.integers(1, 3), st.data())
def test_every_rank_gets_a_share_within_the_budget(lengths, size, ranks, data):
    sampler = StreamingTokenBudgetSampler(60, size, ranks)
    partition = partition_of_lengths(*lengths)
    ready = list(range(len(lengths)))
    batch_size = data.draw(st.integers(size, 8))
    first = ask(sampler, ready, partition, rank=ranks - 1, batch_size=batch_size)
    if not first:
        return
    shares = [
        ask(sampler, ready, partition, rank=rank, batch_size=batch_size) for rank in range(ranks)
    ]
    taken = list(chain.from_iterable(shares))
    assert sorted(taken) == list(range(len(taken)))
    for share in shares:
        assert 0 < len(share) <= batch_size
        assert sum(lengths[index] for index in share) <= 60
