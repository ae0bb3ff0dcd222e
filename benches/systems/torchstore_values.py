"""torchstore on Monarch: a tensor per sample and field; what is no tensor pickled, as bytes.

It has no call for a batch, so a batch is a call per value, some of them at once. It has no fields
either: a sample's are those of its keys. A client works in every process that has Monarch, as fast
as in one that Monarch started, so the driver's client, pickled, is what a worker joins with.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import tempfile
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote

import torch
from tensordict import TensorDict

from systems.base import Batch, System, column_of, columns_of, plain, tensors

__all__ = ["TorchstoreValues"]

#: Calls under way at once for one batch. More are no faster, and with thousands Monarch takes the
#: store's processes for lost and ends the driver.
_AT_ONCE = 16
_START_SECONDS = 120.0
#: Beyond this many seconds the calls of one batch hang.
_CALL_SECONDS = 300.0
_STOP_SECONDS = 15.0

T = TypeVar("T")


class Loop:
    """The event loop of a process, in a thread of its own; all other threads may hand it work."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def run(self, work: Coroutine[Any, Any, T], seconds: float = _CALL_SECONDS) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except TimeoutError:
            if not future.cancel():
                raise
            raise TimeoutError(f"torchstore did not answer within {seconds:.0f} s") from None


async def each(call: Callable[..., Awaitable[T]], arguments: Sequence[tuple[Any, ...]]) -> list[T]:
    """What the call gives for each of the arguments, in their order."""
    found: dict[int, T] = {}
    numbered = iter(enumerate(arguments))

    async def take() -> None:
        for number, own in numbered:
            found[number] = await call(*own)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(_AT_ONCE, len(arguments))):
                group.create_task(take())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [found[number] for number in range(len(arguments))]


class TorchstoreStore:
    """Values under ``partition.key.field``; the point is what torchstore looks for prefixes by."""

    def __init__(self, client: Any, loop: Loop) -> None:
        self._client, self._loop = client, loop

    def put(
        self, partition: str, keys: list[str], batch: TensorDict, tags: list[dict[str, Any]] | None
    ) -> None:
        del tags
        values = [
            (name, value)
            for field, column in columns_of(batch).items()
            for name, value in zip(names(partition, keys, [field]), column, strict=True)
        ]
        self._loop.run(each(self._put, values))

    async def _put(self, name: str, value: Any) -> None:
        if not isinstance(value, torch.Tensor):
            # An array by itself fails in Monarch's pickling, and a dict of tensors takes longer.
            value = pickle.dumps(plain(value), protocol=5)
        elif value.untyped_storage().nbytes() > value.nbytes:
            # Sending a row of a tensor would send the whole tensor.
            value = value.clone()
        await self._client.put(name, value)

    def get(self, partition: str, keys: list[str], fields: list[str] | None = None) -> Batch:
        if fields is None:
            fields = self._fields(partition, keys[0])
        wanted = [(name,) for name in names(partition, keys, fields)]
        found = iter(self._loop.run(each(self._client.get, wanted)))
        return {field: column_of([unpacked(next(found)) for _ in keys]) for field in fields}

    def list(self, partition: str) -> list[str]:
        found = self._loop.run(self._client.keys(escaped(partition)))
        return list(dict.fromkeys(unquote(name.split(".")[1]) for name in found))

    def clear(self, partition: str, keys: list[str]) -> None:
        fields = self._fields(partition, keys[0])
        cleared = [(name,) for name in names(partition, keys, fields)]
        self._loop.run(each(self._client.delete, cleared))

    def _fields(self, partition: str, key: str) -> list[str]:
        """The fields of one sample, which the others of a call have, too."""
        found = self._loop.run(self._client.keys(f"{escaped(partition)}.{escaped(key)}"))
        return [unquote(name.split(".")[2]) for name in found]


def names(partition: str, keys: Sequence[str], fields: Sequence[str]) -> list[str]:
    """What the values of these samples are called, field by field."""
    starts = [f"{escaped(partition)}.{escaped(key)}" for key in keys]
    return [f"{start}.{escaped(field)}" for field in fields for start in starts]


def escaped(text: str) -> str:
    """The text without points."""
    return text.replace("%", "%25").replace(".", "%2E")


def unpacked(value: Any) -> Any:
    return tensors(pickle.loads(value)) if isinstance(value, bytes) else value  # noqa: S301


class TorchstoreValues(System):
    """Monarch on this host, and one storage volume in a process of its own, as is the default."""

    def start(self) -> TorchstoreStore:
        use_own_folder()
        import torchstore

        async def client() -> Any:
            await torchstore.initialize()
            return await torchstore.client()

        self._loop = Loop()
        found = self._loop.run(client(), _START_SECONDS)
        self.joining = {"client": pickle.dumps(found)}
        return TorchstoreStore(found, self._loop)

    def join(self, joining: Mapping[str, Any]) -> TorchstoreStore:
        use_own_folder()
        from monarch.actor import context

        async def client() -> Any:
            # A handle needs the process's own end of Monarch.
            context()
            return pickle.loads(joining["client"])  # noqa: S301

        loop = Loop()
        return TorchstoreStore(loop.run(client(), _START_SECONDS), loop)

    def stop(self) -> None:
        import torchstore
        from monarch.actor import this_host

        async def end() -> None:
            await torchstore.shutdown()
            await this_host().shutdown()

        # Where Monarch no longer answers, its processes end with the session.
        with contextlib.suppress(Exception):
            self._loop.run(end(), _STOP_SECONDS)


def use_own_folder() -> None:
    """Has the processes that Monarch starts leave their files where the session removes them."""
    os.environ["TMPDIR"] = os.environ.get("XDG_RUNTIME_DIR", tempfile.gettempdir())
