"""A thread that makes one call after the other, and can be given up."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

from transfer_queue._operations import Deadline

__all__ = ["Helper", "acquire"]


class Call:
    """One call on the helper thread."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self._function = function
        #: Taken once: by the thread to begin, or to drop what has not begun.
        self._begin = threading.Lock()
        #: Released when the call is over.
        self._over = threading.Lock()
        self._over.acquire()

    def carry_out(self) -> None:
        """Makes the call, unless it was dropped."""
        if not self._begin.acquire(blocking=False):
            return
        try:
            self.result = self._function()
        except BaseException as error:  # noqa: BLE001 - the caller's thread raises it
            self.error = error
        self._over.release()

    def drop(self) -> None:
        """Sees to it that the call does not begin; one that has begun runs on."""
        self._begin.acquire(blocking=False)

    def wait(self, deadline: Deadline) -> bool:
        """Whether the call is over by the deadline."""
        return acquire(self._over, deadline)


class Helper:
    """A thread that makes one call after the other."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        threading.Thread(target=_serve, args=(self._calls,), name="tq-sampler", daemon=True).start()

    def submit(self, function: Callable[[], Any]) -> Call:
        call = Call(function)
        self._calls.put(call)
        return call

    def retire(self) -> None:
        """Lets the thread end after the calls it has."""
        self._calls.put(None)


def _serve(calls: queue.SimpleQueue[Call | None]) -> None:
    # Holds the queue alone: a sampler that nobody uses any more must not live on in here.
    while (call := calls.get()) is not None:
        call.carry_out()
        del call


def acquire(lock: threading.Lock, deadline: Deadline) -> bool:
    """Whether the lock was free by the deadline."""
    left = deadline.left
    return lock.acquire(timeout=-1 if left is None else left)
