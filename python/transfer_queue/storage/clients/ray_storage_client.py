"""The client of Ray's object store.

Objects and packed values are NumPy arrays of bytes, which Ray shares within a host without a copy.
An actor holds their references. Ray's objects end with the process that put them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from transfer_queue import _core
from transfer_queue.errors import (
    CapacityExceededError,
    StorageKeyNotFoundError,
    TransferQueueError,
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

__all__ = ["RayObjectRefStorage", "RayStorageClient"]

logger = logging.getLogger(__name__)

_ACTOR, _NAMESPACE = "RayObjectRefStorage", "transfer_queue"
#: Seconds that the actor, or an object, may take to answer.
_ANSWER_SECONDS = 60.0
#: By how much the memory for what is read grows.
_SEGMENT_BYTES = 256 << 20
_THREADS = 2


class RayObjectRefStorage:
    """The references of what is stored; run as an actor."""

    def __init__(self) -> None:
        self._references: dict[str, Any] = {}

    def put(self, keys: list[str], references: list[Any]) -> None:
        """Keeps references; each comes in a list of one, or Ray would resolve it."""
        for key, reference in zip(keys, references, strict=True):
            self._references[key] = reference

    def get(self, keys: list[str]) -> list[Any]:
        """The references of ``keys``; None for one that is not there."""
        return [self._references.get(key) for key in keys]

    def clear(self, keys: list[str]) -> None:
        """Forgets ``keys``; Ray frees the objects."""
        for key in keys:
            self._references.pop(key, None)

    def count(self) -> int:
        """How many references are kept."""
        return len(self._references)


@StorageClientFactory.register("RayStorageClient")
class RayStorageClient(ObjectClient):
    """Stores values and objects in Ray's object store.

    Raises:
        ImportError: Ray is not installed.
        RuntimeError: it is not initialised in this process.
    """

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        use_library("Ray")
        ray: Any
        try:
            import ray
        except ImportError as error:
            raise ImportError(f"RayStore needs the package ray: {error}") from error
        if not ray.is_initialized():
            raise TransferQueueError("RayStore needs Ray: call ray.init() before tq.init()")
        self._ray: Any = ray
        actor = ray.remote(max_concurrency=8, num_cpus=0)(RayObjectRefStorage)
        self._actor: Any = actor.options(
            name=_ACTOR, namespace=_NAMESPACE, get_if_exists=True, lifetime="detached"
        ).remote()
        self.region = _core.Region(segment_bytes=_SEGMENT_BYTES)
        self._workers = ThreadPoolExecutor(_THREADS, "tq-ray")

    # --- objects ---

    def write_objects(self, keys: list[str], sizes: list[int], write: WriteObject) -> None:
        """See :meth:`ObjectClient.write_objects`."""

        def put(number: int) -> Any:
            loan = self.region.loan(sizes[number])
            write(number, loan.buffer)
            return self._put(np.frombuffer(loan.buffer, np.uint8)[: sizes[number]])

        numbers = range(len(keys))
        held = [put(0)] if len(keys) == 1 else list(self._workers.map(put, numbers))
        self._keep(keys, held)

    def read_objects(self, reads: Sequence[ObjectRead], landing: Landing) -> None:
        """See :meth:`ObjectClient.read_objects`."""
        keys = list(dict.fromkeys(read.key for read in reads))
        held = dict(zip(keys, self._find(keys), strict=True))
        landing.take([(number, held[read.key]) for number, read in enumerate(reads)])

    def clear_objects(self, keys: list[str]) -> list[str]:
        """See :meth:`ObjectClient.clear_objects`."""
        self._ask(self._actor.clear.remote(keys))
        return []

    # --- values ---

    def put(self, keys: list[str], values: list[Any]) -> None:
        """Stores each value as one packed buffer."""
        packed = [plain(value) for value in values]
        buffers, _ = serial_utils.batch_encode_into(
            packed, lambda sizes: [np.empty(size, np.uint8) for size in sizes]
        )
        self._keep(keys, [self._put(buffer) for buffer in buffers])

    def get(
        self,
        keys: list[str],
        shapes: list[Any] | None = None,  # noqa: ARG002
        dtypes: list[Any] | None = None,  # noqa: ARG002
        custom_backend_meta: list[Any] | None = None,  # noqa: ARG002
    ) -> list[Any]:
        """The values of ``keys``; tensors are copies, which may be written to.

        Raises:
            StorageKeyNotFoundError: a key is not there.
        """
        return serial_utils.batch_decode_from([found.copy() for found in self._find(keys)])

    def clear(self, keys: list[str], custom_backend_meta: list[Any] | None = None) -> None:  # noqa: ARG002
        """Deletes ``keys``."""
        self.clear_objects(keys)

    def close(self) -> None:
        """Ends the threads; the actor goes on for the others, until Ray ends."""
        self._workers.shutdown(wait=True, cancel_futures=True)

    def _put(self, array: Any) -> Any:
        try:
            return self._ray.put(array)
        except self._ray.exceptions.ObjectStoreFullError as error:
            raise CapacityExceededError(
                f"Ray's object store has no room for {array.nbytes} bytes; clear samples or raise "
                "object_store_memory"
            ) from error

    def _keep(self, keys: list[str], references: list[Any]) -> None:
        self._ask(self._actor.put.remote(keys, [[one] for one in references]))

    def _find(self, keys: list[str]) -> list[Any]:
        found = self._ask(self._actor.get.remote(keys))
        missing = [key for key, held in zip(keys, found, strict=True) if held is None]
        if missing:
            raise StorageKeyNotFoundError(
                f"{len(missing)} of {len(keys)} keys are not in Ray's object store: {missing[:5]}"
            )
        return list(self._ask([held[0] for held in found]))

    def _ask(self, references: Any) -> Any:
        try:
            return self._ray.get(references, timeout=_ANSWER_SECONDS)
        except self._ray.exceptions.ObjectLostError as error:
            raise StorageKeyNotFoundError(f"an object was lost with its owner: {error}") from error
        except self._ray.exceptions.RayError as error:
            raise UnavailableError(f"Ray's object store does not answer: {error}") from error
