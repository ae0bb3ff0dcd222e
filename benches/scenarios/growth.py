"""The cost per sample of a put, a get and a listing while a partition grows."""

from __future__ import annotations

from functools import partial

import torch
from measure import Patience, timed, timed_result
from session_state import Session
from tensordict import TensorDict
from workers import Worker

__all__ = ["run"]

BATCH = 1_000
PARTITION = "growth"
#: A system that needs longer for its next size than this is not asked for it.
LONGEST_GROWTH = 8.0
#: Puts and gets that are measured at each size: many, as one is over in a millisecond; fewer where
#: they take more seconds than this.
TIMES = 201
LONGEST_MEASURING = 1.0


def run(session: Session) -> None:
    held = 0
    patience = Patience("growing", LONGEST_GROWTH)
    for samples in session.scale.growth:
        added = samples - held
        if reason := patience.reason(added):
            session.results.failed(f"{samples:,} samples", reason)
            break
        growing, rows = session.workers.call(0, grow, held, samples)
        patience.took(added, growing)
        held = samples
        for what, values in rows.items():
            operations = samples if what == "list" else BATCH
            name = f"{samples:,} samples: {what}"
            session.results.add(name, values, operations=operations)
    session.workers.call(0, clear_all, held)


def keys(start: int, end: int) -> list[str]:
    return [f"key_{row}" for row in range(start, end)]


def grow(worker: Worker, start: int, end: int) -> tuple[float, dict[str, list[float]]]:
    """Fills the partition in batches; seconds of all of that, and each of the last puts, of gets of
    batches from all over it, and of listings.
    """
    before = small_partitions(worker) if start == 0 else []
    puts = [put(worker, PARTITION, first) for first in range(start, end, BATCH)]
    gets: list[float] = []
    for number in range(TIMES + 1):
        if len(gets) > 1 and sum(gets) > LONGEST_MEASURING:
            break
        first = (end - BATCH) * number // TIMES // BATCH * BATCH
        names = keys(first, first + BATCH)
        seconds, read = timed_result(partial(worker.store.get, PARTITION, names, ["f"]))
        gets.append(seconds)
        assert int(read["f"].unbind()[7][0]) == first + 7, "another row came back"
    lists: list[float] = []
    while len(lists) < 3 or (len(lists) <= TIMES and sum(lists) < LONGEST_MEASURING):
        lists.append(timed(partial(worker.store.list, PARTITION)))
    return sum(puts), {"put": [*before, *puts][-TIMES:], "get": gets[1:], "list": lists[1:]}


def small_partitions(worker: Worker) -> list[float]:
    """Puts into partitions of one batch each, one after the other; the first warms up."""
    seconds: list[float] = []
    while len(seconds) <= TIMES and sum(seconds) < LONGEST_MEASURING:
        partition = f"{PARTITION} {len(seconds)}"
        seconds.append(put(worker, partition, 0))
        worker.store.clear(partition, keys(0, BATCH))
    # That into the partition that grows comes on top.
    return seconds[2:]


def put(worker: Worker, partition: str, first: int) -> float:
    batch = TensorDict({"f": torch.arange(first, first + BATCH)[:, None]}, batch_size=[BATCH])
    names = keys(first, first + BATCH)
    return timed(partial(worker.store.put, partition, names, batch, None))


def clear_all(worker: Worker, end: int) -> None:
    for first in range(0, end, BATCH):
        worker.store.clear(PARTITION, keys(first, first + BATCH))
