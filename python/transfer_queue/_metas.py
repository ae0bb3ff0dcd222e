"""Metadata objects made of what the engine answers, without checking or copying it again."""

from __future__ import annotations

from typing import Any

import numpy as np

from transfer_queue import _core
from transfer_queue.metadata import BatchMeta, KVBatchMeta
from transfer_queue.metadata.rows import drop_if_empty
from transfer_queue.metadata.state import Parts

__all__ = ["batch_meta", "kv_batch_meta", "rows_by_partition"]


def batch_meta(meta: _core._Meta) -> BatchMeta:
    """A BatchMeta of the engine's answer, which is not used again."""
    indexes, partition, schema, produced, tags, backend_meta = meta
    return BatchMeta._from_parts(
        Parts(
            indexes,
            [partition] * len(indexes),
            schema,
            np.frombuffer(bytearray(produced), dtype=np.int8),
            {},
            drop_if_empty(tags),
            backend_meta,
        ),
        # Looked for by NumPy, this takes a thread that was just woken a third of its time.
        is_ready=bool(indexes) and b"\0" not in produced,
    )


def kv_batch_meta(
    keys: list[str], partition_id: str, tags: list[dict[str, Any]], fields: list[str]
) -> KVBatchMeta:
    """A KVBatchMeta of lists that belong to it from now on; ``keys`` are distinct."""
    meta = KVBatchMeta.__new__(KVBatchMeta)
    meta.keys = keys
    meta.tags = tags
    meta.partition_id = partition_id
    meta.fields = fields
    meta.extra_info = {}
    meta._size = len(keys)
    return meta


def rows_by_partition(metadata: BatchMeta) -> dict[str, list[int]]:
    """The rows of each partition, partitions in order of first appearance."""
    rows: dict[str, list[int]] = {}
    for row, partition_id in enumerate(metadata.partition_ids):
        rows.setdefault(partition_id, []).append(row)
    return rows
