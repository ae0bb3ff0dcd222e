"""What a system and a store are; and columns from rows, which every store by hand needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from tensordict import NonTensorStack, TensorDict

__all__ = [
    "NotOfferedError",
    "Store",
    "System",
    "column_of",
    "columns_of",
    "plain",
    "rows_of",
    "tensors",
]

#: A value of one sample.
Value = Any
#: The columns of a batch, by field; a row per sample.
Batch = Mapping[str, Any]


class NotOfferedError(Exception):
    """The system has no such thing; the scenario is left out, and the record says so."""


class Store(Protocol):
    """A system as one process sees it."""

    def put(
        self, partition: str, keys: list[str], batch: TensorDict, tags: list[dict[str, Any]] | None
    ) -> None:
        """Stores the fields of ``batch``, a row per key; visible when it returns."""

    def get(self, partition: str, keys: list[str], fields: list[str] | None = None) -> Batch:
        """The columns of these samples in this order; all fields where none are named."""

    def list(self, partition: str) -> list[str]:
        """The keys of a partition."""

    def clear(self, partition: str, keys: list[str]) -> None:
        """Forgets these samples."""


class System:
    """A system that is started for one session.

    The process that measures starts it and is its driver; workers are other processes that join.
    """

    #: Settings that workers need to join, as the driver found them.
    joining: Mapping[str, Any]

    def start(self) -> Store:
        """Starts the system and gives the driver's store."""
        raise NotImplementedError

    def join(self, joining: Mapping[str, Any]) -> Store:
        """The store of a worker, in the worker's process."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ends what ``start`` started."""


def rows_of(column: Any) -> list[Value]:
    """The values of a column, one per row, whatever container it came in."""
    if isinstance(column, torch.Tensor):
        return list(column.unbind())
    return list(column.tolist() if hasattr(column, "tolist") else column)


def column_of(rows: Sequence[Value]) -> Any:
    """The column of these values in the container in which gateways give it."""
    if not all(isinstance(row, torch.Tensor) for row in rows):
        return NonTensorStack(*rows)
    if all(row.shape == rows[0].shape for row in rows):
        return torch.stack(list(rows))
    return torch.nested.as_nested_tensor(list(rows), layout=torch.jagged)


def columns_of(batch: TensorDict) -> dict[str, list[Value]]:
    """The rows of each field."""
    return {name: rows_of(batch[name]) for name in batch.keys()}


def plain(value: Value) -> Value:
    """Tensors as arrays, which pickle faster, and without what they are views of."""
    if isinstance(value, torch.Tensor):
        return value.contiguous().numpy()
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def tensors(value: Value) -> Value:
    """The inverse of :func:`plain`, without a copy."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    return {name: tensors(one) for name, one in value.items()} if isinstance(value, dict) else value
