"""What a scenario gets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import Results
from scale import Scale
from workers import Workers

__all__ = ["MARK", "Session", "processes_of"]

#: In the environment of every process of a run, so that those of one system are found.
MARK = "TRANSFER_BENCH_RUN"


@dataclass
class Session:
    """A system that runs, with the driver's store and two workers."""

    system: str
    store: Any
    workers: Workers
    results: Results
    scale: Scale

    @property
    def is_gateway(self) -> bool:
        """Whether the store has the whole API of a gateway."""
        return self.system.startswith(("ours", "pypi"))

    @property
    def is_ours(self) -> bool:
        """Whether it is this package."""
        return self.system.startswith("ours")


def processes_of(mark: str) -> list[int]:
    """The processes that carry this mark, those that they started included: a server that shows its
    state in its own title, as Redis does, has overwritten its environment.
    """
    wanted = f"{MARK}={mark}".encode()
    found: set[int] = set()
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        process = int(folder.name)
        try:
            environment = (folder / "environ").read_bytes()
            status = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[process] = int(status[1])
        if wanted in environment.split(b"\0"):
            found.add(process)
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


def own_mark() -> str:
    """The mark of this run."""
    return os.environ[MARK]
