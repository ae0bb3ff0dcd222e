"""Where payload goes that does not lie in the engine: through a storage manager.

`ParcelPayload` puts and gets a batch in one step each; `ManagedPayload` takes whatever a manager
written by a user can do, by way of metadata.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from tensordict import TensorDict

from transfer_queue import _columns
from transfer_queue._engine import Engine, allow_pickle
from transfer_queue._metas import batch_meta, rows_by_partition
from transfer_queue._operations import Offload, Operation
from transfer_queue.errors import NotReadyError, StorageKeyNotFoundError
from transfer_queue.metadata import BatchMeta
from transfer_queue.metadata.rows import peek_rows, store_rows

if TYPE_CHECKING:
    from transfer_queue.storage.managers.base import StorageManager
    from transfer_queue.storage.managers.parcels import Parcels

__all__ = ["Payload", "payload_of"]

logger = logging.getLogger(__name__)

Column = _columns.Column
Tags = list[dict[str, Any]] | None


class Payload(Protocol):
    """Puts, gets and clears of samples whose payload lies in a backend.

    Attributes:
        is_evictable: whether the engine may clear samples on its own account.
    """

    is_evictable: bool

    def put(
        self, partition_id: str, keys: list[str], columns: list[Column], tags: Tags
    ) -> Operation[tuple[list[dict[str, Any]], list[str]]]:
        """Puts columns under keys; the merged tags and the fields that all samples now have."""

    def get(
        self, partition_id: str, keys: list[str], select: list[str] | None
    ) -> Operation[tuple[TensorDict, list[str]]]:
        """The batch of the keys that exist, and the keys that do not."""

    def put_samples(self, data: TensorDict, metadata: BatchMeta) -> Operation[None]:
        """Puts rows for the samples of ``metadata``, with its custom meta."""

    def get_samples(self, metadata: BatchMeta) -> Operation[TensorDict]:
        """The fields and samples that ``metadata`` names."""

    def clear_keys(self, partition_id: str, keys: list[str]) -> Operation[None]:
        """Clears samples by key; unknown ones are ignored."""

    def clear_samples(self, partition_id: str, indexes: list[int]) -> Operation[None]:
        """Clears samples by global index; unknown ones are ignored."""

    def clear_partition(self, partition_id: str) -> Operation[int | None]:
        """Clears a partition; how many samples it had, None where there is none."""

    def evicted(self) -> Operation[None]:
        """To be called after the engine has cleared samples on its own account."""


def payload_of(engine: Engine, manager: StorageManager) -> Payload:
    """What moves payload through ``manager``."""
    parcels: Parcels | None = getattr(manager, "parcels", None)
    return ManagedPayload(engine, manager) if parcels is None else ParcelPayload(engine, parcels)


class ParcelPayload:
    """Batches as few objects; see ``storage/managers/parcels.py``."""

    is_evictable = True

    def __init__(self, engine: Engine, parcels: Parcels) -> None:
        self._engine = engine
        self._parcels = parcels

    def put(
        self, partition_id: str, keys: list[str], columns: list[Column], tags: Tags
    ) -> Operation[tuple[list[dict[str, Any]], list[str]]]:
        """See :class:`Payload`."""
        put = self._parcels.put_keys
        stored: tuple[list[dict[str, Any]], list[str]]
        stored = yield Offload(partial(put, partition_id, keys, columns, tags))
        return stored

    def get(
        self, partition_id: str, keys: list[str], select: list[str] | None
    ) -> Operation[tuple[TensorDict, list[str]]]:
        """See :class:`Payload`."""
        found: tuple[TensorDict, list[str]]
        found = yield Offload(partial(self._parcels.get_keys, partition_id, keys, select))
        return found

    def put_samples(self, data: TensorDict, metadata: BatchMeta) -> Operation[None]:
        """See :class:`Payload`."""
        tags = peek_rows(metadata, "custom_meta")
        yield Offload(partial(self._parcels.put_samples, data, metadata, tags))

    def get_samples(self, metadata: BatchMeta) -> Operation[TensorDict]:
        """See :class:`Payload`."""
        found: TensorDict = yield Offload(partial(self._parcels.get_samples, metadata))
        return found

    def clear_keys(self, partition_id: str, keys: list[str]) -> Operation[None]:
        """See :class:`Payload`."""
        self._engine.core.clear(partition_id, keys)
        yield from self.evicted()

    def clear_samples(self, partition_id: str, indexes: list[int]) -> Operation[None]:
        """See :class:`Payload`."""
        self._engine.core.clear_indexes(partition_id, indexes)
        yield from self.evicted()

    def clear_partition(self, partition_id: str) -> Operation[int | None]:
        """See :class:`Payload`."""
        cleared = self._engine.clear_partition(partition_id)
        yield from self.evicted()
        return cleared

    def evicted(self) -> Operation[None]:
        """See :class:`Payload`."""
        yield Offload(self._parcels.delete_dropped)


class ManagedPayload:
    """Whatever a manager does, asked by metadata. A put of new keys creates them first, and takes
    them back where it fails.
    """

    is_evictable = False

    def __init__(self, engine: Engine, manager: StorageManager) -> None:
        self._engine = engine
        self._manager = manager

    def put(
        self, partition_id: str, keys: list[str], columns: list[Column], tags: Tags
    ) -> Operation[tuple[list[dict[str, Any]], list[str]]]:
        """See :class:`Payload`."""
        core = self._engine.core
        _, new = core.meta_of_keys(partition_id, keys, False, allow_pickle())
        created, _ = core.meta_of_keys(partition_id, keys, True, allow_pickle())
        if created is None:
            raise AssertionError("keys that were created are not there")
        metadata = batch_meta(created)
        try:
            if columns:
                # Only what is put now is told to the manager; tags are merged by the engine.
                store_rows(metadata, "custom_meta", tags)
                yield from self.put_samples(_columns.as_batch(columns, len(keys)), metadata)
        except BaseException:
            if new:
                core.clear(partition_id, new)
            raise
        if tags is not None and not columns:
            core.set_tags(partition_id, metadata.global_indexes, tags, False, allow_pickle())
        found, _ = core.meta_of_keys(partition_id, keys, False, allow_pickle())
        if found is None:
            raise StorageKeyNotFoundError(f"the {len(keys)} keys were cleared while they were put")
        after = batch_meta(found)
        return after.custom_meta, after.field_names

    def get(
        self, partition_id: str, keys: list[str], select: list[str] | None
    ) -> Operation[tuple[TensorDict, list[str]]]:
        """See :class:`Payload`."""
        found, missing = self._engine.core.meta_of_keys(partition_id, keys, False, allow_pickle())
        if found is None:
            raise StorageKeyNotFoundError("keys or partition were not found!")
        metadata = batch_meta(found)
        if not metadata.field_names:
            raise NotReadyError(
                f"the {metadata.size} samples asked for are not ready: they have no field in common"
            )
        if select is not None:
            metadata = metadata.select_fields(select)
        if not metadata.field_names:
            return TensorDict({}, batch_size=0), missing
        return (yield from self.get_samples(metadata)), missing

    def put_samples(self, data: TensorDict, metadata: BatchMeta) -> Operation[None]:
        """See :class:`Payload`."""
        yield Offload(lambda: self._manager.run(self._manager.put_data(data, metadata)))

    def get_samples(self, metadata: BatchMeta) -> Operation[TensorDict]:
        """See :class:`Payload`."""
        found: TensorDict
        found = yield Offload(lambda: self._manager.run(self._manager.get_data(metadata)))
        return found

    def clear_keys(self, partition_id: str, keys: list[str]) -> Operation[None]:
        """See :class:`Payload`."""
        found, _ = self._engine.core.meta_of_keys(partition_id, keys, False, allow_pickle())
        if found is not None:
            yield from self.clear_samples(partition_id, batch_meta(found).global_indexes)

    def clear_samples(self, partition_id: str, indexes: list[int]) -> Operation[None]:
        """See :class:`Payload`."""
        # Before the engine forgets them: what the backend noted is needed to delete them.
        stored = self._stored(partition_id, indexes)
        self._engine.core.clear_indexes(partition_id, indexes)
        yield from self._delete(stored)

    def clear_partition(self, partition_id: str) -> Operation[int | None]:
        """See :class:`Payload`."""
        stored = self._stored(partition_id, None)
        cleared = self._engine.clear_partition(partition_id)
        yield from self._delete(stored)
        return cleared

    def evicted(self) -> Operation[None]:
        """See :class:`Payload`."""
        yield from ()

    def _stored(self, partition_id: str, indexes: Sequence[int] | None) -> BatchMeta | None:
        """All fields of samples; None where there is nothing to delete."""
        try:
            everything = self._engine.core.force_fetch(partition_id, None, allow_pickle())
        except StorageKeyNotFoundError:
            return None
        metadata = batch_meta(everything)
        if indexes is not None:
            chosen = np.isin(np.array(metadata.global_indexes), np.array(list(indexes)))
            metadata = metadata.select_samples(chosen.nonzero()[0].tolist())
        return metadata if metadata and metadata.field_names else None

    def _delete(self, metadata: BatchMeta | None) -> Operation[None]:
        if metadata is None:
            return
        parts = rows_by_partition(metadata)
        for rows in parts.values():
            own = metadata if len(parts) == 1 else metadata.select_samples(rows)
            try:
                yield Offload(partial(self._clear_data, own))
            except Exception:
                # A clear succeeds, whatever becomes of the bytes.
                logger.warning("%d samples could not be deleted", own.size, exc_info=True)

    def _clear_data(self, metadata: BatchMeta) -> None:
        self._manager.run(self._manager.clear_data(metadata))
