"""What a measurement depends on besides the code: the machine and the versions of what is on it."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import time
from pathlib import Path

__all__ = ["environment_of", "machine_name", "settle"]

_DISTRIBUTIONS = ("torch", "tensordict", "numpy", "ray")

_VERSIONS_OF = """
import importlib.metadata, json, platform, sys
found = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


#: A machine of which a smaller share is busy is at rest.
_SETTLED = 0.1
_SETTLE_SECONDS = 60


def environment_of(interpreters: dict[str, Path]) -> dict[str, object]:
    """Machine, kernel, load, and the versions that each interpreter would import."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": platform.release(),
        # Of the minutes before: a loaded machine disturbs what is measured.
        "load_before": round(os.getloadavg()[0], 1),
        "versions": {name: _versions(python) for name, python in interpreters.items()},
    }


def settle() -> float:
    """Waits until what came before has left the machine, a minute at most; the share of its cores
    that is still busy. Gigabytes that were just installed are written to the disk for a while, and
    would disturb whichever system is measured first.
    """
    os.sync()
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        busy = _busy_share()
        if busy < _SETTLED or time.monotonic() > deadline:
            return busy


def _busy_share() -> float:
    """Of the cores in the next two seconds."""
    idle, total = _ticks()
    time.sleep(2)
    idle_then, total_then = _ticks()
    return 1 - (idle_then - idle) / max(total_then - total, 1)


def _ticks() -> tuple[int, int]:
    """Idle ones and all, of all cores (proc_stat(5))."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    # Waiting for a disk leaves a core free.
    return fields[3] + fields[4], sum(fields)


def machine_name() -> str:
    """CPU model and number of cores as a part of a file name."""
    cpu = re.sub(r"\(.*?\)|@.*|\b(processor|cpu|\d+-core)\b", " ", _cpu().lower())
    words = re.findall(r"[a-z0-9]+", cpu)
    return "-".join([*words, f"{len(os.sched_getaffinity(0))}c"])


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _versions(python: Path) -> dict[str, str]:
    command = [str(python), "-c", _VERSIONS_OF, *_DISTRIBUTIONS]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    versions: dict[str, str] = json.loads(answer.stdout)
    return versions
