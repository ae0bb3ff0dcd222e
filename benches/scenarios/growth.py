"""The cost per sample of a put, a get and a listing while a partition grows."""

from __future__ import annotations

import time
from functools import partial

import torch
from measure import timed
from session_state import Session
from tensordict import TensorDict
from workers import Worker

__all__ = ["run"]

BATCH = 1_000
PARTITION = "growth"
#: A system that needs longer for its next size than this is not asked for it.
PATIENCE = 8.0
#: Puts and gets that are measured at each size.
TIMES = 7


def run(session: Session) -> None:
    held = 0
    spent = 0.0
    for samples in session.scale.growth:
        expected = spent * (samples - held) / max(held, 1)
        if expected > PATIENCE:
            reason = f"left out: would take about {expected:.0f} s"
            session.results.failed(f"{samples:,} samples", reason)
            break
        started = time.perf_counter()
        rows = session.workers.call(0, grow, held, samples)
        spent = time.perf_counter() - started
        held = samples
        for what, values in rows.items():
            operations = samples if what == "list" else BATCH
            name = f"{samples:,} samples: {what}"
            session.results.add(name, values, operations=operations)
    session.workers.call(0, clear_all, held)


def keys(start: int, end: int) -> list[str]:
    return [f"key_{row}" for row in range(start, end)]


def grow(worker: Worker, start: int, end: int) -> dict[str, list[float]]:
    """Fills the partition in batches, measuring the last puts, gets of batches from all over it,
    and a listing.
    """
    puts = small_partitions(worker) if start == 0 else []
    for first in range(start, end, BATCH):
        puts.append(put(worker, PARTITION, first))
    gets = []
    for number in range(TIMES + 1):
        first = (end - BATCH) * number // TIMES // BATCH * BATCH
        names = keys(first, first + BATCH)
        started = time.perf_counter()
        read = worker.store.get(PARTITION, names, ["f"])
        gets.append(time.perf_counter() - started)
        assert int(read["f"].unbind()[7][0]) == first + 7, "another row came back"
    listed = [timed(partial(worker.store.list, PARTITION)) for _ in range(2)]
    return {"put": puts[-TIMES:], "get": gets[1:], "list": listed}


def small_partitions(worker: Worker) -> list[float]:
    """Puts into partitions of one batch each, the first of which warms up."""
    seconds: list[float] = []
    for number in range(TIMES + 1):
        # One is enough where one takes long.
        if sum(seconds) < 1.0:
            seconds.append(put(worker, f"{PARTITION} {number}", 0))
    for number in range(len(seconds)):
        worker.store.clear(f"{PARTITION} {number}", keys(0, BATCH))
    # That into the partition that grows comes on top.
    return seconds[2:]


def put(worker: Worker, partition: str, first: int) -> float:
    batch = TensorDict({"f": torch.arange(first, first + BATCH)[:, None]}, batch_size=[BATCH])
    names = keys(first, first + BATCH)
    return timed(partial(worker.store.put, partition, names, batch, None))


def clear_all(worker: Worker, end: int) -> None:
    for first in range(0, end, BATCH):
        worker.store.clear(PARTITION, keys(first, first + BATCH))
