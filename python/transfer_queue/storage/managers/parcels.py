"""Batches as few large objects.

A put packs its columns into objects of a parcel and publishes where they lie; a get reads the
blocks its rows lie in, checks them, and delivers views; what is cleared or overwritten leaves
parcels that nobody needs, whose objects are deleted.
"""

from __future__ import annotations

import logging
import os
import threading
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias, TypeVar

from tensordict import TensorDict

from transfer_queue import _columns, _core
from transfer_queue._engine import Engine, allow_pickle, assemble
from transfer_queue._metas import rows_by_partition
from transfer_queue.errors import (
    CorruptBufferError,
    StorageKeyNotFoundError,
)
from transfer_queue.metadata import BatchMeta
from transfer_queue.metadata.rows import take
from transfer_queue.storage.clients.base import Landing, ObjectClient, ObjectRead

__all__ = ["Parcels"]

T = TypeVar("T")
#: Merged tags, and the fields that all samples of a put now have.
_Published: TypeAlias = tuple[list[dict[str, Any]], list[str]]

logger = logging.getLogger(__name__)

#: A clear or an overwrite may come between finding rows and reading them; then they are found anew.
_ATTEMPTS = 4
#: Bytes that did not arrive as they were put are read so many times more.
_REREADS = 2
#: So many parcels are deleted at a time.
_DROPPED = 256
_CORES = len(os.sched_getaffinity(0))
#: The most threads that check what came and make values of it.
_THREADS = max(1, min(_CORES, 4))
#: The same while more is on its way: receiving it and asking for its end take two cores, and more
#: threads than cores do less together.
_THREADS_MEANWHILE = max(1, min(_CORES - 2, 4))


class Parcels:
    """Puts and gets of one engine through one client of objects. Any thread may use it.

    Args:
        engine: what keeps the places.
        client: where the objects are.
    """

    def __init__(self, engine: Engine, client: ObjectClient) -> None:
        self._engine = engine
        self._client = client
        # Of this engine alone, so that two of them may share a backend.
        self._prefix = f"tq-{engine.info.id.rpartition('_')[2]}-{uuid.uuid4().hex[:12]}"
        self._number = 0
        # Of puts that failed while the backend could not be reached.
        self._undeleted: list[str] = []
        self._lock = threading.Lock()

    def put_keys(
        self,
        partition_id: str,
        keys: list[str],
        columns: list[_columns.Column],
        tags: list[dict[str, Any]] | None,
    ) -> _Published:
        """Puts columns under keys; the merged tags, and the fields that all samples now have."""

        def publish(packed: _core.PackedPut, parcels: list[str]) -> _Published:
            return packed.publish(self._engine.core, partition_id, keys, None, parcels)

        return self._put(columns, len(keys), tags, publish)

    def put_indexes(
        self,
        partition_id: str,
        indexes: list[int],
        columns: list[_columns.Column],
        tags: list[dict[str, Any]] | None,
    ) -> None:
        """Puts columns for samples that exist."""

        def publish(packed: _core.PackedPut, parcels: list[str]) -> Any:
            return packed.publish(self._engine.core, partition_id, None, indexes, parcels)

        self._put(columns, len(indexes), tags, publish)

    def put_samples(
        self, data: Any, metadata: BatchMeta, tags: list[dict[str, Any]] | None
    ) -> None:
        """Puts a batch for the samples of ``metadata``, partition by partition."""
        parts = rows_by_partition(metadata)
        for partition_id, rows in parts.items():
            whole = len(parts) == 1
            columns = _columns.describe(data if whole else data[rows])
            indexes = metadata.global_indexes if whole else take(metadata.global_indexes, rows)
            own = tags if whole or tags is None else take(tags, rows)
            self.put_indexes(partition_id, indexes, columns, own)

    def _put(
        self,
        columns: list[_columns.Column],
        rows: int,
        tags: list[dict[str, Any]] | None,
        publish: Callable[[_core.PackedPut, list[str]], T],
    ) -> T:
        packed = _core.PackedPut(columns, rows, tags, allow_pickle())
        parcels = [self._key() for _ in range(packed.parcels)]
        objects = packed.objects
        keys = [f"{parcels[parcel]}:{number}" for parcel, number, _ in objects]
        try:
            if keys:
                sizes = [size for _, _, size in objects]
                write = partial(packed.write, streamed=self._client.writes_in_place)
                self._client.write_objects(keys, sizes, write)
            published = publish(packed, parcels)
        except BaseException:
            left = self._delete(keys)
            with self._lock:
                self._undeleted += left
            raise
        self.delete_dropped()
        return published

    def _key(self) -> str:
        with self._lock:
            self._number += 1
            return f"{self._prefix}-{self._number}"

    def get_keys(
        self, partition_id: str, keys: list[str], select: list[str] | None
    ) -> tuple[TensorDict, list[str]]:
        """The batch of the keys that exist, and those that do not."""

        def plan() -> _core.StoredGet:
            return self._engine.core.plan_stored(partition_id, keys, select, allow_pickle())

        planned, columns = self._get(plan)
        return assemble(planned, columns), planned.missing

    def get_samples(self, metadata: BatchMeta) -> TensorDict:
        """The fields and samples that ``metadata`` names."""
        fields = metadata.field_names

        def plan() -> _core.StoredGet:
            return self._engine.core.plan_stored_indexes(
                metadata.partition_ids, metadata.global_indexes, fields, allow_pickle()
            )

        planned, columns = self._get(plan)
        return assemble(planned, columns)

    def _get(
        self, plan: Callable[[], _core.StoredGet]
    ) -> tuple[_core.StoredGet, list[_columns.Column]]:
        for attempt in range(1, _ATTEMPTS + 1):
            planned = plan()
            try:
                self._fetch(planned)
            except StorageKeyNotFoundError:
                if attempt == _ATTEMPTS:
                    raise
                logger.debug("an object went while it was read; its rows are found anew")
                continue
            return planned, planned.run()
        raise AssertionError("unreachable")

    def _fetch(self, planned: _core.StoredGet) -> None:
        reads = [ObjectRead(*read) for read in planned.fetches]
        planned.use_means(self._client.region, self._client.mapped)
        left = list(range(len(reads)))
        for attempt in range(_REREADS + 1):
            wrong = self._read(planned, reads, left) if left else []
            if not wrong:
                return
            left = sorted(wrong)
            logger.warning(
                "%d of %d reads brought other bytes than were put (attempt %d): %s",
                len(left),
                len(reads),
                attempt + 1,
                [reads[one].key for one in left[:5]],
            )
        raise CorruptBufferError(
            f"{len(left)} of {len(reads)} reads did not bring the bytes that were put, "
            f"{_REREADS + 1} times: {[reads[one].key for one in left[:5]]}; the backend has lost "
            "or changed them, put the samples again"
        )

    def _read(
        self, planned: _core.StoredGet, reads: list[ObjectRead], numbers: list[int]
    ) -> list[int]:
        """Carries out reads, by number; those that did not bring the bytes that were put."""
        wrong: list[int] = []
        coming = len(numbers)

        def arrived(done: list[int]) -> None:
            nonlocal coming
            # Only a hint: two threads at once may both have seen too many.
            coming -= len(done)
            threads = _THREADS if coming <= 0 else _THREADS_MEANWHILE
            wrong.extend(planned.arrived([numbers[one] for one in done], threads))

        def take(buffers: list[tuple[int, Any]]) -> None:
            chosen = [(numbers[one], buffer) for one, buffer in buffers]
            wrong.extend(planned.take(chosen, _THREADS))

        chosen = reads if len(numbers) == len(reads) else [reads[one] for one in numbers]
        self._client.read_objects(chosen, Landing(planned.lend, arrived, take))
        return wrong

    def delete_dropped(self) -> None:
        """Deletes the objects of parcels that nobody needs; what cannot be deleted now is kept
        for the next time.
        """
        core = self._engine.core
        if self._undeleted:
            with self._lock:
                left, self._undeleted = self._undeleted, []
            left = self._delete(left)
            with self._lock:
                self._undeleted += left
        while True:
            dropped = core.take_dropped(_DROPPED)
            if not len(dropped):
                return
            if self._delete(dropped.keys()):
                core.return_dropped(dropped)
                return

    def _delete(self, keys: list[str]) -> list[str]:
        """Deletes objects; those that are still there."""
        if not keys:
            return []
        try:
            left = self._client.clear_objects(keys)
        except Exception:
            # A clear succeeds, whatever becomes of the bytes.
            logger.warning("%d objects could not be deleted now", len(keys), exc_info=True)
            return keys
        if left:
            logger.warning("%d of %d objects could not be deleted now", len(left), len(keys))
        return left
