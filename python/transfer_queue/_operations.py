"""Operations that are written once and called both ways.

An operation is a generator. It returns its result, and yields what may take long: an
:class:`Offload` or a :class:`Wait`. A plain function does that in place, a coroutine without
blocking its event loop.

    def _kv_list(partition_id: str) -> Operation[list[str]]: ...

    kv_list = synchronous(_kv_list)
    async_kv_list = asynchronous(_kv_list)
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any, ParamSpec, Protocol, TypeAlias, TypeVar, get_args

from transfer_queue.errors import InvalidArgumentError

__all__ = [
    "Alarm",
    "Deadline",
    "Lacking",
    "Offload",
    "Operation",
    "Subscription",
    "Wait",
    "asynchronous",
    "immediate",
    "run",
    "run_async",
    "synchronous",
    "until",
]

P = ParamSpec("P")
R = TypeVar("R")


class Deadline:
    """The point in time at which waiting ends; never where ``seconds`` is None.

    Raises:
        InvalidArgumentError: ``seconds`` is negative or no number.
    """

    __slots__ = ("_end", "seconds")

    def __init__(self, seconds: float | None) -> None:
        if seconds is not None:
            number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
            if not number or not seconds >= 0:  # NaN is not
                raise InvalidArgumentError(
                    f"timeout is {seconds!r}; give seconds, 0 or more, or None to wait on"
                )
        self.seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    @property
    def left(self) -> float | None:
        """Seconds that are left, as far as the system can count; None where it never ends."""
        if self._end is None:
            return None
        return min(max(self._end - time.monotonic(), 0.0), threading.TIMEOUT_MAX)


class Alarm:
    """Tells one sleeper that it is time to look again. Any thread may ring it, more than once."""

    __slots__ = ("_bed", "_listener", "_rung")

    def __init__(self) -> None:
        # A bare lock, held until it rings: an Event would have the woken thread take a second
        # lock, which the thread that rings may still hold.
        self._bed = threading.Lock()
        self._bed.acquire()
        self._rung = False
        self._listener: Callable[[], None] | None = None

    def ring(self) -> None:
        """Wakes the sleeper, or keeps it from falling asleep."""
        # In this order: a coroutine sets its listener first and looks for a ring then, so that
        # one of the two always notices.
        self._rung = True
        with contextlib.suppress(RuntimeError):  # it has rung before
            self._bed.release()
        if self._listener is not None:
            self._listener()

    def sleep(self, deadline: Deadline) -> bool:
        """Blocks the thread until it rings; whether it did before the deadline."""
        left = deadline.left
        return self._bed.acquire(timeout=-1 if left is None else left) or self._rung

    async def async_sleep(self, deadline: Deadline) -> bool:
        """As :meth:`sleep`, without blocking the event loop."""
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()

        def settle() -> None:
            if not woken.done():
                woken.set_result(None)

        def listen() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody sleeps any more
                loop.call_soon_threadsafe(settle)

        self._listener = listen
        if not self._rung:
            await asyncio.wait([woken], timeout=deadline.left)
        return self._rung


class Offload:
    """Something that may take long, answered with what it returns."""

    __slots__ = ("_work",)

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work

    def run(self) -> Any:
        """Does it here."""
        try:
            return self._work()
        except StopIteration as error:
            # Neither a future nor a generator can carry it; a future would wait for ever.
            raise RuntimeError(f"{self._work!r} raised StopIteration") from error

    async def run_async(self) -> Any:
        """Does it on another thread."""
        return await asyncio.to_thread(self.run)


class Wait:
    """Sleep until an alarm rings, answered with whether it did before the deadline."""

    __slots__ = ("_alarm", "_deadline")

    def __init__(self, alarm: Alarm, deadline: Deadline) -> None:
        self._alarm = alarm
        self._deadline = deadline

    def run(self) -> bool:
        """Blocks this thread meanwhile; Ctrl-C ends it."""
        return self._alarm.sleep(self._deadline)

    async def run_async(self) -> bool:
        """Leaves the event loop to others meanwhile."""
        return await self._alarm.async_sleep(self._deadline)


Operation: TypeAlias = Generator[Offload | Wait, Any, R]


class Subscription(Protocol):
    """What rings an alarm, until it is cancelled."""

    def cancel(self) -> None:
        """Rings no more."""


def run(operation: Operation[R]) -> R:
    """The result of an operation, whose steps are carried out here."""
    try:
        step = next(operation)
        while True:
            try:
                answer = step.run()
            except BaseException as error:  # noqa: BLE001 - the operation is told, and raises it
                step = operation.throw(error)
            else:
                step = operation.send(answer)
    except StopIteration as done:
        result: R = done.value
        return result


async def run_async(operation: Operation[R]) -> R:
    """As :func:`run`, without blocking the event loop."""
    try:
        step = next(operation)
        while True:
            try:
                answer = await step.run_async()
            except BaseException as error:  # noqa: BLE001 - the operation is told, and raises it
                step = operation.throw(error)
            else:
                step = operation.send(answer)
    except StopIteration as done:
        result: R = done.value
        return result


def immediate(call: Callable[[], R]) -> Operation[R]:
    """An operation of no steps."""
    yield from ()
    return call()


class Lacking:
    """What a search found that found too little.

    Attributes:
        rows: so many more rows have to be put, or changed, before searching again can pay.
    """

    __slots__ = ("rows",)

    def __init__(self, rows: int = 1) -> None:
        self.rows = max(rows, 1)


def until(
    look: Callable[[], Operation[R | Lacking]],
    subscribe: Callable[[int, Callable[[], None]], Subscription],
    deadline: Deadline,
) -> Operation[R | Lacking]:
    """What ``look`` finds, now or after something changed; what lacks where the deadline passes.

    Args:
        look: the search, repeated after every ring.
        subscribe: given a number of rows and an alarm's ``ring``, has it called once when so many
            rows were put, or something else changed.
        deadline: when to give up.
    """
    found = yield from look()
    woken = True
    while isinstance(found, Lacking) and woken:
        alarm, rows = Alarm(), found.rows
        subscription = subscribe(rows, alarm.ring)
        try:
            # What changed after the last look and before the subscription rings nobody. Where less
            # lacks now than was subscribed for, another subscription is due.
            found = yield from look()
            if isinstance(found, Lacking) and found.rows >= rows:
                woken = yield Wait(alarm, deadline)
                if woken:
                    # Mostly all is there now, and the caller waits no longer for a subscription.
                    found = yield from look()
        finally:
            subscription.cancel()
    return found


def synchronous(operation: Callable[P, Operation[R]]) -> Callable[P, R]:
    """The plain function that carries out ``operation``; named as it, without its underscore."""

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return run(operation(*args, **kwargs))

    _dress(call, operation, "")
    return call


def asynchronous(operation: Callable[P, Operation[R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """As :func:`synchronous`, a coroutine function whose name begins with ``async_``."""

    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return await run_async(operation(*args, **kwargs))

    _dress(call, operation, "async_")
    return call


def _dress(call: Any, operation: Any, prefix: str) -> None:
    """Gives ``call`` the name, signature and docstring under which users know ``operation``."""
    name = operation.__name__.removeprefix("_")
    scope, _, _ = operation.__qualname__.rpartition(operation.__name__)
    call.__name__ = prefix + name
    call.__qualname__ = scope + call.__name__
    call.__module__ = operation.__module__
    doc = operation.__doc__ or ""
    call.__doc__ = f"`{name}` as a coroutine.\n\n{doc}" if prefix else doc
    signature = inspect.signature(operation)
    returned = signature.return_annotation
    if isinstance(returned, str):
        returned = returned.removeprefix("Operation[").removesuffix("]")
    else:
        returned = get_args(returned)[2]
    call.__signature__ = signature.replace(return_annotation=returned)
    call.__wrapped__ = operation  # whose module knows the names in the annotations
    call.__annotations__ = {**operation.__annotations__, "return": returned}
