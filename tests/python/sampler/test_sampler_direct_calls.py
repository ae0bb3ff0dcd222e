"""Sequential, grouped and rank-aware samplers as plain functions of the ready indexes."""

import pytest

from transfer_queue.sampler import GRPOGroupNSampler, RankAwareSampler, SequentialSampler


@pytest.mark.parametrize(
    ("ready", "batch_size", "expected"),
    [
        ([10, 5, 15, 20, 8], 3, [10, 5, 15]),
        ([1, 2], 5, [1, 2]),
        ([1, 2], 0, []),
        ([1, 2, 3], -1, [1, 2]),
        ([3, 3, 1], 2, [3, 3]),
        ([], 4, []),
    ],
)
def test_sequential_takes_the_first(ready, batch_size, expected):
    answer = SequentialSampler().sample(ready, batch_size, dp_rank=1, anything=None)
    assert answer == (expected, expected)


@pytest.mark.parametrize(
    ("size", "ready", "batch_size", "expected"),
    [
        (3, [0, 1, 3, 4, 5, 6, 7, 9, 10, 11], 6, [3, 4, 5, 9, 10, 11]),
        (4, [10, 11, 12, 5, 6, 7, 8, 9], 8, [5, 6, 7, 8, 9, 10, 11, 12]),
        (3, [0, 1, 2, 4, 5], 6, []),
        (2, [], 2, []),
        (2, [0, 1], 0, []),
        (1, [9, 4], 2, [4, 9]),
    ],
)
def test_groups_are_runs_of_consecutive_indexes(size, ready, batch_size, expected):
    assert GRPOGroupNSampler(size).sample(ready, batch_size) == (expected, expected)


def test_groups_must_fill_the_batch():
    with pytest.raises(ValueError, match="must be a multiple of n_samples_per_prompt"):
        GRPOGroupNSampler(2).sample([0, 1, 2, 3], 3)
    for size in (0, -1):
        with pytest.raises(ValueError, match="must be positive"):
            GRPOGroupNSampler(n_samples_per_prompt=size)


def test_a_rank_keeps_its_groups_even_against_another_batch_size():
    sampler = GRPOGroupNSampler(2)
    named = {"task_name": "t", "partition_id": "p", "dp_rank": 0, "batch_index": 0}
    assert sampler.sample([0, 1, 2, 3], 2, **named)[0] == [0, 1]
    assert sampler.sample([8, 9], 3, **named) == ([0, 1], [0, 1])
    assert sampler.sample([2, 3], 2, **(named | {"dp_rank": 1}))[0] == [2, 3]
    assert sampler.sample([4, 5], 2, **(named | {"batch_index": 1}))[0] == [4, 5]


def test_without_a_rank_groups_are_not_kept():
    sampler = GRPOGroupNSampler(2)
    assert sampler.sample([0, 1], 2, "t", "p")[0] == [0, 1]
    assert sampler.sample([4, 5], 2, "t", "p", batch_index=0)[0] == [4, 5]
    assert sampler._states == {}


def ask(sampler, ready, batch_size, rank, batch, task="t", partition="p"):
    return sampler.sample(
        ready, batch_size, dp_rank=rank, batch_index=batch, task_name=task, partition_id=partition
    )


def test_rank_aware_gives_the_same_batch_again():
    sampler = RankAwareSampler()
    assert ask(sampler, [0, 1, 2, 3, 4, 5], 3, 0, 0) == ([0, 1, 2], [0, 1, 2])
    assert ask(sampler, [3, 4, 5], 3, 0, 0) == ([0, 1, 2], [0, 1, 2])
    assert ask(sampler, [3, 4, 5], 3, 0, 1) == ([3, 4, 5], [3, 4, 5])
    assert sampler._states["p"]["t"][0] == {0: [0, 1, 2], 1: [3, 4, 5]}


def test_rank_aware_tells_ranks_tasks_and_partitions_apart():
    sampler = RankAwareSampler()
    ask(sampler, [0], 1, 0, 0)
    for other in ({"rank": 1}, {"task": "u"}, {"partition": "q"}):
        named = {"rank": 0, "batch": 0} | other
        assert ask(sampler, [7], 1, **named) == ([7], [7])


def test_rank_aware_keeps_nothing_while_samples_lack():
    sampler = RankAwareSampler()
    assert ask(sampler, [0, 1], 3, 0, 0) == ([], [])
    assert sampler._states == {"p": {"t": {0: {}}}}
    assert ask(sampler, [], 0, 0, 0) == ([], [])
    assert sampler._states["p"]["t"][0] == {0: []}


def test_rank_aware_needs_its_arguments():
    with pytest.raises(TypeError, match="batch_index"):
        RankAwareSampler().sample([0], 1, dp_rank=0)
    with pytest.raises(ValueError, match=r"dp_rank.*greater than or equal to 0"):
        ask(RankAwareSampler(), [0], 1, -1, 0)
