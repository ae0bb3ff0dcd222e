"""Rows to TensorDict columns and back, and the exact comparison of two values."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tensordict import NonTensorStack, TensorDict
from torch import Tensor

# Field name to one value per sample, in the order of the keys.
Rows = dict[str, list[Any]]
Array = NDArray[Any]


def to_tensordict(rows: Rows) -> TensorDict:
    """Scalars become a dense column, tensors a jagged one, everything else a stack of objects."""
    size = len(next(iter(rows.values())))
    return TensorDict({field: _column(values) for field, values in rows.items()}, batch_size=size)


def _column(values: list[Any]) -> Tensor | NonTensorStack:
    if not all(isinstance(value, Tensor) for value in values):
        return NonTensorStack(*values)
    if all(value.ndim == 0 for value in values):
        return torch.stack(values)
    return torch.nested.as_nested_tensor(values, layout=torch.jagged)


def from_tensordict(batch: TensorDict) -> Rows:
    """The rows of every column, as views where the column allows it."""
    rows: Rows = {}
    for field, column in batch.items():
        rows[str(field)] = list(column.unbind()) if isinstance(column, Tensor) else column.tolist()
    return rows


def payload_bytes(value: Any) -> int:
    """Bytes of the tensors, arrays and text inside a value, not counting what holds them."""
    if isinstance(value, Tensor | np.ndarray):
        return value.nbytes
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, dict):
        return sum(payload_bytes(part) for part in value.values())
    if isinstance(value, list | tuple):
        return sum(payload_bytes(part) for part in value)
    return 0


def difference(put: Any, got: Any) -> str | None:
    """What sets the two apart, in words, or None where type, shape and every element agree."""
    if type(put) is not type(got):
        return f"put a {type(put).__name__}, got a {type(got).__name__}"
    if isinstance(put, Tensor):
        return _tensor_difference(put, got)
    if isinstance(put, np.ndarray):
        return _array_difference(put, got)
    if isinstance(put, dict):
        if put.keys() != got.keys():
            return f"put entries {list(put)}, got {list(got)}"
        return _first_difference((f"[{name!r}]", put[name], got[name]) for name in put)
    if isinstance(put, list | tuple):
        if len(put) != len(got):
            return f"put {len(put)} elements, got {len(got)}"
        return _first_difference((f"[{i}]", put[i], got[i]) for i in range(len(put)))
    return None if put == got else f"put {put!r}, got {got!r}"


def _first_difference(parts: Iterable[tuple[str, Any, Any]]) -> str | None:
    for place, put, got in parts:
        found = difference(put, got)
        if found is not None:
            return f"{place}: {found}"
    return None


def _tensor_difference(put: Tensor, got: Tensor) -> str | None:
    if put.dtype != got.dtype or put.shape != got.shape:
        return f"put {put.dtype} {list(put.shape)}, got {got.dtype} {list(got.shape)}"
    return None if torch.equal(put, got) else _array_difference(put.numpy(), got.numpy())


def _array_difference(put: Array, got: Array) -> str | None:
    if put.dtype != got.dtype or put.shape != got.shape:
        return f"put {put.dtype} {list(put.shape)}, got {got.dtype} {list(got.shape)}"
    wrong = np.argwhere(put != got)
    if len(wrong) == 0:
        return None
    place = tuple(wrong[0].tolist())
    return (
        f"{len(wrong)} of {put.size} elements differ, the first at {list(place)}: "
        f"put {put[place]}, got {got[place]}"
    )
