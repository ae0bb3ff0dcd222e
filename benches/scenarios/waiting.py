"""From a put in one process to the other process that waits for it; and what a wait costs.

Ours is woken. The PyPI package answers a fetch of what is not there after its default interval of
5 seconds, with a result or with an error, so who waits asks again. Redis has lists to wait on.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from session_state import Session, own_mark, processes_of
from systems.base import NotOfferedError
from tensordict import TensorDict
from workers import Worker

__all__ = ["run"]

#: Waits in one worker for what is put into a partition; the instant at which it came.
Wait = Callable[..., float]

#: Waits of the PyPI package: each takes seconds.
FEW = 2
#: Systems whose controller is measured; a backend changes nothing about waiting.
MEASURED = ("ours", "ours_ray", "pypi", "redis")
IDLE_SECONDS = 2.0
#: A put comes so many seconds after the wait began, so that all intervals of asking are met.
DELAYS = (0.03, 0.05, 0.08)


def run(session: Session) -> None:
    wait = waits_of(session.system)
    count = session.scale.wakes if wait is not waits_by_asking else FEW
    delays = []
    for number in range(count):
        where = f"wake_{number}"
        session.workers.call(0, prepare, where)
        woken, put = session.workers.pair(
            (0, wait, (where,)), (1, put_later, (where, DELAYS[number % len(DELAYS)]))
        )
        # The waiter may have what it waits for before the put has returned.
        delays.append(max(woken - put, 1e-6))
    session.results.add("put to woken", delays)
    if session.is_gateway:
        session.results.value("CPU of a wait", statistics.median(idle(session, wait)), "cores")


def waits_of(system: str) -> Wait:
    if system.startswith(("ours", "pypi")) and system not in MEASURED:
        raise NotOfferedError("the controller waits, and it is the same on every backend")
    if system.startswith("ours"):
        return waits_woken
    if system.startswith("pypi"):
        return waits_by_asking
    if system == "redis":
        return waits_for_list
    raise NotOfferedError("has nothing to wait for a put with")


def prepare(worker: Worker, where: str) -> None:
    """Half of the batch, so that the partition is known."""
    worker.store.put(where, ["a"], one(), None)


def one() -> TensorDict:
    return TensorDict({"f": torch.zeros(1, 8)}, batch_size=[1])


def put_later(worker: Worker, where: str, delay: float) -> float:
    """The instant at which the put began that completes the batch."""
    time.sleep(delay)
    batch = one()
    started = time.perf_counter()
    worker.store.put(where, ["b"], batch, None)
    if hasattr(worker.store, "redis"):
        worker.store.redis.lpush(f"{where} ready", "b")
    return started


def waits_woken(worker: Worker, where: str, seconds: float = 30.0) -> float:
    try:
        worker.store.tq.get_client().get_meta(["f"], 2, where, task_name="train", timeout=seconds)
    except TimeoutError:
        assert seconds <= IDLE_SECONDS, "what was put woke nobody"
    return time.perf_counter()


def waits_by_asking(worker: Worker, where: str, seconds: float = 30.0) -> float:
    client = worker.store.tq.get_client()
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        try:
            if len(client.get_meta(["f"], 2, where, task_name="train")) == 2:
                break
        except RuntimeError as error:
            if "Timeout" not in str(error):
                raise
    return time.perf_counter()


def waits_for_list(worker: Worker, where: str, seconds: float = 30.0) -> float:
    worker.store.redis.blpop(f"{where} ready", timeout=seconds)
    return time.perf_counter()


def idle(session: Session, wait: Wait) -> list[float]:
    """CPU seconds per second of all processes of the system while one waits in vain; less what they
    use while nobody waits.
    """
    found = []
    for number in range(3 if session.is_ours else 1):
        where = f"idle_{number}"
        session.workers.call(0, prepare, where)
        before, started = cpu_seconds(), time.perf_counter()
        time.sleep(IDLE_SECONDS)
        quiet = (cpu_seconds() - before) / (time.perf_counter() - started)
        before, started = cpu_seconds(), time.perf_counter()
        session.workers.call(0, wait, where, IDLE_SECONDS)
        waited = (cpu_seconds() - before) / (time.perf_counter() - started)
        found.append(max(waited - quiet, 0.0))
    return found


def cpu_seconds() -> float:
    ticks = 0
    for process in processes_of(own_mark()):
        try:
            fields = (Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
