"""What a field looks like: reading it off a TensorDict, and choosing rows of it.

A schema maps field name to an entry with the keys

- `dtype`: `torch.dtype`, None for a field that holds no tensors
- `shape`: shape of one row; row 0's for a nested field; None for a field that holds no tensors
- `is_nested`, `is_non_tensor`: bool
- `per_sample_shapes`: one shape per row, only where rows differ
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from tensordict import TensorDict

from transfer_queue.metadata.rows import deep_copy_value, take

Entry = dict[str, Any]
Schema = dict[str, Entry]

PER_SAMPLE_SHAPES = "per_sample_shapes"

logger = logging.getLogger(__name__)


def extract_field_schema(data: TensorDict) -> Schema:
    """Describe every field of `data`, without looking at its values.

    A 1-D tensor of B elements is described as B rows of shape `(1,)`; that is how producers and
    consumers of this schema have always read it.

    Args:
        data: TensorDict with batch size `[B, ...]`.

    Returns:
        Field name to entry (see the module's docstring); `{}` with a warning where B is 0.

    Raises:
        ValueError: `data` has no batch dimension, or a field does not have B rows.

    """
    size = batch_size_of(data)
    if size == 0:
        logger.warning("Trying to extract field schema for empty batch. No action is taken.")
        return {}
    return {str(name): _describe(str(name), value, size) for name, value in data.items()}


def batch_size_of(data: TensorDict) -> int:
    """Number of rows of a TensorDict.

    Raises:
        ValueError: it has no batch dimension.

    """
    if len(data.batch_size) == 0:
        raise ValueError(
            "Expected a TensorDict with a batch dimension, found batch_size=[]; "
            "give batch_size=[number of samples]"
        )
    return int(data.batch_size[0])


def _describe(name: str, value: Any, size: int) -> Entry:
    if not isinstance(value, torch.Tensor):
        try:
            found = len(value)
        except TypeError:
            kind = type(value).__name__
            raise _inconsistent(name, size, f"an object of type {kind} without rows") from None
        if found != size:
            raise _inconsistent(name, size, f"len(value)={found}")
        return _entry(None, None, is_non_tensor=True)
    if value.is_nested:
        shapes = _row_shapes(value)
        if len(shapes) != size:
            raise _inconsistent(name, size, f"a nested tensor composed of {len(shapes)} tensors")
        entry = _entry(value.dtype, torch.Size(shapes[0]), is_nested=True)
        entry[PER_SAMPLE_SHAPES] = shapes
        return entry
    if value.dim() == 0 or value.shape[0] != size:
        raise _inconsistent(name, size, f"value.shape={tuple(value.shape)}")
    return _entry(value.dtype, value.shape[1:] if value.dim() > 1 else torch.Size((1,)))


def _entry(
    dtype: torch.dtype | None,
    shape: torch.Size | None,
    *,
    is_nested: bool = False,
    is_non_tensor: bool = False,
) -> Entry:
    return {
        "dtype": dtype,
        "shape": shape,
        "is_nested": is_nested,
        "is_non_tensor": is_non_tensor,
    }


def _inconsistent(name: str, size: int, found: str) -> ValueError:
    return ValueError(
        f"Inconsistent batch dimension for field {name!r}: "
        f"expected batch_size[0]={size} rows, got {found}"
    )


def _row_shapes(nested: torch.Tensor) -> list[tuple[int, ...]]:
    """Shape of each row of a nested tensor.

    A jagged tensor says so in its offsets, without a tensor object per row. A strided one is
    taken apart.
    """
    if nested.layout != torch.jagged:
        return [tuple(row.shape) for row in nested.unbind()]
    # The one length that is not a plain int is that of the ragged dimension.
    axis = next(d for d, length in enumerate(nested.shape) if type(length) is not int)
    lengths = nested.lengths()  # type: ignore[attr-defined]  # jagged tensors only
    if lengths is None:
        lengths = nested.offsets().diff()  # type: ignore[attr-defined]
    before, after = tuple(nested.shape[1:axis]), tuple(nested.shape[axis + 1 :])
    return [(*before, length, *after) for length in lengths.tolist()]


def copy_entry(entry: Entry) -> Entry:
    """A deep copy of an entry."""
    return take_entry(entry, slice(None))


def take_entry(entry: Entry, chosen: slice | list[int]) -> Entry:
    """An entry for the chosen rows, sharing nothing mutable with the original."""
    result = {
        key: deep_copy_value(value) for key, value in entry.items() if key != PER_SAMPLE_SHAPES
    }
    if PER_SAMPLE_SHAPES in entry:
        shapes = entry[PER_SAMPLE_SHAPES]
        result[PER_SAMPLE_SHAPES] = (
            None if shapes is None else unshared_shapes(take(shapes, chosen))
        )
    return result


def unshared_shapes(shapes: list[Any]) -> list[Any]:
    """Shapes whose rows a user may mutate freely: tuples are shared, lists (as sent) are copied."""
    if list in set(map(type, shapes)):
        return [list(shape) if type(shape) is list else shape for shape in shapes]
    return shapes


def entry_shapes(entry: Entry, size: int) -> list[Any]:
    """Shape of each of `size` rows; the uniform shape repeated where rows are not told apart."""
    rows = entry.get(PER_SAMPLE_SHAPES)
    return unshared_shapes([entry.get("shape")] * size if rows is None else list(rows))


def take_schema(schema: Schema, chosen: slice | list[int]) -> Schema:
    """The schema for the chosen rows, sharing nothing mutable with the original."""
    return {name: take_entry(entry, chosen) for name, entry in schema.items()}


def adopt_schema(schema: Schema | None, size: int) -> Schema:
    """Take over a caller's schema: a new dict of new entries, their values shared.

    Raises:
        ValueError: a field lists shapes for other than `size` rows.

    """
    adopted = {name: dict(entry) for name, entry in (schema or {}).items()}
    for name, entry in adopted.items():
        shapes = entry.get(PER_SAMPLE_SHAPES)
        if shapes is not None and len(shapes) != size:
            raise ValueError(
                f"Field {name!r} per_sample_shapes length {len(shapes)} != batch_size {size}; "
                "give one shape per sample"
            )
    return adopted
