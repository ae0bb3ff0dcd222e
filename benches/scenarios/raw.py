"""A batch through Mooncake Store beside as many bytes through Mooncake's own batch calls.

The raw calls move objects of 1 MiB between one registered region of each process: what is left
when nothing is packed, checked or made into tensors. One process puts, another gets, in turns.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from contents import check
from measure import timed_result
from payloads import MIB
from regions import Buffer
from session_state import Session
from systems.gateways import MOONCAKE_ADDRESSES
from workers import Worker

from scenarios.transfer import READER, WRITER, clear, forget, load, put, rows

__all__ = ["run"]

KINDS = ("dense", "jagged", "image dicts", "strings")
OBJECT = MIB
SLAB = 64 * MIB


def run(session: Session) -> None:
    if "mooncake" not in session.system:
        return
    size, times = session.scale.raw
    for kind in KINDS:
        (_, bytes_), _ = session.workers.all(load, kind, size)
        count = -(-bytes_ // OBJECT)
        session.workers.call(WRITER, start, count, 2 * count)
        session.workers.call(READER, start, count, 0)
        seconds: dict[str, list[float]] = defaultdict(list)
        for turn in range(times + 1):
            where = f"raw {kind} {turn}"
            taken = {
                "raw put": session.workers.call(WRITER, put_raw, where),
                "raw get": session.workers.call(READER, get_raw, where),
            }
            session.workers.call(WRITER, clear_raw, where)
            taken["put"] = session.workers.call(WRITER, put, where)
            taken["get"] = session.workers.call(READER, get, where, turn == 0)
            session.workers.call(WRITER, clear, where)
            for what, value in taken.items() if turn else ():
                seconds[what].append(value)
        for what, values in seconds.items():
            moved = count * OBJECT if what.startswith("raw") else bytes_
            session.results.add(f"{kind}, {size // MIB:,} MiB: {what}", values, size=moved)
        session.workers.all(stop)
        session.workers.all(forget)


@dataclass
class Raw:
    """A client of Mooncake without a gateway, and its registered region."""

    store: Any
    replicas: Any
    region: Buffer
    sizes: list[int]

    @property
    def places(self) -> list[int]:
        start: int = self.region.ctypes.data
        return [start + number * OBJECT for number in range(len(self.sizes))]

    def keys(self, where: str) -> list[str]:
        return [f"{where} {number}" for number in range(len(self.sizes))]


def start(worker: Worker, count: int, contributed: int) -> None:
    """Joins with memory for ``contributed`` objects."""
    from mooncake.store import MooncakeDistributedStore, ReplicateConfig

    store = MooncakeDistributedStore()
    metadata, master = MOONCAKE_ADDRESSES
    url = f"http://{metadata}/metadata"
    # Mooncake takes no less than a slab.
    segment = max(contributed * OBJECT, SLAB) if contributed else 0
    code = store.setup("127.0.0.1", url, segment, MIB, "tcp", "", master)
    assert code == 0, f"Mooncake's setup answered {code}"
    replicas = ReplicateConfig()
    if contributed:
        replicas.preferred_segment = store.get_hostname()
    region = np.random.default_rng(0).integers(0, 255, count * OBJECT, np.uint8)
    assert store.register_buffer(region.ctypes.data, region.nbytes) == 0
    worker.kept["raw"] = Raw(store, replicas, region, [OBJECT] * count)


def stop(worker: Worker) -> None:
    raw: Raw = worker.kept.pop("raw")
    raw.store.close()


def put_raw(worker: Worker, where: str) -> float:
    raw: Raw = worker.kept["raw"]
    work = partial(
        raw.store.batch_upsert_from, raw.keys(where), raw.places, raw.sizes, raw.replicas
    )
    seconds, codes = timed_result(work)
    assert not any(codes), f"Mooncake answered {min(codes)}"
    return seconds


def get_raw(worker: Worker, where: str) -> float:
    raw: Raw = worker.kept["raw"]
    before = raw.region[::4096].copy()
    raw.region[::4096] = 0
    seconds, read = timed_result(
        partial(raw.store.batch_get_into, raw.keys(where), raw.places, raw.sizes)
    )
    assert list(read) == raw.sizes, f"Mooncake read {min(read)} bytes of {OBJECT}"
    assert (raw.region[::4096] == before).all(), "Mooncake gave other bytes"
    return seconds


def clear_raw(worker: Worker, where: str) -> None:
    raw: Raw = worker.kept["raw"]
    raw.store.batch_remove(raw.keys(where), True)


def get(worker: Worker, where: str, compare: bool) -> float:
    """What a get has checked was read from end to end: there is nothing to touch."""
    seconds, read = timed_result(partial(worker.store.get, where, rows(worker)))
    if compare:
        check(worker.kept["batch"], read)
    return seconds
