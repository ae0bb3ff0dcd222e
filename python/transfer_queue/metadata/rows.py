"""Columns of one value per sample: choosing rows, and per-sample dicts that exist only once used.

Nearly every batch carries two columns of dicts, and nearly all of those dicts are empty. Such a
column is held as `None` until somebody reads it, so slicing, copying and pickling it cost nothing.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import torch

Row = dict[str, Any]
Rows = list[Row] | None
"""One dict per sample, or None where every one of them is empty."""

T = TypeVar("T")

_IMMUTABLE = frozenset(
    {type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device, torch.Size}
)


class LazyRows:
    """Attribute that reads as a list of dicts and makes that list only when it is first read.

    Wraps the slot of the same name, which holds `Rows`. Once read, the list belongs to the object
    like any other attribute: users index it, mutate its dicts and assign over it.
    """

    def __init__(self, slot: Any) -> None:
        self._slot = slot

    def __get__(self, owner: Any, owner_type: type | None = None) -> Any:
        if owner is None:
            return self
        rows = self.peek(owner)
        if rows is None:
            rows = [{} for _ in range(len(owner))]
            self._slot.__set__(owner, rows)
        return rows

    def __set__(self, owner: Any, rows: Rows) -> None:
        self._slot.__set__(owner, rows)

    def peek(self, owner: Any) -> Rows:
        """The column as stored: None means that all rows are empty dicts."""
        rows: Rows = self._slot.__get__(owner, type(owner))
        return rows


def lazy_rows(*slots: str) -> Callable[[type[T]], type[T]]:
    """Class decorator: turn the named slots of a sized class into `LazyRows`."""

    def install(cls: type[T]) -> type[T]:
        for name in slots:
            setattr(cls, name, LazyRows(vars(cls)[name]))
        return cls

    return install


def peek_rows(owner: object, slot: str) -> Rows:
    """A lazy column as stored, without making its list."""
    column: LazyRows = getattr(type(owner), slot)
    return column.peek(owner)


def store_rows(owner: object, slot: str, rows: Rows) -> None:
    """Replace a lazy column; None stands for empty dicts."""
    column: LazyRows = getattr(type(owner), slot)
    column.__set__(owner, rows)


def rows_from(rows: Iterable[Row] | None, size: int, name: str) -> Rows:
    """Take over a caller's column, each dict shallow-copied; None or `[]` means empty dicts.

    Raises:
        ValueError: the column holds neither 0 nor `size` rows.

    """
    copies = [dict(row) for row in rows] if rows is not None else []
    if copies and len(copies) != size:
        raise ValueError(
            f"{name} length {len(copies)} != batch_size {size}; give one dict per sample"
        )
    return copies if any(copies) else None


def drop_if_empty(rows: Rows) -> Rows:
    """The same column, or None where all its dicts are empty."""
    return rows if rows is not None and any(rows) else None


def deep_copy_value(value: Any, memo: dict[int, Any] | None = None) -> Any:
    """`copy.deepcopy`, at no cost for the immutable values that metadata is mostly made of."""
    return value if type(value) in _IMMUTABLE else copy.deepcopy(value, memo)


def deep_copy_dict(row: Row, memo: dict[int, Any] | None = None) -> Row:
    """A new dict whose values are deep copies."""
    return {key: deep_copy_value(value, memo) for key, value in row.items()}


def deep_copy_rows(rows: Rows) -> Rows:
    """A new column of new dicts; rows that named one mutable value together still do."""
    if rows is None:
        return None
    memo: dict[int, Any] = {}
    return [deep_copy_dict(row, memo) if row else {} for row in rows]


def take(column: Sequence[T], chosen: slice | list[int]) -> list[T]:
    """The chosen rows of a column, in the order chosen, as a new list. Rows are not copied."""
    if isinstance(chosen, slice):
        run = column[chosen]
        return run if type(run) is list else list(run)
    if len(chosen) < 2:  # itemgetter answers one index with a bare item, and refuses none
        return [column[position] for position in chosen]
    return list(operator.itemgetter(*chosen)(column))


def concat_rows(columns: Sequence[tuple[Rows, int]]) -> Rows:
    """Lay columns end to end, each given with its row count; dicts are shallow-copied."""
    if all(rows is None for rows, _ in columns):
        return None
    result: list[Row] = []
    for rows, size in columns:
        result.extend(map(dict, rows) if rows is not None else ({} for _ in range(size)))
    return result


def merge_rows(first: Rows, second: Rows) -> Rows:
    """Merge two columns of equal length row by row, into new dicts; `second` wins a shared key."""
    if first is None or second is None:
        return deep_copy_rows(second if first is None else first)
    merged: list[Row] = [{**one, **other} for one, other in zip(first, second, strict=True)]
    return deep_copy_rows(merged)


def as_positions(positions: Iterable[Any]) -> list[int]:
    """Row numbers as plain ints; accepts lists, ranges, NumPy arrays and tensors of integers.

    Raises:
        TypeError: an entry is no integer.
        ValueError: an entry is a bool, which would silently read as row 0 or 1.

    """
    to_list = getattr(positions, "tolist", None)
    given = to_list() if to_list is not None else list(positions)
    if bool in set(map(type, given)):
        raise ValueError(
            "Expected row numbers, found bool; "
            "turn a mask into row numbers first, e.g. with mask.nonzero()"
        )
    return list(map(operator.index, given))
