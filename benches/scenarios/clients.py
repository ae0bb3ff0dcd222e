"""Many clients at once: threads of the two workers, each with samples of its own; and, for our own
program, as many connections.

Each turn of a client puts a sample, gets it, compares it, and clears it. All clients also put keys
of their own into one partition, which must have every one of them in the end.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from typing import Any

import torch
from session_state import Session
from tensordict import TensorDict
from tools import tq_program
from workers import Worker

__all__ = ["run"]

SHARED = "shared"
ROW = 1024


def run(session: Session) -> None:
    for count in session.scale.clients:
        threads(session, count)
    if session.system == "ours":
        connections(session)


def threads(session: Session, count: int) -> None:
    workers = len(session.workers)
    shares = [count // workers + (number < count % workers) for number in range(workers)]
    work = [(f"{count}", share, session.scale.client_seconds) for share in shares]
    found = session.workers.each(loop, work)
    label = "1 client" if count == 1 else f"{count:,} clients"
    turns = sorted(seconds for one in found for seconds in one["turns"])
    errors = [error for one in found for error in one["errors"]]
    wanted = {key for one in found for key in one["updates"]}
    lost = wanted - set(session.store.list(SHARED))
    session.results.add(f"{label}: turn", turns or [float("nan")])
    rate = len(turns) / session.scale.client_seconds
    session.results.value(f"{label}: turns a second", rate, "1/s")
    session.results.value(f"{label}: errors", len(errors), "")
    session.results.value(f"{label}: lost updates", len(lost), "")
    if errors:
        session.results.failed(f"{label}: first error", errors[0])
    if wanted:
        session.store.clear(SHARED, sorted(wanted - lost))


def loop(worker: Worker, label: str, count: int, seconds: float) -> dict[str, Any]:
    """What the clients of one process did."""
    turns: list[float] = []
    errors: list[str] = []
    updates: list[str] = []
    start = threading.Barrier(count + 1)

    def client(number: int) -> None:
        name = f"{label}.{worker.number}.{number}"
        start.wait()
        end = time.perf_counter() + seconds
        turn = 0
        while time.perf_counter() < end:
            try:
                took = one_turn(worker.store, name, turn)
                if turn == 0:
                    worker.store.put(SHARED, [name], batch_of(turn), None)
                    updates.append(name)
            except Exception as error:  # noqa: BLE001 - counted and reported
                errors.append(f"{type(error).__name__}: {error}"[:500])
                return
            turns.append(took)
            turn += 1

    clients = [threading.Thread(target=client, args=(number,)) for number in range(count)]
    for thread in clients:
        thread.start()
    start.wait()
    for thread in clients:
        thread.join()
    return {"turns": turns, "errors": errors, "updates": updates}


def one_turn(store: Any, name: str, turn: int) -> float:
    batch = batch_of(turn)
    started = time.perf_counter()
    store.put(name, ["sample"], batch, None)
    read = store.get(name, ["sample"], ["f"])
    taken = time.perf_counter() - started
    assert torch.equal(read["f"].unbind()[0], batch["f"][0]), "another content came back"
    started = time.perf_counter()
    store.clear(name, ["sample"])
    return taken + time.perf_counter() - started


def batch_of(turn: int) -> TensorDict:
    return TensorDict({"f": torch.full((1, ROW), turn, dtype=torch.int32)}, batch_size=[1])


def connections(session: Session) -> None:
    """Our own program's clients, which are connections of their own, not threads of one."""
    address = session.workers.call(0, address_of)
    for count in session.scale.connections:
        label = "1 connection" if count == 1 else f"{count:,} connections"
        command = [*tq_program(), "bench", "clients", "--clients", str(count), "--json"]
        done = subprocess.run(
            [*command, "--address", address], check=False, capture_output=True, text=True
        )
        if done.returncode:
            session.results.failed(label, done.stderr.strip() or done.stdout.strip())
            continue
        line = json.loads(done.stdout.strip().splitlines()[-1])
        session.results.value(f"{label}: operations a second", line["operations_per_second"], "1/s")
        session.results.value(f"{label}: errors", line["errors"], "")
        session.results.value(f"{label}: lost updates", line["lost"] + line["wrong"], "")


def address_of(worker: Worker) -> str:
    """Where the driver's engine is: what the package leaves to the processes that it starts."""
    del worker
    # Prefixed with the number of the process that set it.
    return os.environ["TQ_PARENT_ADDRESS"].partition(":")[2]
