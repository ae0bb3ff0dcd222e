"""Checks of the KV API's arguments, all of them before anything is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from tensordict import TensorDictBase

from transfer_queue import _columns
from transfer_queue.errors import InvalidArgumentError
from transfer_queue.metadata import KVBatchMeta

__all__ = [
    "Fields",
    "Selection",
    "Tag",
    "checked_keys",
    "columns_of_batch",
    "columns_of_sample",
    "field_list",
    "meta_selection",
]

Fields: TypeAlias = TensorDictBase | Mapping[str, Any]
Tag: TypeAlias = dict[str, Any]
#: Keys, partition, and the fields wanted.
Selection: TypeAlias = tuple[list[str], str, list[str] | None]


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
    fields: Fields | None, data_parser: _columns.DataParser | None
) -> list[_columns.Column]:
    """The columns of one sample.

    Raises:
        InvalidArgumentError: ``fields`` is neither a dict nor a TensorDict of one row.
    """
    if fields is None:
        return []
    if isinstance(fields, dict):
        columns = _columns.describe_one(fields)
    elif isinstance(fields, TensorDictBase):
        if not fields.batch_size or fields.batch_size[0] != 1:
            raise InvalidArgumentError(
                f"batch size mismatch: kv_put takes one sample, fields has batch size "
                f"{list(fields.batch_size)}; use kv_batch_put for more"
            )
        columns = _columns.describe(fields)
    else:
        raise InvalidArgumentError(
            f"`fields` can only be dict or TensorDict, not {type(fields).__name__}"
        )
    return columns if data_parser is None else _columns.parse(data_parser, columns)


def checked_keys(keys: list[str] | str) -> list[str]:
    """Keys as a list; a single key stands for itself. What the list holds, the engine checks.

    Raises:
        TypeError: no list.
        InvalidArgumentError: an empty list.
    """
    if isinstance(keys, str):
        return [keys]
    if not isinstance(keys, list):
        raise TypeError(f"keys must be a list of strings, not a {type(keys).__name__}")
    if not keys:
        raise InvalidArgumentError("Received an empty list as keys.")
    return keys


def field_list(fields: list[str] | str | None) -> list[str] | None:
    """Field names as a list; a single name stands for itself."""
    if fields is None:
        return None
    return [fields] if isinstance(fields, str) else list(fields)


def meta_selection(meta: KVBatchMeta, select_fields: list[str] | str | None) -> Selection:
    """What a KVBatchMeta selects.

    Raises:
        InvalidArgumentError: it names no partition, or not all of ``select_fields``.
    """
    if meta.partition_id is None:
        raise InvalidArgumentError("the KVBatchMeta names no partition; set meta.partition_id")
    wanted = field_list(select_fields)
    if wanted is None:
        return meta.keys, meta.partition_id, meta.fields
    unknown = [name for name in wanted if name not in (meta.fields or [])]
    if unknown:
        raise InvalidArgumentError(
            f"select_fields {unknown} not found in the fields of the KVBatchMeta: {meta.fields}"
        )
    return meta.keys, meta.partition_id, wanted
