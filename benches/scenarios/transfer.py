"""One batch, put by one process and got by another: by kind and size, beside a plain copy.

A get counts until one byte of every page has been read.
"""

from __future__ import annotations

import gc
import statistics
from collections import defaultdict
from functools import partial
from typing import Any

import numpy as np
from contents import check, touch
from measure import TURN_PATIENCE, Patience, timed, timed_result
from payloads import MIB, batch_of
from session_state import Session
from workers import Worker

__all__ = ["READER", "WRITER", "clear", "forget", "get", "load", "put", "rows", "run"]

KINDS = ("dense", "jagged", "image dicts", "strings", "mixed")
LARGE = 256 * MIB
#: A size is left out where a put and a get would take more seconds.
LONGEST_TURN = 12.0
WRITER, READER = 0, 1


def run(session: Session) -> None:
    patience = {kind: Patience("a put and a get", LONGEST_TURN) for kind in KINDS}
    for size, times in session.scale.sizes.items():
        for kind in session.scale.large_kinds if size > LARGE else KINDS:
            name = f"{kind}, {size // MIB:,} MiB"
            if reason := patience[kind].reason(size):
                session.results.failed(name, reason)
                continue
            try:
                patience[kind].took(size, measure(session, kind, size, times, name))
            except RuntimeError as error:
                session.results.failed(name, str(error))
            session.workers.all(forget)


def measure(session: Session, kind: str, size: int, times: int, name: str) -> float:
    """Records the rows of one batch; the seconds of a put and a get."""
    (_, bytes_), _ = session.workers.all(load, kind, size)
    seconds: dict[str, list[float]] = defaultdict(list)
    for turn in range(times + 1):
        where = f"{name} {turn}"
        taken = {
            "copy": session.workers.call(WRITER, copy, min(bytes_, LARGE)) * max(1, bytes_ / LARGE),
            "put": session.workers.call(WRITER, put, where),
            "get": session.workers.call(READER, get, where, turn == 0),
            "clear": session.workers.call(WRITER, clear, where),
        }
        for what, value in taken.items() if turn else ():
            seconds[what].append(value)
        if turn and taken["put"] + taken["get"] > TURN_PATIENCE:
            break
    for what, values in seconds.items():
        size_moved = bytes_ if what != "clear" else None
        session.results.add(f"{name}: {what}", values, size=size_moved)
    return statistics.median(seconds["put"]) + statistics.median(seconds["get"])


def load(worker: Worker, kind: str, size: int) -> tuple[int, int]:
    """Makes the batch; rows and bytes."""
    batch, bytes_ = batch_of(kind, size)
    worker.kept["batch"] = batch
    worker.kept["keys"] = [f"key_{row}" for row in range(batch.batch_size[0])]
    return len(worker.kept["keys"]), bytes_


def rows(worker: Worker) -> list[str]:
    keys: list[str] = worker.kept["keys"]
    return keys


def put(worker: Worker, where: str) -> float:
    gc.collect()
    return timed(partial(worker.store.put, where, rows(worker), worker.kept["batch"], None))


def get(worker: Worker, where: str, compare: bool) -> float:
    gc.collect()
    work = partial(worker.store.get, where, rows(worker))
    seconds, read = timed_result(work)
    seconds += timed(partial(touch, read))
    if compare:
        check(worker.kept["batch"], read)
    del read
    return seconds


def clear(worker: Worker, where: str) -> float:
    return timed(partial(worker.store.clear, where, rows(worker)))


def copy(worker: Worker, size: int) -> float:
    """A plain copy of as many bytes, by one thread into memory whose pages have been touched."""
    buffers: tuple[Any, Any] | None = worker.kept.get("buffers")
    if buffers is None or buffers[0].nbytes != size:
        buffers = np.full(size, 1, np.uint8), np.full(size, 2, np.uint8)
        worker.kept["buffers"] = buffers
    return timed(partial(np.copyto, buffers[1], buffers[0]))


def forget(worker: Worker) -> None:
    worker.kept.clear()
    gc.collect()
