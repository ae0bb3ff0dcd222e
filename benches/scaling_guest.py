"""A guest that makes calls of one kind and size, and tells what each cost the processes it asked.

Started by scaling_host.py: `scaling_guest.py ADDRESS CONTROLLER_PID UNIT_PID`, one case of JSON per
line of standard input, one answer per line of standard output.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tensordict import TensorDict

import transfer_queue as tq

PARTITION = "scaling"
FIELDS = 4


def cpu_seconds(pid: int) -> float:
    """The time that all threads of a process have run; of those that are gone, nothing."""
    spent = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            spent += int(path.read_text().split()[0])
        except OSError:
            continue
    return spent / 1e9


def loopback_bytes() -> int:
    """Bytes over the loopback device, of all processes."""
    found = re.search(r"^\s*lo:\s*(\d+)", Path("/proc/net/dev").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def batch_of(rows: int, row_bytes: int) -> TensorDict:
    width = max(row_bytes // FIELDS // 4, 1)
    fields = {f"field_{number}": torch.zeros(rows, width) for number in range(FIELDS)}
    return TensorDict(fields, batch_size=rows)


def calls_of(kind: str, rows: int, row_bytes: int) -> list[Callable[[], object]]:
    """What prepares for a kind of call, the call, and what has to come after it, if anything."""
    data = batch_of(rows, row_bytes)
    names = list(data.keys())
    keys = [f"{kind}_{os.getpid()}_{row}" for row in range(rows)]
    client = tq.get_client()
    tags = [{"step": 1, "length": row} for row in range(rows)]

    def put() -> object:
        return tq.kv_batch_put(keys, PARTITION, data, tags=tags)

    def get() -> object:
        return tq.kv_batch_get(keys, PARTITION, names)

    def claim() -> object:
        return client.get_meta(names, rows, PARTITION, task_name="task")

    def give_back() -> object:
        return client.reset_consumption(PARTITION, "task")

    def ask() -> object:
        return client.check_consumption_status("nobody", "none")

    return {
        "put": [put, put],
        "get": [put, get],
        "claim": [put, claim, give_back],
        "ask": [ask, ask],
    }[kind]


def measure(case: dict[str, Any], pids: list[int]) -> dict[str, Any]:
    """Median over rounds of what one call cost each process, and this one."""
    prepare, call, *after = calls_of(case["kind"], case["rows"], case["row_bytes"])

    def undo() -> None:
        for step in after:
            step()

    prepare()
    call()
    undo()
    start = time.perf_counter()
    call()
    each = time.perf_counter() - start
    undo()
    # What has to be undone is counted one by one, the rest in rounds of a good length.
    count = 1 if after else max(int(case["seconds"] / 5 / each), 1)
    rounds: list[list[float]] = []
    until = time.perf_counter() + case["seconds"]
    while len(rounds) < 5 or time.perf_counter() < until:
        hosts, wire, own = [cpu_seconds(pid) for pid in pids], loopback_bytes(), time.process_time()
        start = time.perf_counter()
        for _ in range(count):
            call()
        wall = time.perf_counter() - start
        own, wire = time.process_time() - own, loopback_bytes() - wire
        spent = [cpu_seconds(pid) - then for pid, then in zip(pids, hosts, strict=True)]
        undo()
        rounds.append([value / count for value in (*spent, own, wire, wall)])
    *spent, own, wire, wall = (statistics.median(values) for values in zip(*rounds, strict=True))
    calls = 2 + len(rounds) * count
    measured = {"host_s": spent, "guest_s": own, "wire_bytes": wire, "wall_s": wall}
    return {**case, **measured, "calls": calls}


def main() -> None:
    address, *pids = sys.argv[1:]
    tq.init(address=address)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(json.loads(line), [int(pid) for pid in pids])), flush=True)


if __name__ == "__main__":
    main()
