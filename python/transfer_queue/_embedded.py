"""The embedded engine behind the KV API: one call in, one call out, in this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from tensordict import TensorDict, TensorDictBase

from transfer_queue import _columns, _core
from transfer_queue.errors import InvalidArgumentError
from transfer_queue.metadata import KVBatchMeta
from transfer_queue.utils import serial_utils

__all__ = ["EmbeddedEngine"]

logger = logging.getLogger(__name__)

#: Calls that move less than this run where they are; larger ones leave the event loop.
_INLINE_BYTES = 1 << 20


class EmbeddedEngine:
    """Puts, gets, lists and clears samples by key. Any number of threads and event loops may share
    one; a copy of payload never holds the interpreter lock.
    """

    def __init__(self, **settings: int | None) -> None:
        self._core = _core.Engine(**settings)

    def put(
        self,
        keys: list[str],
        partition_id: str,
        columns: Sequence[_columns.Column],
        tags: list[dict[str, Any]] | None,
    ) -> KVBatchMeta:
        """Puts columns and tags under ``keys``."""
        planned = self._plan_put(keys, partition_id, columns, tags)
        return _batch_meta(keys, partition_id, *planned.run())

    async def async_put(
        self,
        keys: list[str],
        partition_id: str,
        columns: Sequence[_columns.Column],
        tags: list[dict[str, Any]] | None,
    ) -> KVBatchMeta:
        """As :meth:`put`; large copies do not block the event loop."""
        planned = self._plan_put(keys, partition_id, columns, tags)
        if planned.bytes < _INLINE_BYTES:
            return _batch_meta(keys, partition_id, *planned.run())
        return _batch_meta(keys, partition_id, *await asyncio.to_thread(planned.run))

    def get(
        self, keys: list[str], partition_id: str, select_fields: list[str] | None
    ) -> TensorDict:
        """Reads the rows of ``keys``."""
        planned = self._plan_get(keys, partition_id, select_fields)
        return _assemble(planned, planned.run())

    async def async_get(
        self, keys: list[str], partition_id: str, select_fields: list[str] | None
    ) -> TensorDict:
        """As :meth:`get`; large copies do not block the event loop."""
        planned = self._plan_get(keys, partition_id, select_fields)
        if planned.bytes < _INLINE_BYTES:
            return _assemble(planned, planned.run())
        return _assemble(planned, await asyncio.to_thread(planned.run))

    def list_samples(self, partition_id: str | None) -> dict[str, dict[str, dict[str, Any]]]:
        """Keys and tags of one partition or of all."""
        return self._core.list_samples(partition_id, serial_utils._pickle_setting(None))

    def clear(self, keys: list[str], partition_id: str) -> int:
        """Clears samples; returns how many there were."""
        return self._core.clear(partition_id, keys)

    def clear_partition(self, partition_id: str) -> int | None:
        """Clears a partition; returns how many samples it had, None where there is none."""
        return self._core.clear_partition(partition_id)

    def partitions(self) -> list[str]:
        """Names of all partitions, oldest first."""
        return self._core.partitions()

    def usage(self) -> dict[str, int]:
        """Samples and bytes by state; see ``docs/embedded.md``."""
        return self._core.usage()

    def check(self) -> None:
        """Raises where this process may not use the engine."""
        self._core.check()

    def close(self) -> None:
        """Refuses every later call. What was read stays valid."""
        self._core.close()

    def _plan_put(
        self,
        keys: list[str],
        partition_id: str,
        columns: Sequence[_columns.Column],
        tags: list[dict[str, Any]] | None,
    ) -> _core.PlannedPut:
        setting = serial_utils._pickle_setting(None)
        return self._core.plan_put(partition_id, keys, list(columns), tags, setting)

    def _plan_get(
        self, keys: list[str], partition_id: str, select_fields: list[str] | None
    ) -> _core.PlannedGet:
        setting = serial_utils._pickle_setting(None)
        planned = self._core.plan_get(partition_id, keys, select_fields, setting)
        missing = planned.missing
        if missing:
            logger.warning(
                "%d of %d keys are not in partition %r and left out: %s",
                len(missing),
                len(keys),
                partition_id,
                missing[:5],
            )
        return planned


def _assemble(planned: _core.PlannedGet, columns: list[_columns.Column]) -> TensorDict:
    # Of nothing that was selected, nothing is read: an empty batch.
    return _columns.assemble(columns, planned.rows) if columns else TensorDict({}, batch_size=0)


def _batch_meta(
    keys: list[str], partition_id: str, tags: list[dict[str, Any]], fields: list[str]
) -> KVBatchMeta:
    # The tags are fresh and the keys were checked; the constructor would copy and check them again.
    meta = KVBatchMeta.__new__(KVBatchMeta)
    meta.keys = list(keys)
    meta.tags = tags
    meta.partition_id = partition_id
    meta.fields = fields
    meta.extra_info = {}
    meta._size = len(keys)
    return meta


def columns_of_batch(
    fields: TensorDictBase | None, keys: list[str], data_parser: _columns.DataParser | None
) -> list[_columns.Column]:
    """The columns of a batch for ``keys``.

    Raises:
        InvalidArgumentError: the batch has another number of rows than there are keys.
    """
    if fields is None:
        return []
    if not fields.batch_size or fields.batch_size[0] != len(keys):
        raise InvalidArgumentError(
            f"the batch size {list(fields.batch_size)} of fields does not match the "
            f"{len(keys)} keys"
        )
    columns = _columns.describe(fields)
    return columns if data_parser is None else _columns.parse(data_parser, columns)


def columns_of_sample(
    fields: TensorDictBase | Mapping[str, Any] | None, data_parser: _columns.DataParser | None
) -> list[_columns.Column]:
    """The columns of one sample.

    Raises:
        InvalidArgumentError: ``fields`` is neither a dict nor a TensorDict of one row.
    """
    if fields is None:
        return []
    if isinstance(fields, TensorDictBase):
        if not fields.batch_size or fields.batch_size[0] != 1:
            raise InvalidArgumentError(
                f"batch size mismatch: kv_put takes one sample, fields has batch size "
                f"{list(fields.batch_size)}; use kv_batch_put for more"
            )
        columns = _columns.describe(fields)
    elif isinstance(fields, dict):
        columns = _columns.describe_one(fields)
    else:
        raise InvalidArgumentError(
            f"`fields` can only be dict or TensorDict, not {type(fields).__name__}"
        )
    return columns if data_parser is None else _columns.parse(data_parser, columns)
