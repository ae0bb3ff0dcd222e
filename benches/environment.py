"""What a measurement depends on besides the code: the machine and the versions of what is on it."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from pathlib import Path

__all__ = ["environment_of", "machine_name"]

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
