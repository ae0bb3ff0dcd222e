"""Bytes resident per byte stored, after a clear, and after many cycles of put, get and clear.

What counts is the proportional set size of all processes of the system, shared memory that several
map being counted once, above what they had before the first put.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from payloads import MIB
from session_state import Session, own_mark, processes_of

from scenarios.transfer import clear, forget, get, load, put

__all__ = ["run"]

CYCLE_BYTES = 64 * MIB
#: Memory that is given back in the background gets this long.
SETTLING = 1.0


def run(session: Session) -> None:
    size = session.scale.memory_bytes
    workers = session.workers
    for kind in ("dense", "image dicts"):
        # Both have the batch itself before the first reading.
        (_, stored), _ = workers.all(load, kind, size)
        before = resident()
        workers.call(0, put, "resident")
        held = resident() - before
        workers.call(1, get, "resident", True)
        workers.call(0, clear, "resident")
        time.sleep(SETTLING)
        session.results.value(f"{kind}: resident per byte stored", held / stored, "")
        session.results.value(
            f"{kind}: after the clear, per byte stored", (resident() - before) / stored, ""
        )
        workers.all(forget)
    workers.all(load, "dense", CYCLE_BYTES)
    cycles = session.scale.cycles
    for number in range(cycles):
        if number == min(10, cycles - 1):
            before = resident()
        where = f"cycle {number}"
        workers.call(0, put, where)
        workers.call(1, get, where, False)
        workers.call(0, clear, where)
    time.sleep(SETTLING)
    grown = (resident() - before) / MIB
    session.results.value(f"{cycles} cycles of 64 MiB: growth", grown, "MiB")
    workers.all(forget)


def resident() -> int:
    """Proportional set size of all processes of the run, in bytes."""
    total = 0
    for process in processes_of(own_mark()):
        try:
            text = (Path("/proc") / str(process) / "smaps_rollup").read_text()
        except OSError:
            continue
        found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
        total += int(found[1]) * 1024 if found else 0
    return total
