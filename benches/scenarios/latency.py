"""One sample of 1 KiB at a time, put by one process and got by another."""

from __future__ import annotations

from functools import partial

import torch
from contents import same
from measure import timed, timed_result
from payloads import tiny_tensors
from session_state import Session
from tensordict import TensorDict
from workers import Worker

__all__ = ["run"]

WARM_UP = 20
PARTITION = "latency"


def run(session: Session) -> None:
    count = session.scale.singles
    session.results.add("put, 1 KiB", session.workers.call(0, puts, count)[WARM_UP:])
    session.results.add("get, 1 KiB", session.workers.call(1, gets, count)[WARM_UP:])
    session.results.add("clear, 1 key", session.workers.call(0, clears, count)[WARM_UP:])


def samples(count: int) -> list[tuple[str, torch.Tensor]]:
    tensors = tiny_tensors(count + WARM_UP)
    return [(f"key_{number}", tensor) for number, tensor in enumerate(tensors)]


def puts(worker: Worker, count: int) -> list[float]:
    works = [
        partial(
            worker.store.put,
            PARTITION,
            [key],
            TensorDict({"field_0": tensor[None]}, batch_size=[1]),
            None,
        )
        for key, tensor in samples(count)
    ]
    return [timed(work) for work in works]


def gets(worker: Worker, count: int) -> list[float]:
    seconds = []
    for key, tensor in samples(count):
        taken, read = timed_result(partial(worker.store.get, PARTITION, [key], ["field_0"]))
        seconds.append(taken)
        assert same(read["field_0"].unbind()[0], tensor), f"another tensor of {key} came back"
    return seconds


def clears(worker: Worker, count: int) -> list[float]:
    works = [partial(worker.store.clear, PARTITION, [key]) for key, _ in samples(count)]
    return [timed(work) for work in works]
