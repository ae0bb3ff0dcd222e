"""The process-level API: start, stop, and samples by key."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig
from tensordict import TensorDict, TensorDictBase

from transfer_queue import _settings
from transfer_queue._columns import DataParser
from transfer_queue._embedded import EmbeddedEngine, columns_of_batch, columns_of_sample
from transfer_queue.client import TransferQueueClient
from transfer_queue.errors import InvalidArgumentError
from transfer_queue.metadata import KVBatchMeta

__all__ = [
    "async_kv_batch_get",
    "async_kv_batch_get_by_meta",
    "async_kv_batch_put",
    "async_kv_clear",
    "async_kv_list",
    "async_kv_put",
    "close",
    "get_client",
    "init",
    "kv_batch_get",
    "kv_batch_get_by_meta",
    "kv_batch_put",
    "kv_clear",
    "kv_list",
    "kv_put",
]

logger = logging.getLogger(__name__)

Fields = TensorDictBase | Mapping[str, Any]
Tag = dict[str, Any]

_TQ_CLIENT: TransferQueueClient | None = None
_lock = threading.Lock()


def _renew_lock() -> None:
    # Another thread of the parent may have held it at the fork, and nobody here will release it.
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


def init(conf: DictConfig | Mapping[str, Any] | None = None) -> DictConfig | Any:
    """Starts the engine of this process, or does nothing where it runs already.

    Args:
        conf: what differs from the packaged ``config.yaml``.

    Returns:
        The merged configuration; ``conf`` itself where the engine ran already.

    Raises:
        UnsupportedValueError: the storage backend is not available in this version.
        InvalidArgumentError: a setting is out of range.
        SystemResourceError: the operating system refuses shared memory.
    """
    global _TQ_CLIENT
    with _lock:
        if _TQ_CLIENT is not None and not _TQ_CLIENT.forked:
            return conf
        merged = _settings.merge(conf)
        _TQ_CLIENT = TransferQueueClient(EmbeddedEngine(**_settings.engine_settings(merged)))
        return merged


def close() -> None:
    """Ends the engine of this process and forgets what it holds; does nothing where none runs. What
    was read before stays valid.
    """
    global _TQ_CLIENT
    with _lock:
        client, _TQ_CLIENT = _TQ_CLIENT, None
    if client is not None:
        client.close()


def get_client() -> TransferQueueClient:
    """The client of this process.

    Raises:
        AssertionError: :func:`init` has not been called.
    """
    if _TQ_CLIENT is None:
        raise AssertionError("Please initialize the TransferQueue first by calling tq.init()")
    return _TQ_CLIENT


def _engine() -> EmbeddedEngine:
    client = _TQ_CLIENT
    if client is None:
        raise AssertionError(
            "TransferQueueController has not been initialized yet. Please call init() first."
        )
    return client.engine


def kv_put(
    key: str,
    partition_id: str,
    fields: Fields | None = None,
    tag: Tag | None = None,
    data_parser: DataParser | None = None,
) -> KVBatchMeta:
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
    return _engine().put(*_one_sample(key, partition_id, fields, tag, data_parser))


async def async_kv_put(
    key: str,
    partition_id: str,
    fields: Fields | None = None,
    tag: Tag | None = None,
    data_parser: DataParser | None = None,
) -> KVBatchMeta:
    """:func:`kv_put` as a coroutine."""
    return await _engine().async_put(*_one_sample(key, partition_id, fields, tag, data_parser))


def kv_batch_put(
    keys: list[str],
    partition_id: str,
    fields: TensorDictBase | None = None,
    tags: list[Tag] | None = None,
    data_parser: DataParser | None = None,
) -> KVBatchMeta:
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
    return _engine().put(*_batch(keys, partition_id, fields, tags, data_parser))


async def async_kv_batch_put(
    keys: list[str],
    partition_id: str,
    fields: TensorDictBase | None = None,
    tags: list[Tag] | None = None,
    data_parser: DataParser | None = None,
) -> KVBatchMeta:
    """:func:`kv_batch_put` as a coroutine."""
    return await _engine().async_put(*_batch(keys, partition_id, fields, tags, data_parser))


def kv_batch_get(
    keys: list[str] | str,
    partition_id: str,
    select_fields: list[str] | str | None = None,
) -> TensorDict:
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
    return _engine().get(*_selection(keys, partition_id, select_fields))


async def async_kv_batch_get(
    keys: list[str] | str,
    partition_id: str,
    select_fields: list[str] | str | None = None,
) -> TensorDict:
    """:func:`kv_batch_get` as a coroutine."""
    return await _engine().async_get(*_selection(keys, partition_id, select_fields))


def kv_batch_get_by_meta(
    meta: KVBatchMeta, select_fields: list[str] | str | None = None
) -> TensorDict:
    """Reads the samples and fields that a KVBatchMeta names.

    Raises:
        ValueError: ``meta`` has no partition, or ``select_fields`` names what is not in
            ``meta.fields``; else as :func:`kv_batch_get`.
    """
    return kv_batch_get(*_meta_selection(meta, select_fields))


async def async_kv_batch_get_by_meta(
    meta: KVBatchMeta, select_fields: list[str] | str | None = None
) -> TensorDict:
    """:func:`kv_batch_get_by_meta` as a coroutine."""
    return await async_kv_batch_get(*_meta_selection(meta, select_fields))


def kv_list(partition_id: str | None = None) -> dict[str, dict[str, Tag]]:
    """Keys and tags: ``{partition: {key: tag}}``, keys in the order of their creation.

    All partitions where ``partition_id`` is None; ``{}`` for an unknown one.
    """
    return _engine().list_samples(partition_id)


async def async_kv_list(partition_id: str | None = None) -> dict[str, dict[str, Tag]]:
    """:func:`kv_list` as a coroutine."""
    return _engine().list_samples(partition_id)


def kv_clear(keys: list[str] | str, partition_id: str) -> None:
    """Clears samples by key; unknown ones are ignored. The partition stays.

    Raises:
        ValueError: an empty list.
    """
    _engine().clear(_checked_keys(keys), partition_id)


async def async_kv_clear(keys: list[str] | str, partition_id: str) -> None:
    """:func:`kv_clear` as a coroutine."""
    kv_clear(keys, partition_id)


Put = tuple[list[str], str, list[Any], list[Tag] | None]
Selection = tuple[list[str], str, list[str] | None]


def _one_sample(
    key: str,
    partition_id: str,
    fields: Fields | None,
    tag: Tag | None,
    data_parser: DataParser | None,
) -> Put:
    if fields is None and tag is None:
        raise InvalidArgumentError("kv_put needs at least one parameter of fields and tag")
    columns = columns_of_sample(fields, data_parser)
    return _checked_keys([key]), partition_id, columns, None if tag is None else [tag]


def _batch(
    keys: Any,
    partition_id: str,
    fields: TensorDictBase | None,
    tags: list[Tag] | None,
    data_parser: DataParser | None,
) -> Put:
    if fields is None and tags is None:
        raise InvalidArgumentError("kv_batch_put needs at least one parameter of fields and tags")
    if isinstance(keys, str):  # a caller without type checks
        raise TypeError(f"keys must be a list of strings, not the string {keys!r}; use kv_put")
    checked = _checked_keys(keys)
    if tags is not None and len(tags) != len(checked):
        raise InvalidArgumentError(
            f"the {len(tags)} tags do not match the {len(checked)} keys; give one per key"
        )
    columns = columns_of_batch(fields, checked, data_parser)
    return checked, partition_id, columns, None if tags is None else list(tags)


def _checked_keys(keys: list[str] | str) -> list[str]:
    if isinstance(keys, str):
        return [keys]
    if not isinstance(keys, list):
        raise TypeError(f"keys must be a list of strings, not a {type(keys).__name__}")
    if not keys:
        raise InvalidArgumentError("Received an empty list as keys.")
    return keys


def _selection(
    keys: list[str] | str, partition_id: str, select_fields: list[str] | str | None
) -> Selection:
    fields = [select_fields] if isinstance(select_fields, str) else select_fields
    return _checked_keys(keys), partition_id, None if fields is None else list(fields)


def _meta_selection(meta: KVBatchMeta, select_fields: list[str] | str | None) -> Selection:
    if meta.partition_id is None:
        raise InvalidArgumentError("the KVBatchMeta names no partition; set meta.partition_id")
    if select_fields is None:
        return meta.keys, meta.partition_id, meta.fields
    wanted = [select_fields] if isinstance(select_fields, str) else list(select_fields)
    unknown = [name for name in wanted if name not in (meta.fields or [])]
    if unknown:
        raise InvalidArgumentError(
            f"select_fields {unknown} not found in the fields of the KVBatchMeta: {meta.fields}"
        )
    return meta.keys, meta.partition_id, wanted
