"""Put, get, list and clear by key."""

from __future__ import annotations

import logging
from typing import Any

from tensordict import TensorDict, TensorDictBase

from transfer_queue import _columns
from transfer_queue._columns import DataParser
from transfer_queue._engine import allow_pickle, assemble, carry_out
from transfer_queue._kv.arguments import (
    Fields,
    Tag,
    checked_keys,
    columns_of_batch,
    columns_of_sample,
    field_list,
    meta_selection,
)
from transfer_queue._kv.process import engine, process
from transfer_queue._metas import kv_batch_meta
from transfer_queue._operations import Operation, asynchronous, synchronous
from transfer_queue.errors import InvalidArgumentError
from transfer_queue.metadata import KVBatchMeta

logger = logging.getLogger(__name__)


def _kv_put(
    key: str,
    partition_id: str,
    fields: Fields | None = None,
    tag: Tag | None = None,
    data_parser: DataParser | None = None,
) -> Operation[KVBatchMeta]:
    """Puts fields and tag of one sample; creates the key, or extends and overwrites it.

    Args:
        key: name of the sample in its partition.
        partition_id: the partition; created where missing.
        fields: a dict of values (a tensor of shape ``[L]`` is stored as one row of that shape, any
            other value as it is), or a TensorDict of batch size ``[1]``.
        tag: small metadata, merged name by name into the sample's tag.
        data_parser: called with ``{field: column}`` before the data is stored.

    Returns:
        The key, its merged tag, and all fields the sample now has.

    Raises:
        ValueError: neither fields nor tag, a nested tensor, or a TensorDict of more than one row.
        CapacityExceededError: the sample does not fit; nothing was stored.
    """
    if fields is None and tag is None:
        raise InvalidArgumentError("kv_put needs at least one parameter of fields and tag")
    columns = columns_of_sample(fields, data_parser)
    return _store([key], partition_id, columns, None if tag is None else [tag])


def _kv_batch_put(
    keys: list[str],
    partition_id: str,
    fields: TensorDictBase | None = None,
    tags: list[Tag] | None = None,
    data_parser: DataParser | None = None,
) -> Operation[KVBatchMeta]:
    """Puts a batch: row ``i`` of every column belongs to ``keys[i]``.

    All of it becomes visible at once.

    Args:
        keys: names of the samples, each once.
        partition_id: the partition; created where missing.
        fields: TensorDict of batch size ``[len(keys), ...]``.
        tags: one dict per key, merged name by name.
        data_parser: called with ``{field: column}`` before the data is stored.

    Returns:
        The keys, their merged tags, and the fields that all of them now have.

    Raises:
        ValueError: neither fields nor tags, an empty list or repeated keys, lengths that differ.
        TypeError: ``keys`` is not a list of strings.
        CapacityExceededError: the batch does not fit; nothing was stored.
    """
    if fields is None and tags is None:
        raise InvalidArgumentError("kv_batch_put needs at least one parameter of fields and tags")
    checked = _batch_keys(keys)
    if tags is not None and len(tags) != len(checked):
        raise InvalidArgumentError(
            f"the {len(tags)} tags do not match the {len(checked)} keys; give one per key"
        )
    columns = columns_of_batch(fields, checked, data_parser)
    return _store(checked, partition_id, columns, None if tags is None else list(tags))


def _batch_keys(keys: Any) -> list[str]:
    if isinstance(keys, str):  # one key would have to be a batch of one row
        raise TypeError(f"keys must be a list of strings, not the string {keys!r}; use kv_put")
    return checked_keys(keys)


def _store(
    keys: list[str],
    partition_id: str,
    columns: list[_columns.Column],
    tags: list[dict[str, Any]] | None,
) -> Operation[KVBatchMeta]:
    client = process()
    store = client.engine
    store.before_creation(partition_id)
    if client.payload is not None:
        merged, fields = yield from client.payload.put(partition_id, keys, columns, tags)
        return kv_batch_meta(list(keys), partition_id, merged, fields)
    planned = store.core.plan_put(partition_id, keys, columns, tags, allow_pickle())
    merged, fields = yield from carry_out(planned)
    return kv_batch_meta(list(keys), partition_id, merged, fields)


def _kv_batch_get(
    keys: list[str] | str,
    partition_id: str,
    select_fields: list[str] | str | None = None,
) -> Operation[TensorDict]:
    """Reads samples by key.

    Args:
        keys: names in any order, also repeatedly; unknown ones are left out with a warning.
        partition_id: the partition.
        select_fields: the fields wanted; names that not all samples have are left out. All fields
            that all samples have, where None.

    Returns:
        TensorDict whose row ``i`` is the ``i``-th key found. Scalar rows come as a dense tensor
        ``[B]``, other tensor rows as a jagged nested tensor, anything else as a NonTensorStack.
        Tensors are writable and independent of what is stored. Of batch size 0 where none of
        ``select_fields`` is there.

    Raises:
        ValueError: no key was found, or the samples found have no field in common yet.
    """
    return _read(checked_keys(keys), partition_id, field_list(select_fields))


def _kv_batch_get_by_meta(
    meta: KVBatchMeta, select_fields: list[str] | str | None = None
) -> Operation[TensorDict]:
    """Reads the samples and fields that a KVBatchMeta names.

    Raises:
        ValueError: ``meta`` has no partition, or ``select_fields`` names what is not in
            ``meta.fields``; else as :func:`kv_batch_get`.
    """
    return _kv_batch_get(*meta_selection(meta, select_fields))


def _read(
    keys: list[str], partition_id: str, select_fields: list[str] | None
) -> Operation[TensorDict]:
    client = process()
    if client.payload is not None:
        batch, missing = yield from client.payload.get(partition_id, keys, select_fields)
        _warn_of(missing, keys, partition_id)
        return batch
    planned = client.engine.core.plan_get(partition_id, keys, select_fields, allow_pickle())
    _warn_of(planned.missing, keys, partition_id)
    return assemble(planned, (yield from carry_out(planned)))


def _warn_of(missing: list[str], keys: list[str], partition_id: str) -> None:
    if missing:
        logger.warning(
            "%d of %d keys are not in partition %r and left out: %s",
            len(missing),
            len(keys),
            partition_id,
            missing[:5],
        )


def _kv_list(partition_id: str | None = None) -> Operation[dict[str, dict[str, Tag]]]:
    """Keys and tags: ``{partition: {key: tag}}``, keys in the order of their creation.

    All partitions where ``partition_id`` is None; ``{}`` for an unknown one.
    """
    yield from ()
    return engine().list_samples(partition_id)


def _kv_clear(keys: list[str] | str, partition_id: str) -> Operation[None]:
    """Clears samples by key; unknown ones are ignored. The partition stays.

    Raises:
        ValueError: an empty list.
    """
    client = process()
    checked = checked_keys(keys)
    if client.payload is not None:
        yield from client.payload.clear_keys(partition_id, checked)
    else:
        client.engine.core.clear(partition_id, checked)


kv_put, async_kv_put = synchronous(_kv_put), asynchronous(_kv_put)
kv_batch_put, async_kv_batch_put = synchronous(_kv_batch_put), asynchronous(_kv_batch_put)
kv_batch_get, async_kv_batch_get = synchronous(_kv_batch_get), asynchronous(_kv_batch_get)
kv_batch_get_by_meta = synchronous(_kv_batch_get_by_meta)
async_kv_batch_get_by_meta = asynchronous(_kv_batch_get_by_meta)
kv_list, async_kv_list = synchronous(_kv_list), asynchronous(_kv_list)
kv_clear, async_kv_clear = synchronous(_kv_clear), asynchronous(_kv_clear)
