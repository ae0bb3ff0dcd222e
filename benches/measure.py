"""Timing of one scenario in one process, and the JSON that a scenario leaves behind."""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import importlib.util
import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

__all__ = [
    "TURN_PATIENCE",
    "Patience",
    "Results",
    "Work",
    "interleaved",
    "is_ours",
    "out_path",
    "repeated",
    "timed",
    "timed_result",
]

Work = Callable[[], object]
T = TypeVar("T")

#: One turn of a put and a get is enough where it takes more seconds than this.
TURN_PATIENCE = 2.0

#: From this many measurements on, a tail percentile says something.
_TAIL_FROM = 100


def is_ours() -> bool:
    """Whether this interpreter has the Rust core, or the PyPI package. Imports neither."""
    found = importlib.util.find_spec("transfer_queue")
    if found is None or found.origin is None:
        raise SystemExit("this interpreter has no transfer_queue; install the package first")
    return any(Path(found.origin).parent.glob("_core.*so"))


def out_path(description: str | None) -> Path:
    """The file that the command line asks the scenario to write."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    out: Path = parser.parse_args().out
    return out


def timed_result(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds that ``work`` takes, and what it returns."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def timed(work: Work) -> float:
    """Seconds that ``work`` takes. What it returns is freed after the clock has stopped."""
    return timed_result(work)[0]


def repeated(work: Work, times: int, *, warm_up: int = 1) -> list[float]:
    """Seconds of each of ``times`` calls, after ``warm_up`` calls that do not count."""
    gc.collect()
    return [timed(work) for _ in range(times + warm_up)][warm_up:]


def interleaved(works: Mapping[str, Work], times: int) -> dict[str, list[float]]:
    """Seconds per named work, taking turns, so that a disturbance of the machine meets all alike.
    The first turn does not count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    gc.collect()
    for turn in range(times + 1):
        for name, work in works.items():
            taken = timed(work)
            if turn:
                seconds[name].append(taken)
    return seconds


class Patience:
    """What is left out because it would take too long, going by what took time before."""

    def __init__(self, what: str, seconds: float) -> None:
        self._what = what
        self._seconds = seconds
        self._before: tuple[int, float] | None = None

    def took(self, amount: int, seconds: float) -> None:
        """So much took so many seconds."""
        self._before = amount, seconds

    def reason(self, amount: int) -> str:
        """Why so much is left out; empty where it is not."""
        if self._before is None:
            return ""
        before, seconds = self._before
        expected = seconds * amount / before
        if expected <= self._seconds:
            return ""
        return f"left out: {self._what} would take about {expected:.0f} s"


class Results:
    """What one scenario measured: named rows of seconds, each with the bytes or operations that one
    measurement moved.
    """

    def __init__(self, scenario: str) -> None:
        self._scenario = scenario
        self.rows: dict[str, dict[str, Any]] = {}

    def add(
        self, name: str, seconds: list[float], *, size: int | None = None, operations: int = 1
    ) -> None:
        """Records a row; ``size`` is in bytes per measurement."""
        row: dict[str, Any] = {
            "n": len(seconds),
            "median": statistics.median(seconds),
            "min": min(seconds),
            "max": max(seconds),
        }
        if len(seconds) >= _TAIL_FROM:
            row["p99"] = statistics.quantiles(seconds, n=100)[98]
        if size is not None:
            row["bytes"] = size
        if operations != 1:
            row["operations"] = operations
        self.rows[name] = row

    def value(self, name: str, value: float, unit: str) -> None:
        """Records something that is no time."""
        self.rows[name] = {"n": 1, "value": value, "unit": unit}

    def failed(self, name: str, reason: str) -> None:
        """Records why a row is missing."""
        self.rows[name] = {"failed": reason.strip()[-2000:]}

    def write(self, path: Path) -> None:
        """Writes the rows as JSON."""
        name = "transferqueue-rs" if is_ours() else "TransferQueue"
        content = {
            "scenario": self._scenario,
            "package": name,
            "version": importlib.metadata.version(name),
            "rows": self.rows,
        }
        path.write_text(json.dumps(content, indent=1) + "\n")
