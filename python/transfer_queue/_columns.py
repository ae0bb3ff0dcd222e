"""TensorDicts to columns and back.

Going in, each field is described to the engine as one of four kinds, without a copy: a *dense*
tensor of equal rows, a *row* that is the only one, a *jagged* tensor of values and offsets, or
*rows*, one value each. Coming out,
the engine gives columns of the same kinds, and the container of each follows the rules that users
of ``transfer_queue`` rely on: scalar rows come back as a dense ``[B]`` tensor, other tensor rows as
a jagged nested tensor (even where all rows are of one shape), anything else as a NonTensorStack.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from tensordict import (
    LazyStackedTensorDict,
    NonTensorData,
    NonTensorStack,
    TensorDict,
    TensorDictBase,
)
from torch.nested._internal.nested_tensor import NestedTensor

from transfer_queue._nested import Extremes, jagged_tensor
from transfer_queue.errors import InvalidArgumentError

__all__ = [
    "DataParser",
    "as_batch",
    "assemble",
    "describe",
    "describe_one",
    "parse",
    "rows_of",
]

#: ``(field, kind, content...)``; see the module.
Column = tuple[Any, ...]
#: Called with ``{field: column}`` before the data is stored; returns as many fields and rows.
DataParser = Callable[[dict[str, Any]], dict[str, Any]]


def describe(fields: TensorDictBase) -> list[Column]:
    """The columns of a TensorDict whose first batch dimension counts the samples.

    Raises:
        InvalidArgumentError: a column has another number of rows.
    """
    rows = fields.batch_size[0]
    return [_describe_column(name, fields.get(name), rows) for name in fields.keys()]


def describe_one(fields: Mapping[str, Any]) -> list[Column]:
    """The columns of one sample given as a dict of values.

    Raises:
        InvalidArgumentError: a value is a nested tensor, which is a batch of its own.
    """
    columns: list[Column] = []
    for name, value in fields.items():
        if isinstance(value, torch.Tensor):
            if value.is_nested:
                raise InvalidArgumentError(
                    f"field {name!r} is a nested tensor. Please use (async)kv_batch_put for batch "
                    "operation"
                )
            if value.layout == torch.strided:
                columns.append((name, "row", value))
                continue
        columns.append((name, "rows", [value]))
    return columns


def _describe_column(name: str, column: Any, rows: int) -> Column:
    if isinstance(column, torch.Tensor):
        if column.is_nested:
            return _describe_nested(name, column, rows)
        if column.layout != torch.strided:
            return _described_rows(name, list(column.unbind()), rows)
        return (name, "dense", column)
    return _described_rows(name, rows_of(column, rows), rows)


def _describe_nested(name: str, column: Any, rows: int) -> Column:
    if isinstance(column, NestedTensor) and column._lengths is None and column._ragged_idx == 1:
        values, offsets = column._values, column._offsets
        if offsets.shape[0] - 1 != rows:
            raise _other_length(name, offsets.shape[0] - 1, rows)
        # Values may reach beyond the rows, and offsets be of 32 bits or on another device.
        if offsets.dtype != torch.int64 or offsets.device.type != "cpu":
            offsets = offsets.to("cpu", torch.int64)
        first, last = int(offsets[0]), int(offsets[-1])
        if (first, last) != (0, values.shape[0]):
            values, offsets = values[first:last], offsets - first
        return (name, "jagged", values, offsets)
    return _described_rows(name, [row.detach() for row in column.unbind()], rows)


def _described_rows(name: str, values: list[Any], rows: int) -> Column:
    if len(values) != rows:
        raise _other_length(name, len(values), rows)
    return (name, "rows", values)


def _other_length(name: str, found: int, rows: int) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"Inconsistent batch dimension: field {name!r} has {found} rows where the batch has {rows}"
    )


def rows_of(column: Any, rows: int) -> list[Any]:
    """The values of a column, one per row; of a tensor its rows."""
    if isinstance(column, torch.Tensor):
        return list(column.unbind())
    if isinstance(column, NonTensorStack):
        stacked = column.tensordicts
        if column.stack_dim == 0 and all(type(row) is NonTensorData for row in stacked):
            return [row._non_tensordict["data"] for row in stacked]
        return list(column.tolist())
    if isinstance(column, NonTensorData):
        data = column.data
        per_row = isinstance(data, (list, tuple, np.ndarray)) and len(data) == rows
        # A single value stands for every row.
        return list(data) if per_row else [data] * rows
    if isinstance(column, TensorDictBase):
        return list(column.unbind(0))
    return list(column)


def parse(data_parser: DataParser, columns: Sequence[Column]) -> list[Column]:
    """Runs a user's parser over described columns. It gets dense columns as tensors and all others
    as lists, and returns the same fields with as many rows.

    Raises:
        InvalidArgumentError: it is not callable, or returns something else.
    """
    if not callable(data_parser):
        raise InvalidArgumentError(
            f"data_parser must be callable, not {type(data_parser).__name__}"
        )
    given = {column[0]: _as_parser_input(column) for column in columns}
    parsed = data_parser(dict(given))
    if not isinstance(parsed, dict):
        raise InvalidArgumentError(f"data_parser must return a dict, not {type(parsed).__name__}")
    if parsed.keys() != given.keys():
        raise InvalidArgumentError(
            f"data_parser must not change dict keys: got {sorted(given)}, returned {sorted(parsed)}"
        )
    result = []
    for name, before in given.items():
        after = parsed[name]
        if len(after) != len(before):
            raise InvalidArgumentError(
                f"data_parser changed the number of elements of {name!r} from {len(before)} to "
                f"{len(after)}"
            )
        result.append(_describe_column(name, after, len(before)))
    return result


def _as_parser_input(column: Column) -> Any:
    _, kind, *content = column
    if kind in ("dense", "rows"):
        return content[0]
    if kind == "row":
        return content[0].unsqueeze(0)
    values, offsets = content
    return list(values.split(offsets.diff().tolist()))


def as_batch(columns: Sequence[Column], rows: int) -> TensorDict:
    """A TensorDict of batch size ``[rows]`` of described columns: :func:`describe` undone."""
    source: dict[str, Any] = {}
    for name, kind, *content in columns:
        if kind == "dense":
            source[name] = content[0]
        elif kind == "row":
            source[name] = content[0].unsqueeze(0)
        elif kind == "jagged":
            source[name] = torch.nested.nested_tensor_from_jagged(*content)
        else:
            source[name] = NonTensorStack(*content[0])
    known: Any = source
    return TensorDict._new_unsafe(source=known, batch_size=torch.Size([rows]))


def assemble(columns: Sequence[Column], rows: int) -> TensorDict:
    """A TensorDict of batch size ``[rows]`` of columns that were read."""
    extremes: Extremes = {}
    source = {column[0]: _container(column, extremes) for column in columns}
    # The columns were made for this batch; checking each again costs more than reading it.
    return TensorDict._new_unsafe(source=source, batch_size=torch.Size([rows]))


def _container(column: Column, extremes: Extremes) -> Any:
    _, kind, *content = column
    if kind == "dense":
        return content[0]
    if kind == "jagged":
        values, offsets, shortest, longest = content
        return jagged_tensor(values, offsets, shortest, longest, extremes)
    return _of_rows(content[0])


def _of_rows(values: list[Any]) -> Any:
    if all(isinstance(value, torch.Tensor) for value in values):
        return _of_tensor_rows(values)
    if all(isinstance(value, TensorDictBase) for value in values):
        return LazyStackedTensorDict(*values, stack_dim=0)
    return NonTensorStack(*values)


def _of_tensor_rows(rows: list[torch.Tensor]) -> Any:
    # Rows of differing dtypes are no one tensor: torch would convert them silently.
    alike = len({row.dtype for row in rows}) == 1
    if not alike or any(row.layout != torch.strided or row.is_nested for row in rows):
        return NonTensorStack(*rows)
    if all(row.dim() == 0 for row in rows):
        return torch.stack(rows)
    # Rows that differ in several dimensions are no jagged tensor, rows of differing ranks are no
    # nested tensor at all.
    for layout in (torch.jagged, torch.strided):
        with contextlib.suppress(RuntimeError, TypeError):
            return torch.nested.as_nested_tensor(rows, layout=layout)
    return NonTensorStack(*rows)
