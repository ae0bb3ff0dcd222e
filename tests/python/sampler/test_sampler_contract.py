"""`BaseSampler`: what subclasses inherit."""

import pickle

import pytest

from transfer_queue import sampler as package
from transfer_queue.sampler import BaseSampler, RankAwareSampler


class Halves(BaseSampler):
    def sample(self, ready_indexes, batch_size, *args, **kwargs):
        return ready_indexes[::2], []


def test_the_package_names_every_sampler():
    assert set(package.__all__) == {
        "BaseSampler",
        "GRPOGroupNSampler",
        "RankAwareSampler",
        "SeqlenBalancedSampler",
        "SequentialSampler",
        "StreamingTokenBudgetSampler",
    }


def test_the_base_class_is_abstract():
    with pytest.raises(TypeError, match=r"Can't instantiate abstract class.*sample"):
        BaseSampler()


def test_a_subclass_starts_without_states_and_is_called_like_a_function():
    halves = Halves()
    assert halves._states == {}
    assert halves([1, 2, 3], 9, partition=None) == ([1, 3], [])


def test_a_cached_result_needs_rank_and_batch_index():
    sampler = RankAwareSampler()
    sampler.sample([0, 1], 2, dp_rank=0, batch_index=3, task_name="t", partition_id="p")
    assert sampler.has_cached_result("p", "t", {"dp_rank": 0, "batch_index": 3})
    for config in (None, {}, {"batch_index": 3}, {"dp_rank": 0}, {"dp_rank": 1, "batch_index": 3}):
        assert not sampler.has_cached_result("p", "t", config)
    assert not sampler.has_cached_result("q", "t", {"dp_rank": 0, "batch_index": 3})
    assert not sampler.has_cached_result("p", "u", {"dp_rank": 0, "batch_index": 3})


def test_asking_for_a_cached_result_remembers_nothing():
    halves = Halves()
    halves.has_cached_result("p", "t", {"dp_rank": 0})
    assert halves._states == {}


def test_clearing_a_partition_leaves_the_others_and_a_users_own_states():
    halves = Halves()
    halves._states = {"p": {"t": {}}, "q": {"t": {}}, "rng": 7}
    halves.clear_cache("p")
    halves.clear_cache("unknown")
    assert halves._states == {"q": {"t": {}}, "rng": 7}


def test_a_checkpoint_carries_the_states():
    halves = Halves()
    halves._states["rng"] = 7
    restored = Halves()
    restored.load_checkpoint(pickle.loads(pickle.dumps(halves.save_checkpoint())))
    assert restored._states == {"rng": 7}
