"""Comparing what came back with what was put, and reading all of it once."""

from __future__ import annotations

from typing import Any

import torch
from systems.base import rows_of

__all__ = ["check", "same", "touch"]

PAGE = 4096


def same(one: Any, other: Any) -> bool:
    """Whether two values of these payloads are equal."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else bool(one == other)


def check(written: Any, read: Any) -> None:
    """Raises where another content came back."""
    for name in written.keys():
        before, after = written[name], read[name]
        if isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor):
            # A dense column may come back jagged, with the same rows.
            assert torch.equal(lengths(before), lengths(after)), f"other rows of {name} came back"
            assert torch.equal(flat(before), flat(after)), f"other values of {name} came back"
            continue
        rows, found = rows_of(before), rows_of(after)
        assert len(rows) == len(found), f"{len(found)} rows of {name}, {len(rows)} were put"
        for row, (one, other) in enumerate(zip(rows, found, strict=True)):
            assert same(one, other), f"another value of {name} in row {row}"


def lengths(column: torch.Tensor) -> torch.Tensor:
    """The length of each row."""
    if column.layout == torch.jagged:
        return column.offsets().diff()
    return torch.full((column.shape[0],), column.shape[1] if column.dim() > 1 else 1)


def flat(column: torch.Tensor) -> torch.Tensor:
    """All elements, row by row."""
    if column.layout == torch.jagged:
        return torch.cat([row.reshape(-1) for row in column.unbind()])
    return column.reshape(-1)


def touch(batch: Any) -> None:
    """Reads one byte of every page of the tensors that a get returned, because a get that hands out
    views has moved nothing yet. Strings have been written by the get itself.
    """
    for name in batch.keys():
        column = batch[name]
        if isinstance(column, torch.Tensor) and column.layout == torch.jagged:
            tensors = [column.values()]
        elif isinstance(column, torch.Tensor):
            tensors = [column] if column.is_contiguous() else list(column.unbind())
        else:
            rows = rows_of(column)
            tensors = [row for row in rows if isinstance(row, torch.Tensor)]
            tensors += [one for row in rows if isinstance(row, dict) for one in row.values()]
        for tensor in tensors:
            tensor.reshape(-1).view(torch.uint8)[::PAGE].sum()
