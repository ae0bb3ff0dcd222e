"""How often something is done, and how long it takes, in the log."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator

from transfer_queue.errors import InvalidArgumentError
from transfer_queue.utils.logging_utils import get_logger

__all__ = ["IntervalPerfMonitor"]

_INTERVAL_VARIABLE = "TQ_PERF_LOG_FLUSH_INTERVAL"
_DEFAULT_SECONDS = 300.0

logger = get_logger(__name__, default_level="INFO")


class IntervalPerfMonitor:
    """Counts and times operations by type, and logs them together once in a while, with the
    operation that ends after ``TQ_PERF_LOG_FLUSH_INTERVAL`` seconds. Any thread may use it.

    Args:
        caller_name: who is measured; stands in the log.

    Raises:
        InvalidArgumentError: ``TQ_PERF_LOG_FLUSH_INTERVAL`` is no number of seconds.
    """

    def __init__(self, caller_name: str) -> None:
        self._caller = caller_name
        self._interval = _interval()
        self._lock = threading.Lock()
        self._durations: dict[str, list[float]] = {}
        self._since = time.monotonic()

    @contextlib.contextmanager
    def measure(self, op_type: str) -> Iterator[None]:
        """Measures the body of a ``with`` statement, also one that raises."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self._note(op_type, begin, time.monotonic())

    def _note(self, op_type: str, begin: float, end: float) -> None:
        with self._lock:
            self._durations.setdefault(op_type, []).append(end - begin)
            seconds = end - self._since
            if seconds < self._interval:
                return
            durations, self._durations, self._since = self._durations, {}, end
        logger.info("%s", _summary(self._caller, seconds, durations))


def _summary(caller: str, seconds: float, durations: dict[str, list[float]]) -> str:
    parts = [
        f"{op_type}: {len(taken)} times, mean {sum(taken) / len(taken):.6f} s, "
        f"longest {max(taken):.6f} s"
        for op_type, taken in sorted(durations.items())
    ]
    return f"[{caller}] in {seconds:.1f} s: " + "; ".join(parts)


def _interval() -> float:
    text = os.environ.get(_INTERVAL_VARIABLE, str(_DEFAULT_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise InvalidArgumentError(
            f"{_INTERVAL_VARIABLE} is {text!r}; it must be seconds, 0 or more"
        )
    return seconds
