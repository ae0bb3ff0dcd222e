"""`kv_watch`: the changes of a partition, as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial

from transfer_queue import _core
from transfer_queue._engine import allow_pickle
from transfer_queue._kv.process import engine
from transfer_queue._operations import (
    Deadline,
    Lacking,
    Operation,
    immediate,
    run,
    run_async,
    until,
)
from transfer_queue.errors import InvalidArgumentError, WaitTimeoutError, WatchGapError
from transfer_queue.selection import KVChange

#: Changes fetched at a time.
_PAGE = 1024
#: More than any partition has.
_ALL = 1 << 62


def kv_watch(
    partition_id: str, since: int | None = None, *, timeout: float | None = None
) -> Iterator[KVChange]:
    """Iterates over the changes of a partition, and waits for those to come.

    Several changes of one sample that were not fetched yet come as one, the latest, so that a slow
    reader never falls behind. Samples without a key are left out.

        for change in tq.kv_watch("train"):
            print(change.key, "gone" if change.cleared else change.fields)

    Args:
        partition_id: the partition; it need not exist yet.
        since: the ``sequence`` of the last change that was dealt with; None to begin with every
            sample that is there now.
        timeout: seconds to wait for the next change at most; None to wait on.

    Raises:
        WaitTimeoutError: nothing changed until the timeout.
        WatchGapError: so much changed since ``since`` that clears may be unknown.
        InvalidArgumentError: ``since`` or ``timeout`` is no such number.
    """
    return _iterate(_Watch(partition_id, since, timeout))


def async_kv_watch(
    partition_id: str, since: int | None = None, *, timeout: float | None = None
) -> AsyncIterator[KVChange]:
    """As :func:`kv_watch`, to be iterated over with ``async for``."""
    return _iterate_async(_Watch(partition_id, since, timeout))


def _iterate(watch: _Watch) -> Iterator[KVChange]:
    while True:
        yield from run(watch.next())


async def _iterate_async(watch: _Watch) -> AsyncIterator[KVChange]:
    while True:
        for change in await run_async(watch.next()):
            yield change


class _Watch:
    """Where a reader of changes stands."""

    def __init__(self, partition_id: str, since: int | None, timeout: float | None) -> None:
        if since is not None and (not isinstance(since, int) or since < 0):
            raise InvalidArgumentError(
                f"since is {since!r}; give the sequence of a KVChange, or None"
            )
        Deadline(timeout)
        self._core: _core.Engine = engine().core
        self._partition_id = partition_id
        self._since = since or None  # no change has the number 0
        self._timeout = timeout

    def next(self) -> Operation[list[KVChange]]:
        """The next changes, one or more."""
        subscribe = partial(self._core.subscribe, self._partition_id, consumption=False)
        deadline = Deadline(self._timeout)
        found = yield from until(partial(immediate, self._look), subscribe, deadline)
        if isinstance(found, Lacking):
            raise WaitTimeoutError(
                f"nothing changed in partition {self._partition_id!r} for {deadline.seconds} s; "
                f"go on with kv_watch({self._partition_id!r}, since={self._since})"
            )
        return found

    def _look(self) -> list[KVChange] | Lacking:
        # All that is there comes in one piece: what was cleared before is of no interest, and what
        # is cleared after it is known.
        since, limit = (0, _ALL) if self._since is None else (self._since, _PAGE)
        changes, following, complete = self._core.changes(
            self._partition_id, since, limit, allow_pickle()
        )
        if not complete and self._since is not None:
            raise WatchGapError(
                f"the changes of partition {self._partition_id!r} since {since} are not all known "
                "any more; start again with since=None and forget the samples known before"
            )
        self._since = following
        if not changes:
            return Lacking()
        # All changes of one call have one number, and come in one piece. Only behind the last of
        # them is it safe to go on from that number.
        ends = [number for number, *_ in changes[1:]]
        return [
            KVChange(number - (number == end), key, fields, tag, cleared)
            for (number, key, fields, tag, cleared), end in zip(changes, [*ends, 0], strict=True)
        ]
