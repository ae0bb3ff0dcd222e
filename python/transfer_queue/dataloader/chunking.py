"""Cutting a batch into micro-batches, data and metadata by the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from tensordict import (
    NonTensorData,
    NonTensorStack,
    TensorDict,
    TensorDictBase,
    is_tensor_collection,
)

from transfer_queue._nested import jagged_tensor
from transfer_queue.metadata import BatchMeta

__all__ = ["chunk_batch_fn"]

Bounds = Sequence[tuple[int, int]]


def chunk_batch_fn(
    td: TensorDictBase, batch_meta: BatchMeta, micro_batch_size: int = 1
) -> list[tuple[TensorDict, BatchMeta]]:
    """Cuts a batch into pieces of ``micro_batch_size`` rows, the last of what is left.

    Dense and jagged columns of a piece are views of the batch's; nested columns keep their layout.

    Args:
        td: the data, batch size ``[B, ...]``.
        batch_meta: metadata of the same B samples in the same order.
        micro_batch_size: rows of a piece, 1 to B.

    Returns:
        ``ceil(B / micro_batch_size)`` pairs of data and metadata of the same rows.

    Raises:
        TypeError: ``td`` is no TensorDict.
        ValueError: ``td`` has no batch size, ``batch_meta`` has other than B samples, or
            ``micro_batch_size`` is no integer from 1 to B.
    """
    if not isinstance(td, TensorDictBase):
        raise TypeError(f"td must be a TensorDict, found {type(td).__name__}")
    if (
        isinstance(micro_batch_size, bool)
        or not isinstance(micro_batch_size, int)
        or micro_batch_size < 1
    ):
        raise ValueError(f"micro_batch_size must be a positive integer, found {micro_batch_size!r}")
    if not td.batch_size:
        raise ValueError("td has an empty batch_size; give it one, [rows]")
    total = td.batch_size[0]
    if micro_batch_size > total:
        raise ValueError(
            f"micro_batch_size {micro_batch_size} is larger than the batch of {total} rows; "
            "ask for a smaller one"
        )
    if batch_meta.size != total:
        raise ValueError(
            f"td has {total} rows, batch_meta {batch_meta.size} samples; "
            "they can be cut together only where row i is sample i"
        )
    bounds = [
        (start, min(start + micro_batch_size, total)) for start in range(0, total, micro_batch_size)
    ]
    pieces = _cut_batch(td, bounds)
    return [
        (piece, batch_meta[start:stop]) for piece, (start, stop) in zip(pieces, bounds, strict=True)
    ]


def _cut_batch(td: TensorDictBase, bounds: Bounds) -> list[TensorDict]:
    columns = {name: _cut_column(td.get(name), bounds) for name in td.keys()}
    return [
        TensorDict(
            {name: pieces[number] for name, pieces in columns.items()},
            batch_size=[stop - start, *td.batch_size[1:]],
            device=td.device,
        )
        for number, (start, stop) in enumerate(bounds)
    ]


def _cut_column(column: Any, bounds: Bounds) -> list[Any]:
    if isinstance(column, torch.Tensor) and column.is_nested:
        if column.layout == torch.jagged:
            return _cut_jagged(column, bounds)
        return [torch.narrow(column, 0, start, stop - start) for start, stop in bounds]
    if type(column) is TensorDict:
        # Its own slicing fails on nested columns inside.
        return list(_cut_batch(column, bounds))
    if isinstance(column, NonTensorData) and _is_per_row(column):
        return [NonTensorStack(*column.data[start:stop]) for start, stop in bounds]
    return [column[start:stop] for start, stop in bounds]


def _is_per_row(column: NonTensorData) -> bool:
    """Whether the values are one per row, which slicing would leave uncut."""
    values = column.data
    if isinstance(values, (str, bytes)) or is_tensor_collection(values):
        return False
    return hasattr(values, "__getitem__") and len(values) == column.batch_size[0]


def _cut_jagged(column: Any, bounds: Bounds) -> list[torch.Tensor]:
    if column.lengths() is not None:  # rows with holes between them
        rows = column.unbind()
        return [
            torch.nested.as_nested_tensor(list(rows[start:stop]), layout=torch.jagged)
            for start, stop in bounds
        ]
    values, offsets, dim = column.values(), column.offsets(), column._ragged_idx
    edges = offsets.tolist()
    lengths = [stop - start for start, stop in pairwise(edges)]
    pieces = []
    for start, stop in bounds:
        low = edges[start]
        piece_values = values.narrow(dim - 1, low, edges[stop] - low)
        piece_offsets = offsets[start : stop + 1] - low
        if dim == 1:
            rows = lengths[start:stop]
            pieces.append(jagged_tensor(piece_values, piece_offsets, min(rows), max(rows), {}))
        else:
            pieces.append(
                torch.nested.nested_tensor_from_jagged(piece_values, piece_offsets, jagged_dim=dim)
            )
    return pieces
