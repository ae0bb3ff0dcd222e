"""What `union` and `concat` do to schemas and to extra_info."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from transfer_queue.metadata.rows import deep_copy_value
from transfer_queue.metadata.schema import PER_SAMPLE_SHAPES, Entry, Schema, entry_shapes

logger = logging.getLogger(__name__)


def merge_extra_info(infos: Sequence[dict[str, Any]], owner: str) -> dict[str, Any]:
    """Union of the keys of several extra_info dicts; values are shared, not copied.

    Args:
        infos: one dict per chunk, in chunk order.
        owner: class named in messages.

    Raises:
        ValueError: two chunks hold different values for one key.

    """
    merged: dict[str, Any] = {}
    first_chunk: dict[str, int] = {}
    for number, info in enumerate(infos):
        for key, value in info.items():
            if key not in merged:
                merged[key], first_chunk[key] = value, number
            elif not same_value(merged[key], value):
                raise ValueError(
                    f"{owner}.concat: extra_info key {key!r} has conflicting values across chunks "
                    f"and cannot be merged. chunk[{first_chunk[key]}]={merged[key]!r}, "
                    f"chunk[{number}]={value!r}; make them equal or remove the key from one"
                )
    if any(info.keys() != merged.keys() for info in infos):
        logger.warning(
            "%s.concat: extra_info key sets differ across chunks, performing union of keys.", owner
        )
    return merged


def same_value(one: Any, other: Any) -> bool:
    """Whether two extra_info values are of one type and equal; tensors and arrays by content."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    try:
        if isinstance(one, torch.Tensor):
            return torch.equal(one, other)
        if isinstance(one, np.ndarray):
            return bool(np.array_equal(one, other))
        return bool(one == other)
    except (RuntimeError, TypeError, ValueError):
        # Containers of tensors or arrays have no truth value for ==: compare what they hold.
        return _same_contents(one, other)


def _same_contents(one: Any, other: Any) -> bool:
    if isinstance(one, (list, tuple)):
        # Lengths agree: sequences of different lengths are unequal, which == can tell.
        return all(map(same_value, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_value(one[k], other[k]) for k in one)
    return False


def check_same_samples(name: str, one: Sequence[Any], other: Sequence[Any]) -> None:
    """Check that two batches to be united agree, row by row, in one attribute.

    Raises:
        ValueError: they differ, naming the attribute and the first row that does.

    """
    if list(one) == list(other):
        return
    row = next((r for r, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    found = (
        f"self has {len(one)} samples, other {len(other)}"
        if row is None
        else f"Row {row} is {one[row]!r} in self, {other[row]!r} in other"
    )
    raise ValueError(
        f"BatchMeta.union: {name} do not match. {found}; "
        "union takes the same samples in the same order"
    )


def concat_schemas(schemas: Sequence[tuple[Schema, int]], *, validate: bool) -> Schema:
    """Schema of chunks laid end to end, each given with its row count; the first names the fields.

    Raises:
        ValueError: `validate`, and a chunk disagrees about a field's dtype.

    """
    result: Schema = {}
    for name in schemas[0][0]:
        column = [(schema.get(name, {}), size) for schema, size in schemas]
        if validate:
            _check_dtypes(name, [entry.get("dtype") for entry, _ in column])
        result[name] = _concat_entries(column)
    return result


def check_fields(names: Sequence[Sequence[str]]) -> None:
    """Check that all chunks of a concat have the fields of the first.

    Raises:
        ValueError: naming the chunk, what it has too many and what it lacks.

    """
    expected = set(names[0])
    for number, found in enumerate(names):
        extra, missing = set(found) - expected, expected - set(found)
        if extra or missing:
            raise ValueError(
                f"BatchMeta.concat: field_names mismatch at chunk[{number}]. "
                f"Expected {sorted(expected)}, got {sorted(found)}. Extra in chunk: "
                f"{sorted(extra)}, missing from chunk: {sorted(missing)}; "
                "select_fields the common ones first"
            )


def _check_dtypes(name: str, dtypes: Sequence[Any]) -> None:
    for number, dtype in enumerate(dtypes):
        if dtype != dtypes[0]:
            raise ValueError(
                f"Field {name!r} dtype mismatch in concat: chunk[0]={dtypes[0]}, "
                f"chunk[{number}]={dtype}; convert one of them before it is put"
            )


def _concat_entries(column: Sequence[tuple[Entry, int]]) -> Entry:
    first = column[0][0]
    is_nested = any(entry.get("is_nested", False) for entry, _ in column)
    shapes = [entry.get("shape") for entry, _ in column]
    result: Entry = {
        "dtype": first.get("dtype"),
        "shape": None if is_nested else deep_copy_value(shapes[0]),
        "is_nested": is_nested,
        "is_non_tensor": first.get("is_non_tensor", False),
    }
    has_rows = any(entry.get(PER_SAMPLE_SHAPES) is not None for entry, _ in column)
    # Dense chunks of different row shapes: no single shape would be true of every row.
    differ = len({tuple(shape) for shape in shapes if shape is not None}) > 1
    if is_nested or has_rows or differ:
        result[PER_SAMPLE_SHAPES] = [
            shape for entry, size in column for shape in entry_shapes(entry, size)
        ]
    return result
