"""Put, get and clear by `BatchMeta`."""

from __future__ import annotations

import logging
from typing import Any

from tensordict import TensorDict, TensorDictBase

from transfer_queue import _columns
from transfer_queue import metadata as _metadata
from transfer_queue._client.base import ClientBase, checked_metadata
from transfer_queue._client.fetching import insert
from transfer_queue._engine import Engine, allow_pickle, assemble, carry_out
from transfer_queue._metas import rows_by_partition
from transfer_queue._operations import Operation
from transfer_queue.errors import InvalidArgumentError
from transfer_queue.metadata import BatchMeta
from transfer_queue.metadata.rows import peek_rows, take

__all__ = ["SampleOperations"]

logger = logging.getLogger(__name__)


class SampleOperations(ClientBase):
    """Payload and custom meta of samples that a `BatchMeta` names."""

    def _put(
        self,
        data: TensorDict,
        metadata: BatchMeta | None = None,
        partition_id: str | None = None,
        data_parser: _columns.DataParser | None = None,
    ) -> Operation[BatchMeta]:
        """Puts fields of samples; all rows become visible at once.

        Args:
            data: batch size ``[B, ...]``.
            metadata: the B samples that row by row are written, of any partitions; its custom meta
                and backend meta are merged into theirs, name by name. None to add B samples to
                ``partition_id``.
            partition_id: ignored where ``metadata`` is given.
            data_parser: called with ``{field: column}`` before the data is stored.

        Returns:
            ``metadata`` itself, or that of the new samples: with the fields added, all produced.

        Raises:
            InvalidArgumentError: neither metadata nor partition, no rows, or other rows than
                samples; nothing was stored.
            StorageKeyNotFoundError: a sample was cleared; nothing was stored.
            CapacityExceededError: the batch does not fit; nothing was stored.
        """
        engine = self._storage()
        if not isinstance(data, TensorDictBase):
            raise TypeError(f"data must be a TensorDict, not a {type(data).__name__}")
        if metadata is None and partition_id is None:
            raise InvalidArgumentError("partition_id must be provided if metadata is not given")
        rows = int(data.batch_size[0]) if data.batch_size else 0
        if rows == 0 if metadata is None else not checked_metadata(metadata):
            raise InvalidArgumentError(
                "metadata cannot be none or empty: there is no sample to write; give data of one "
                "row or more and, where given, metadata of as many samples"
            )
        if metadata is not None and rows != metadata.size:
            raise InvalidArgumentError(
                f"batch size mismatch: the {rows} rows of data do not match the {metadata.size} "
                "samples of metadata; give one row per sample"
            )
        # Looked up in the package each time: users replace it there by assignment.
        schema = _metadata.extract_field_schema(data)
        columns = _columns.describe(data)
        if data_parser is not None:
            columns = _columns.parse(data_parser, columns)
        written = metadata
        if written is None:
            assert partition_id is not None
            written = insert(engine, partition_id, list(schema), rows)
        try:
            if self.payload is not None:
                if data_parser is not None:
                    data = _columns.as_batch(columns, rows)
                yield from self.payload.put_samples(data, written)
                return _with_fields(written, schema)
            planned = engine.core.plan_put_indexes(
                written.partition_ids,
                written.global_indexes,
                columns,
                peek_rows(written, "custom_meta"),
                allow_pickle(),
            )
            yield from carry_out(planned)
        except BaseException:
            if metadata is None and partition_id is not None:
                engine.core.clear_indexes(partition_id, written.global_indexes)
            raise
        _keep_backend_meta(engine, written)
        return _with_fields(written, schema)

    def _get_data(self, metadata: BatchMeta) -> Operation[TensorDict]:
        """Reads the fields that ``metadata`` names of the samples it names.

        Returns:
            TensorDict whose row ``i`` is ``metadata.global_indexes[i]``. Scalar rows come as a
            dense tensor ``[B]``, other tensor rows as a jagged nested tensor, anything else as a
            NonTensorStack. Tensors are writable and independent of what is stored. Of batch size 0
            where ``metadata`` names no sample or no field.

        Raises:
            StorageKeyNotFoundError: a sample was cleared.
            NotReadyError: a sample lacks a field.
        """
        engine = self._storage()
        fields = checked_metadata(metadata).field_names
        if not metadata or not fields:
            logger.warning("get_data: metadata names no %s; nothing is read", _lacking(metadata))
            return TensorDict({}, batch_size=0)
        if self.payload is not None:
            return (yield from self.payload.get_samples(metadata))
        planned = engine.core.plan_get_indexes(metadata.global_indexes, fields, allow_pickle())
        return assemble(planned, (yield from carry_out(planned)))

    def _set_custom_meta(self, metadata: BatchMeta) -> Operation[None]:
        """Replaces the stored custom meta of each sample by that of ``metadata``.

        Samples that do not exist any more are ignored.
        """
        yield from ()
        tags: list[dict[str, Any]] = checked_metadata(metadata).custom_meta
        for partition_id, rows in rows_by_partition(metadata).items():
            indexes = take(metadata.global_indexes, rows)
            self.engine.core.set_tags(partition_id, indexes, take(tags, rows), True, allow_pickle())

    def _clear_samples(self, metadata: BatchMeta) -> Operation[None]:
        """Clears samples with all that is stored of them; those gone already are ignored."""
        yield from ()
        engine = self._storage()
        if not checked_metadata(metadata):
            logger.warning("clear_samples: metadata names no samples; nothing is cleared")
        for partition_id, rows in rows_by_partition(metadata).items():
            indexes = take(metadata.global_indexes, rows)
            if self.payload is not None:
                yield from self.payload.clear_samples(partition_id, indexes)
            else:
                engine.core.clear_indexes(partition_id, indexes)

    def _clear_partition(self, partition_id: str) -> Operation[None]:
        """Clears a partition with all its samples; an unknown one is ignored."""
        engine = self._storage()
        if self.payload is not None:
            cleared = yield from self.payload.clear_partition(partition_id)
        else:
            cleared = engine.clear_partition(partition_id)
        if cleared is None:
            logger.warning("clear_partition: there is no partition %r", partition_id)


def _with_fields(metadata: BatchMeta, schema: dict[str, Any]) -> BatchMeta:
    """The same object, with fields that its samples have now."""
    metadata.field_schema.update(schema)
    metadata.production_status[:] = 1
    metadata._refresh()
    return metadata


def _keep_backend_meta(engine: Engine, metadata: BatchMeta) -> None:
    """Stores what a backend left in ``metadata``, for those who get the samples later."""
    backend_meta = peek_rows(metadata, "_custom_backend_meta")
    if backend_meta is None or not any(backend_meta):
        return
    for partition_id, rows in rows_by_partition(metadata).items():
        engine.core.set_receipts(
            partition_id,
            take(metadata.global_indexes, rows),
            take(backend_meta, rows),
            allow_pickle(),
        )


def _lacking(metadata: BatchMeta) -> str:
    return "fields" if metadata else "samples"
