"""Calls of Mooncake that fail, in part or whole: what is tried again, and what is raised."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from transfer_queue.errors import (
    CapacityExceededError,
    CorruptBufferError,
    DeadlineExceededError,
    InvalidArgumentError,
    StorageKeyNotFoundError,
    UnavailableError,
)

__all__ = ["DEADLINE_SECONDS", "NOT_FOUND", "Patience", "all_stored", "code_of_read", "retried"]

logger = logging.getLogger(__name__)

#: Seconds in which a batch has to be stored or read.
DEADLINE_SECONDS = 120.0
#: What Mooncake answers (its ErrorCode): there is no such object, no room for it, or the request
#: is wrong. Whatever else fails may succeed when it is tried again.
NOT_FOUND = -704
_NO_ROOM = frozenset({-10, -11, -200, -201})
_REFUSED = frozenset({-600, -601, -705, -706})


#: Seconds that a call may go on after the deadline.
_GRACE_SECONDS = 30.0


class _NotTriedError(Exception):
    """Something else of the same batch has failed before."""


class Patience:
    """How long the calls of one batch may go on: until a deadline, or until one of them fails."""

    def __init__(self) -> None:
        self._end = time.monotonic() + DEADLINE_SECONDS
        self._over = threading.Event()

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return max(self._end - time.monotonic(), 0.0)

    def end(self) -> None:
        """Lets the others give up."""
        self._over.set()

    def check(self) -> None:
        """Raises where it is over before something was tried."""
        if self._over.is_set():
            raise _NotTriedError

    def sleep(self, seconds: float) -> bool:
        """Waits before something is tried again; whether that is worth it."""
        return seconds < self.left and not self._over.wait(seconds)


def code_of_read(code: int, size: int) -> int:
    """0 where all bytes were read; a short read is a failure."""
    if code == size:
        return 0
    return code if code < 0 else -1


def retried(
    call: Callable[[list[int]], list[int]],
    keys: list[str],
    done: str,
    patience: Patience,
    retries: int,
    delay: float,
) -> None:
    """Calls with the numbers of all keys, then with those that failed, as long as that can help.

    Raises:
        TransferQueueError: not all succeeded; it names the keys and codes.
    """
    left = list(range(len(keys)))
    for attempt in range(retries + 1):
        codes = call(left)
        if len(codes) != len(left):
            raise UnavailableError(
                f"Mooncake answered {len(codes)} codes for {len(left)} keys; nothing can be said "
                f"of what is {done}"
            )
        failed = {one: code for one, code in zip(left, codes, strict=True) if code != 0}
        if not failed:
            return
        left = list(failed)
        seen = set(failed.values())
        # Where there is no room, a client that comes back may bring some.
        hopeless = NOT_FOUND in seen or seen & _REFUSED
        if hopeless or attempt == retries or not patience.sleep(delay):
            raise _failure(keys, failed, done)
        logger.info("%d of %d keys were not %s: %s", len(failed), len(keys), done, seen)


def _failure(keys: list[str], failed: dict[int, int], done: str) -> Exception:
    named = ", ".join(f"{keys[one]} ({code})" for one, code in list(failed.items())[:5])
    more = "" if len(failed) <= 5 else f" and {len(failed) - 5} more"
    what = f"{len(failed)} of {len(keys)} keys were not {done} by Mooncake: {named}{more}"
    codes = set(failed.values())
    if NOT_FOUND in codes:
        return StorageKeyNotFoundError(f"{what}; they are not there (any more)")
    if codes & _NO_ROOM:
        return CapacityExceededError(
            f"{what}; there is no room: clear samples or raise global_segment_size"
        )
    if codes & _REFUSED:
        return InvalidArgumentError(what)
    if codes == {-1} and done == "read":
        return CorruptBufferError(f"{what}; fewer bytes came than were put")
    return UnavailableError(f"{what}; see whether its master and the other clients run")


def all_stored(futures: list[Future[None]], keys: list[str], patience: Patience) -> None:
    """Waits for all; raises the first failure, naming every key that is not stored."""
    failed: dict[str, Exception] = {}
    for key, future in zip(keys, futures, strict=True):
        try:
            future.result(patience.left + _GRACE_SECONDS)
        except TimeoutError:
            patience.end()
            future.cancel()
            failed[key] = DeadlineExceededError(f"{key} was not stored in {DEADLINE_SECONDS} s")
        except Exception as error:  # noqa: BLE001 - raised below, for all of them
            failed[key] = error
    causes = [error for error in failed.values() if not isinstance(error, _NotTriedError)]
    if causes:
        names = list(failed)
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        raise type(causes[0])(
            f"{len(names)} of {len(keys)} objects were not stored: {', '.join(names[:5])}{more}; "
            f"{causes[0]}"
        ) from causes[0]
