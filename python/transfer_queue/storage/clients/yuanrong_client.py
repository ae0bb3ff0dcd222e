"""The client of the openYuanrong datasystem, on `openyuanrong-datasystem`.

Objects are packed in place into shared memory of the worker on this host. Large ones are read
there, as private views that may be written to; others are copied once.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from transfer_queue import _core
from transfer_queue.errors import (
    CapacityExceededError,
    InvalidArgumentError,
    StorageKeyNotFoundError,
    UnavailableError,
)
from transfer_queue.storage.clients.base import (
    Landing,
    ObjectClient,
    ObjectRead,
    StorageClientFactory,
    WriteObject,
    plain,
    use_library,
)
from transfer_queue.utils import serial_utils
from transfer_queue.utils.yuanrong_utils import find_reachable_host

__all__ = [
    "YUANRONG_DATASYSTEM_IMPORTED",
    "GeneralKVClientAdapter",
    "NPUTensorKVClientAdapter",
    "StorageStrategy",
    "YuanrongStorageClient",
]

logger = logging.getLogger(__name__)

#: Whether the package is there; it is imported when a client is made.
YUANRONG_DATASYSTEM_IMPORTED = find_spec("yr") is not None
#: ``yr.datasystem``, once it is imported.
datasystem: Any = None

#: The most keys of one call.
_KEYS = 1000
#: By how much the memory for what is read grows.
_SEGMENT_BYTES = 256 << 20
#: The worker's program, whose memory holds the objects.
_PROGRAM = "datasystem_worker"
#: Threads that pack, at least.
_THREADS = 2


class StorageStrategy(ABC):
    """One way to store values in the datasystem."""

    @staticmethod
    @abstractmethod
    def init(config: Any) -> StorageStrategy | None:
        """The strategy, or None where it is switched off or cannot work here."""

    @abstractmethod
    def strategy_tag(self) -> str:
        """What is noted of the values it has stored."""

    @abstractmethod
    def supports_put(self, value: Any) -> bool:
        """Whether it stores such a value."""

    @abstractmethod
    def put(self, keys: list[str], values: list[Any]) -> None:
        """Stores values."""

    @abstractmethod
    def get(self, keys: list[str], shapes: list[Any], dtypes: list[Any]) -> list[Any]:
        """The values of ``keys``; None for one that is not there."""

    @abstractmethod
    def clear(self, keys: list[str]) -> None:
        """Deletes ``keys``."""


class NPUTensorKVClientAdapter(StorageStrategy):
    """Tensors of an NPU, moved by the datasystem itself. Chosen where ``torch_npu`` is there and
    ``enable_yr_npu_transport`` is set.
    """

    def __init__(self, config: Any) -> None:
        import torch_npu  # noqa: F401 - makes torch.npu

        host, port = _worker(config)
        npu: Any = torch.npu  # type: ignore[attr-defined]
        self._client = _datasystem().DsTensorClient(host, port, npu.current_device())
        self._client.init()

    @staticmethod
    def init(config: Any) -> StorageStrategy | None:
        """See :meth:`StorageStrategy.init`."""
        if not config.get("enable_yr_npu_transport", False):
            return None
        if find_spec("torch_npu") is None:
            raise InvalidArgumentError(
                "enable_yr_npu_transport needs the package torch_npu and an NPU; set it to false"
            )
        return NPUTensorKVClientAdapter(config)

    def strategy_tag(self) -> str:
        """See :meth:`StorageStrategy.strategy_tag`."""
        return "1"

    def supports_put(self, value: Any) -> bool:
        """See :meth:`StorageStrategy.supports_put`."""
        is_tensor = isinstance(value, torch.Tensor) and value.device.type == "npu"
        return is_tensor and value.is_contiguous()

    def put(self, keys: list[str], values: list[Any]) -> None:
        """See :meth:`StorageStrategy.put`."""
        for start in range(0, len(keys), _KEYS):
            chosen = keys[start : start + _KEYS]
            self._client.delete(chosen)  # it cannot overwrite
            self._client.mset_d2h(chosen, values[start : start + _KEYS])

    def get(self, keys: list[str], shapes: list[Any], dtypes: list[Any]) -> list[Any]:
        """See :meth:`StorageStrategy.get`."""
        pairs = zip(shapes, dtypes, strict=True)
        values = [torch.empty(shape, dtype=dtype, device="npu") for shape, dtype in pairs]
        for start in range(0, len(keys), _KEYS):
            chosen = slice(start, start + _KEYS)
            failed = self._client.mget_h2d(keys[chosen], values[chosen])
            if failed:
                raise StorageKeyNotFoundError(
                    f"Yuanrong has not all of these tensors: {failed[:5]}"
                )
        return values

    def clear(self, keys: list[str]) -> None:
        """See :meth:`StorageStrategy.clear`."""
        for start in range(0, len(keys), _KEYS):
            self._client.delete(keys[start : start + _KEYS])


class _Connections:
    """Connections of this process to the worker of its host.

    Requests of a thread that has a connection to itself take a third of the time, and none of them
    waits for seconds while both cores are busy, as now and then over the connection that threads
    share. A worker has 128 of them; who comes later shares.
    """

    def __init__(self, host: str, port: int, exclusive: bool) -> None:
        self._address = (host, port)
        self._exclusive: Any = None
        self._shared: Any = None
        self._connecting = threading.Lock()
        # Of each thread: whether there was no connection left for it.
        self._thread = threading.local()
        if exclusive:
            try:
                self._exclusive = self._connect(enable_exclusive_connection=True)
            except RuntimeError as error:
                _raise_unless_full(error)
        if self._exclusive is None:
            self._shared = self._connect()

    def call(self, name: str, *arguments: Any) -> Any:
        """Calls a method of ``KVClient``."""
        if self._exclusive is not None and not getattr(self._thread, "shares", False):
            try:
                return getattr(self._exclusive, name)(*arguments)
            except RuntimeError as error:
                # It says so before it sends anything.
                _raise_unless_full(error)
                self._thread.shares = True
        with self._connecting:
            if self._shared is None:
                self._shared = self._connect()
        return getattr(self._shared, name)(*arguments)

    def _connect(self, **options: Any) -> Any:
        client = _datasystem().KVClient(*self._address, **options)
        client.init()
        return client


def _raise_unless_full(error: RuntimeError) -> None:
    """Raises ``error`` unless it says that no connection is left for a thread alone."""
    if "too many exclusive connections" not in str(error):
        raise error
    logger.debug("the Yuanrong worker has no connection left for this thread alone")


class GeneralKVClientAdapter(StorageStrategy):
    """Any value as one packed buffer, in memory of the worker on this host."""

    def __init__(self, config: Any) -> None:
        host, port = _worker(config)
        self._connections = _Connections(
            host, port, bool(config.get("exclusive_connections", True))
        )
        self._workers = max(int(config.get("ds_max_workers", 1) or 1), 1)

    @staticmethod
    def init(config: Any) -> StorageStrategy | None:
        """See :meth:`StorageStrategy.init`."""
        return GeneralKVClientAdapter(config)

    def strategy_tag(self) -> str:
        """See :meth:`StorageStrategy.strategy_tag`."""
        return "2"

    def supports_put(self, value: Any) -> bool:  # noqa: ARG002 - it stores whatever there is
        """See :meth:`StorageStrategy.supports_put`."""
        return True

    def put(self, keys: list[str], values: list[Any]) -> None:
        """See :meth:`StorageStrategy.put`."""
        for start in range(0, len(keys), _KEYS):
            chosen = keys[start : start + _KEYS]
            packed = [plain(value) for value in values[start : start + _KEYS]]
            buffers: list[Any] = []

            def allocate(
                sizes: list[int], chosen: list[str] = chosen, buffers: list[Any] = buffers
            ) -> list[Any]:
                buffers += self.create(chosen, sizes)
                return [_writable(buffer) for buffer in buffers]

            serial_utils.batch_encode_into(
                packed, allocate, num_workers=self._workers, checksum=True
            )
            self.publish(chosen, buffers)

    def get(self, keys: list[str], shapes: list[Any], dtypes: list[Any]) -> list[Any]:  # noqa: ARG002
        """See :meth:`StorageStrategy.get`. Tensors are copies, which may be written to."""
        values: list[Any] = []
        for start in range(0, len(keys), _KEYS):
            for buffer in self.buffers(keys[start : start + _KEYS]):
                if buffer is None:
                    values.append(None)
                    continue
                own = bytearray(memoryview(buffer))
                values += serial_utils.batch_decode_from([own])
        return values

    def clear(self, keys: list[str]) -> None:
        """See :meth:`StorageStrategy.clear`."""
        self.delete(keys)

    def create(self, keys: list[str], sizes: list[int]) -> list[Any]:
        """Buffers to be written and published.

        Raises:
            CapacityExceededError: the worker's memory has no room.
            UnavailableError: the worker does not answer.
        """
        try:
            created: list[Any] = self._connections.call("mcreate", keys, sizes)
        except RuntimeError as error:
            raise _failure(error, f"{len(keys)} keys were not created: {keys[:5]}") from error
        return created

    def publish(self, keys: list[str], buffers: list[Any]) -> None:
        """Makes written buffers readable.

        Raises:
            UnavailableError: not all are.
        """
        try:
            self._connections.call("mset_buffer", buffers)
        except RuntimeError as error:
            raise _failure(error, f"{len(keys)} keys were not stored: {keys[:5]}") from error

    def buffers(self, keys: list[str]) -> list[Any]:
        """Read-only buffers over the memory of ``keys``; None for one that is not there."""
        try:
            found: list[Any] = self._connections.call("get_buffers", keys)
        except RuntimeError as error:
            if "not found" in str(error).lower():
                return [None] * len(keys)
            raise _failure(error, f"{len(keys)} keys were not read: {keys[:5]}") from error
        return found

    def delete(self, keys: list[str]) -> list[str]:
        """Deletes ``keys``; those that could not be."""
        failed: list[str] = []
        for start in range(0, len(keys), _KEYS):
            failed += self._connections.call("delete", keys[start : start + _KEYS])
        return failed


@StorageClientFactory.register("YuanrongStorageClient")
class YuanrongStorageClient(ObjectClient):
    """Stores values and objects in the openYuanrong datasystem.

    Args:
        config: the ``Yuanrong`` section of the configuration.

    Raises:
        ImportError: the package is not installed.
        ValueError: ``worker_port`` is no integer, or no worker listens there on this host.
    """

    writes_in_place = True

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        use_library("Yuanrong")
        _datasystem()
        port = config.get("worker_port", None)
        if not isinstance(port, int) or isinstance(port, bool):
            raise InvalidArgumentError(f"worker_port is {port!r}; it must be an integer")
        general = GeneralKVClientAdapter.init(config)
        assert isinstance(general, GeneralKVClientAdapter)
        self._general = general
        npu = NPUTensorKVClientAdapter.init(config)
        self._strategies: list[StorageStrategy] = [general] if npu is None else [npu, general]
        self.region = _core.Region(segment_bytes=_SEGMENT_BYTES)
        if config.get("zero_copy_get", True):
            self.mapped = _core.MappedFiles(_PROGRAM)
        threads = max(int(config.get("ds_max_workers", 1) or 1), _THREADS)
        self._workers = ThreadPoolExecutor(threads, "tq-yuanrong")

    # --- objects ---

    def write_objects(self, keys: list[str], sizes: list[int], write: WriteObject) -> None:
        """See :meth:`ObjectClient.write_objects`: packed in place.

        Raises:
            CapacityExceededError: the worker's memory has no room.
            UnavailableError: the worker does not answer.
        """
        for start in range(0, len(keys), _KEYS):
            chosen = keys[start : start + _KEYS]
            buffers = self._general.create(chosen, sizes[start : start + _KEYS])

            def fill(number: int, buffers: list[Any] = buffers, start: int = start) -> None:
                write(start + number, _writable(buffers[number]))

            self._each(fill, len(buffers))
            self._general.publish(chosen, buffers)

    def read_objects(self, reads: Sequence[ObjectRead], landing: Landing) -> None:
        """See :meth:`ObjectClient.read_objects`: at most one copy out of the worker's memory.

        Raises:
            StorageKeyNotFoundError: an object is not there.
            UnavailableError: the worker does not answer.
        """
        keys = list(dict.fromkeys(read.key for read in reads))
        held: dict[str, Any] = {}
        for start in range(0, len(keys), _KEYS):
            chosen = keys[start : start + _KEYS]
            held.update(zip(chosen, self._general.buffers(chosen), strict=True))
        missing = [key for key, buffer in held.items() if buffer is None]
        if missing:
            raise StorageKeyNotFoundError(
                f"{len(missing)} of {len(keys)} objects are not in Yuanrong: {missing[:5]}"
            )
        landing.take([(number, held[read.key]) for number, read in enumerate(reads)])

    def clear_objects(self, keys: list[str]) -> list[str]:
        """See :meth:`ObjectClient.clear_objects`."""
        return self._general.delete(keys)

    # --- values ---

    def put(self, keys: list[str], values: list[Any]) -> list[Any]:
        """Stores each value in the first way that can.

        Returns:
            For each key the tag of that way, which :meth:`get` and :meth:`clear` need.

        Raises:
            ValueError: no lists, or of different lengths; or nobody can store a value.
        """
        if not isinstance(keys, list) or not isinstance(values, list) or len(keys) != len(values):
            raise InvalidArgumentError("put needs a list of keys and a list of as many values")
        tags = [self._way_of(value).strategy_tag() for value in values]
        for strategy, numbers in self._by_tag(tags):
            strategy.put([keys[one] for one in numbers], [values[one] for one in numbers])
        return list(tags)

    def get(
        self,
        keys: list[str],
        shapes: list[Any] | None = None,
        dtypes: list[Any] | None = None,
        custom_backend_meta: list[Any] | None = None,
    ) -> list[Any]:
        """The values of ``keys``; None, with a warning, for one that is not there.

        Raises:
            ValueError: lists are missing or of different lengths, or a tag is.
        """
        if shapes is None or dtypes is None or custom_backend_meta is None:
            raise InvalidArgumentError("get needs shapes, dtypes and custom_backend_meta")
        lengths = {len(keys), len(shapes), len(dtypes), len(custom_backend_meta)}
        if len(lengths) > 1:
            raise InvalidArgumentError(f"get was given lists of different lengths: {lengths}")
        if not all(custom_backend_meta):
            raise InvalidArgumentError("no backend metadata for some keys: they were never put")
        values: list[Any] = [None] * len(keys)
        for strategy, numbers in self._by_tag(custom_backend_meta):
            found = strategy.get(
                [keys[one] for one in numbers],
                [shapes[one] for one in numbers],
                [dtypes[one] for one in numbers],
            )
            for one, value in zip(numbers, found, strict=True):
                values[one] = value
        missing = [key for key, value in zip(keys, values, strict=True) if value is None]
        if missing:
            logger.warning("%d of %d keys are not there: %s", len(missing), len(keys), missing[:5])
        return values

    def clear(self, keys: list[str], custom_backend_meta: list[Any] | None = None) -> None:
        """Deletes ``keys``; those without a tag were never put.

        Raises:
            ValueError: no lists, or of different lengths.
        """
        if not isinstance(keys, list) or not isinstance(custom_backend_meta, list):
            raise InvalidArgumentError("clear needs lists of keys and of custom_backend_meta")
        if len(keys) != len(custom_backend_meta):
            raise InvalidArgumentError("clear was given lists of different lengths")
        known = {strategy.strategy_tag() for strategy in self._strategies}
        unknown = {tag for tag in custom_backend_meta if tag and tag not in known}
        if unknown:
            logger.warning("nobody here can delete values of the tags %s", unknown)
        chosen = [tag if tag in known else "" for tag in custom_backend_meta]
        for strategy, numbers in self._by_tag(chosen):
            strategy.clear([keys[one] for one in numbers])

    def close(self) -> None:
        """Ends the threads; the connection goes with the client."""
        self._workers.shutdown(wait=True, cancel_futures=True)

    def _way_of(self, value: Any) -> StorageStrategy:
        for strategy in self._strategies:
            if strategy.supports_put(value):
                return strategy
        raise InvalidArgumentError(f"No storage backend can handle value of {type(value).__name__}")

    def _by_tag(self, tags: Sequence[Any]) -> Iterator[tuple[StorageStrategy, list[int]]]:
        numbers: dict[Any, list[int]] = {}
        for number, tag in enumerate(tags):
            if tag:
                numbers.setdefault(tag, []).append(number)
        known = {strategy.strategy_tag(): strategy for strategy in self._strategies}
        for tag, chosen in numbers.items():
            if tag not in known:
                raise InvalidArgumentError(
                    f"Cannot retrieve stored data of the unknown tag {tag!r}; it was stored in a "
                    "way that is not there in this process"
                )
            yield known[tag], chosen

    def _each(self, work: Callable[[int], None], count: int) -> None:
        if count == 1:
            work(0)
            return
        for done in [self._workers.submit(work, number) for number in range(count)]:
            done.result()


def _datasystem() -> Any:
    global datasystem
    if datasystem is None:
        try:
            from yr import datasystem as imported
        except ImportError as error:
            raise ImportError(
                f"Yuanrong needs the package openyuanrong-datasystem: {error}"
            ) from error
        datasystem = imported
    return datasystem


def _worker(config: Any) -> tuple[str, int]:
    """Where the worker of this host listens."""
    port = config.get("worker_port")
    host = find_reachable_host(port)
    if host is None:
        raise InvalidArgumentError(
            f"no Yuanrong worker listens on port {port} of this host; start one with dscli, or set "
            "auto_init"
        )
    return host, port


def _writable(buffer: Any) -> Any:
    return np.frombuffer(buffer.MutableData(), np.uint8)


def _failure(error: RuntimeError, what: str) -> Exception:
    text = str(error)
    if "out of memory" in text.lower():
        return CapacityExceededError(
            f"Yuanrong: {what}: no room; clear samples or raise --shared_memory_size_mb ({text})"
        )
    return UnavailableError(f"Yuanrong: {what}; see whether its worker runs ({text})")
