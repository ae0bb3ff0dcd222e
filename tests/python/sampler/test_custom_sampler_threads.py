"""Samplers written in Python: many callers, and calls that do not return."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest
from sampler_fakes import Engine, Request

from transfer_queue._sampling import CustomSampler
from transfer_queue.errors import SamplerError
from transfer_queue.sampler import BaseSampler, RankAwareSampler


class Stuck(BaseSampler):
    """Waits for `release` before its first answer."""

    def __init__(self):
        super().__init__()
        self.entered = threading.Event()
        self.release = threading.Event()
        self.left = threading.Event()
        self.threads = []

    def sample(self, ready_indexes, batch_size, **kwargs):
        self.threads.append(threading.current_thread())
        if len(self.threads) == 1:
            self.entered.set()
            self.release.wait()
            self.left.set()
        return ready_indexes[:batch_size], ready_indexes[:batch_size]


def test_a_call_that_does_not_return_is_given_up_and_the_next_runs_on_a_new_thread():
    stuck, engine = Stuck(), Engine([0, 1])
    sampler = CustomSampler(stuck)
    with pytest.raises(SamplerError, match=r"Stuck did not return within 0\.01 s"):
        engine.run(sampler, timeout=0.01)
    assert engine.claims == []
    assert engine.run(sampler) == [0, 1]
    stuck.release.set()
    assert stuck.left.wait(60)
    first, second = stuck.threads
    first.join(60)
    assert not first.is_alive()
    assert second.is_alive()
    assert len(engine.claims) == 1


def test_a_caller_does_not_wait_for_its_turn_beyond_its_deadline():
    stuck, engine = Stuck(), Engine([0, 1])
    sampler = CustomSampler(stuck)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(engine.run, sampler)
        assert stuck.entered.wait(60)
        with pytest.raises(SamplerError, match=r"Stuck was busy .* for 0\.01 s"):
            engine.run(sampler, timeout=0.01)
        stuck.release.set()
        assert first.result(60) == [0, 1]


def test_a_call_that_was_given_up_before_it_began_never_begins():
    stuck, engine = Stuck(), Engine([0, 1])
    sampler = CustomSampler(stuck)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(engine.run, sampler)
        assert stuck.entered.wait(60)
        # As after a Ctrl-C of the first caller: its turn is over, its call is not.
        sampler._turn.release()
        with pytest.raises(SamplerError, match="did not return"):
            engine.run(sampler, timeout=0.01)
        sampler._turn.acquire()
        stuck.release.set()
        first.result(60)
    stuck.threads[0].join(60)
    assert len(stuck.threads) == 1


def test_one_call_at_a_time_from_many_threads():
    class Counting(BaseSampler):
        inside = 0
        most = 0

        def sample(self, ready_indexes, batch_size, **kwargs):
            Counting.inside += 1
            Counting.most = max(Counting.most, Counting.inside)
            sampled = ready_indexes[:batch_size]
            Counting.inside -= 1
            return sampled, sampled

    engine, sampler = Engine(range(400)), CustomSampler(Counting())
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(lambda _: engine.run(sampler), range(200)))
    assert sorted(chain.from_iterable(batches)) == list(range(400))
    assert Counting.most == 1


def test_ranks_that_ask_at_once_never_share_a_sample():
    class OwnRankAware(RankAwareSampler):
        pass

    engine, sampler = Engine(range(200)), CustomSampler(OwnRankAware())

    def ask(number):
        config = {"dp_rank": number % 10, "batch_index": number // 10}
        return [engine.run(sampler, Request(2, sampling_config=config)) for _ in range(2)]

    with ThreadPoolExecutor(8) as pool:
        pairs = list(pool.map(ask, range(100)))
    assert all(first == again for first, again in pairs)
    assert sorted(chain.from_iterable(first for first, _ in pairs)) == list(range(200))


def test_a_sampler_that_nobody_uses_is_given_back_with_its_thread():
    class Own(Stuck):
        def sample(self, ready_indexes, batch_size, **kwargs):
            self.threads.append(threading.current_thread())
            return ready_indexes, []

    own = Own()
    sampler = CustomSampler(own)
    Engine([0, 1]).run(sampler)
    [thread] = own.threads
    gone = weakref.ref(own)
    del own, sampler
    gc.collect()
    thread.join(60)
    assert not thread.is_alive()
    gc.collect()
    assert gone() is None
