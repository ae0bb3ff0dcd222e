"""Samplers written in Python: what they are called with, and what they may answer."""

import threading

import numpy as np
import pytest
import torch
from sampler_fakes import Engine, Request

from transfer_queue._sampling import CustomSampler
from transfer_queue.errors import SamplerError, TransferQueueError
from transfer_queue.sampler import BaseSampler, RankAwareSampler


class Calls(BaseSampler):
    """Answers with what `answer` makes of the ready indexes."""

    def __init__(self, answer=lambda ready: (ready[:2], ready[:2])):
        super().__init__()
        self.answer = answer
        self.calls = []

    def sample(self, ready_indexes, batch_size, *args, **kwargs):
        self.calls.append((list(ready_indexes), batch_size, args, kwargs))
        return self.answer(ready_indexes)


def answering(answer):
    return CustomSampler(Calls(lambda ready: answer))


def test_a_batch_is_chosen_and_claimed():
    engine = Engine([3, 5, 8])
    sampler = CustomSampler(Calls(lambda ready: (ready[::-1][:2], ready[-1:])))
    assert engine.run(sampler) == [8, 5]
    assert engine.claims == [([8, 5], [8], False)]
    assert engine.ready_now == [3, 5]


def test_nothing_is_asked_while_too_few_are_ready():
    calls = Calls()
    assert Engine([3]).run(CustomSampler(calls)) is None
    assert calls.calls == []


def test_an_empty_answer_claims_nothing():
    engine = Engine([3, 4])
    assert engine.run(answering(([], [3]))) is None
    assert engine.claims == []


def test_samples_may_be_given_without_being_consumed():
    engine = Engine([3, 4])
    for _ in range(2):
        assert engine.run(answering(([4], []))) == [4]


def test_the_request_reaches_a_sampler_that_takes_everything():
    calls = Calls()
    scores = np.ones(2)
    Engine([0, 1]).run(CustomSampler(calls), Request(sampling_config={"priority_scores": scores}))
    [(ready, batch_size, args, kwargs)] = calls.calls
    assert (ready, batch_size, args) == ([0, 1], 2, ())
    assert kwargs.pop("partition").get_custom_meta([]) == {}
    assert kwargs == {"priority_scores": scores, "task_name": "t", "partition_id": "p"}


def test_the_sampling_config_goes_before_the_request():
    calls = Calls()
    config = {"task_name": "mine", "partition_id": "q"}
    Engine([0, 1]).run(CustomSampler(calls), Request(sampling_config=config))
    assert calls.calls[0][3]["task_name"] == "mine"
    assert calls.calls[0][3]["partition_id"] == "q"


def test_a_sampler_gets_only_what_its_signature_takes():
    class Plain(BaseSampler):
        def sample(self, ready_indexes, batch_size, task_name, dp_rank=None):
            assert (task_name, dp_rank) == ("t", 3)
            return ready_indexes, []

    config = {"dp_rank": 3}
    assert Engine([0, 1]).run(CustomSampler(Plain()), Request(sampling_config=config)) == [0, 1]


def test_a_sampling_config_that_the_signature_does_not_take_is_an_error():
    class Plain(BaseSampler):
        def sample(self, ready_indexes, batch_size):
            return ready_indexes, []

    with pytest.raises(SamplerError, match=r"Plain failed: TypeError: .*'temperature'"):
        Engine([0, 1]).run(CustomSampler(Plain()), Request(sampling_config={"temperature": 1.0}))


def test_the_partition_gives_tags():
    class Longest(BaseSampler):
        def sample(self, ready_indexes, batch_size, *args, partition, **kwargs):
            tags = partition.get_custom_meta(ready_indexes)
            ordered = sorted(ready_indexes, key=lambda index: -tags[index].get("length", 0))
            return ordered[:batch_size], ordered[:batch_size]

    engine = Engine([0, 1, 2, 3], {1: {"length": 5}, 2: {"length": 9}})
    assert engine.run(CustomSampler(Longest())) == [2, 1]


@pytest.mark.parametrize(
    "sampled",
    [
        (4, 3),
        range(3, 5),
        np.array([3, 4]),
        [np.int64(3), np.uint8(4)],
        torch.tensor([3, 4]),
        [torch.tensor(3), torch.tensor(4)],
        {3, 4},
    ],
)
def test_integers_of_any_kind_are_indexes(sampled):
    engine = Engine([3, 4])
    found = engine.run(answering([sampled, sampled]))
    assert sorted(found) == [3, 4]
    assert all(type(index) is int for index in found)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (None, "returned None; it must return two lists"),
        ([3, 4, 5], r"returned \[3, 4, 5\]; it must return two lists"),
        ((3, [3]), "returned 3 as sampled"),
        (([3], None), "returned None as consumed"),
        (([3.0, 4], [3]), "returned 3.0 in sampled; global indexes are integers"),
        ((["3"], [3]), "returned '3' in sampled"),
        (([3], [True]), "returned True in consumed"),
        ((np.array([3.5]), []), "returned 3.5 in sampled"),
        (([3, 4, 3], [3]), "returned 3 more than once in sampled"),
        (([3, 9, 8], [3]), "returned 9, 8 in sampled, which it was not given"),
        (([3], [4, -1]), "returned -1 in consumed, which it was not given"),
        ((list(range(50, 60)), []), "returned 50, 51, 52, 53, 54 and 5 more in sampled"),
    ],
)
def test_an_answer_that_cannot_be_claimed_is_named(answer, text):
    engine = Engine([3, 4])
    with pytest.raises(SamplerError, match=f"^Calls {text}"):
        engine.run(answering(answer))
    assert engine.claims == []


def test_an_exception_is_the_cause_of_the_error():
    def fail(ready):
        raise LookupError("no priorities")

    with pytest.raises(SamplerError, match="Calls failed: LookupError: no priorities") as raised:
        Engine([0, 1]).run(CustomSampler(Calls(fail)))
    assert isinstance(raised.value.__cause__, LookupError)
    assert isinstance(raised.value, RuntimeError)
    assert isinstance(raised.value, TransferQueueError)


def test_a_sampler_works_again_after_an_exception():
    answers = iter([SystemExit(1), ([0], [0])])

    def answer(ready):
        found = next(answers)
        if isinstance(found, BaseException):
            raise found
        return found

    sampler, engine = CustomSampler(Calls(answer)), Engine([0, 1])
    with pytest.raises(SamplerError, match="SystemExit"):
        engine.run(sampler)
    assert engine.run(sampler) == [0]


def test_errors_of_the_engine_pass_unchanged():
    engine = Engine([0, 1])
    engine.claim = lambda *claimed: 1 / 0
    with pytest.raises(ZeroDivisionError):
        engine.run(CustomSampler(Calls()))
    del engine.claim
    assert engine.run(CustomSampler(Calls())) == [0, 1]


class OwnRankAware(RankAwareSampler):
    """Runs in Python, since it is not exactly a built-in one."""


def ranked(rank, batch=0, size=2):
    return Request(size, sampling_config={"dp_rank": rank, "batch_index": batch})


def test_a_batch_that_the_sampler_kept_is_given_again_though_nothing_is_ready():
    engine, sampler = Engine([0, 1]), CustomSampler(OwnRankAware())
    assert engine.run(sampler, ranked(0)) == [0, 1]
    assert engine.run(sampler, ranked(1)) is None
    assert engine.run(sampler, ranked(0)) == [0, 1]
    assert [again for _, _, again in engine.claims] == [False, True]


def test_a_cleared_partition_is_forgotten_before_the_next_batch():
    engine, sampler = Engine([0, 1]), CustomSampler(OwnRankAware())
    engine.run(sampler, ranked(0))
    sampler.clear_cache("other")
    assert engine.run(sampler, ranked(0)) == [0, 1]
    sampler.clear_cache("p")
    assert engine.run(sampler, ranked(0)) is None


def test_a_claim_that_came_too_late_is_chosen_anew():
    engine = Engine([0, 1, 2, 3])
    calls = Calls()

    def steal(ready):
        if len(calls.calls) == 1:
            engine.ready_now = [2, 3]
        return ready[:2], ready[:2]

    calls.answer = steal
    assert engine.run(CustomSampler(calls)) == [2, 3]


def test_attempts_to_claim_come_to_an_end():
    engine, calls = Engine([0, 1]), Calls()

    def steal(ready):
        engine.ready_now = [index + 2 for index in ready]
        return ready, ready

    calls.answer = steal
    assert engine.run(CustomSampler(calls)) is None
    assert len(calls.calls) == 4


def test_the_sampler_runs_on_a_thread_of_its_own():
    names = []
    sampler = CustomSampler(
        Calls(lambda ready: (names.append(threading.current_thread().name), (ready, []))[1])
    )
    for _ in range(2):
        Engine([0, 1]).run(sampler)
    assert names == ["tq-sampler", "tq-sampler"]
