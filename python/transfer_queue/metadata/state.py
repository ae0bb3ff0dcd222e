"""What a `BatchMeta` is made of, and how it is pickled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from transfer_queue.metadata.rows import Row, Rows, drop_if_empty, peek_rows
from transfer_queue.metadata.schema import Schema

Status = npt.NDArray[np.int8]

STORED = (
    "global_indexes",
    "partition_ids",
    "field_schema",
    "production_status",
    "extra_info",
    "custom_meta",
    "_custom_backend_meta",
)
"""What a `BatchMeta` is given, in the order of `Parts`."""

DERIVED = ("_size", "_field_names", "_is_ready")
"""What a `BatchMeta` works out from that."""

SLOTS = (*STORED, *DERIVED)
"""Attributes of a `BatchMeta`, in the order of the tuple `__getstate__` returns."""

ROW_SLOTS = ("custom_meta", "_custom_backend_meta")
"""Those that hold one dict per sample, made on demand."""

_S = TypeVar("_S", bound="BatchState")


class Parts(NamedTuple):
    """Objects to make a `BatchMeta` of; it owns them from then on. Unchecked, uncopied."""

    global_indexes: list[int]
    partition_ids: list[str]
    field_schema: Schema
    production_status: Status
    extra_info: dict[str, Any]
    custom_meta: Rows
    backend_meta: Rows


class BatchState:
    """The attributes of a `BatchMeta`. The class that gives them room is `BatchMeta` itself."""

    __slots__ = ()

    global_indexes: list[int]
    partition_ids: list[str]
    field_schema: Schema
    production_status: Status
    extra_info: dict[str, Any]
    custom_meta: list[Row]
    _custom_backend_meta: list[Row]
    _size: int
    _field_names: list[str]
    _is_ready: bool

    @classmethod
    def _from_parts(cls: type[_S], parts: Parts, is_ready: bool | None = None) -> _S:
        """Owns the parts; ``is_ready`` where it is known, and need not be looked for."""
        made = cls.__new__(cls)
        made._fill(parts, is_ready)
        return made

    def _fill(self, parts: Parts, is_ready: bool | None = None) -> None:
        for name, value in zip(STORED, parts, strict=True):
            setattr(self, name, value)
        self._refresh(is_ready)

    def _refresh(self, is_ready: bool | None = None) -> None:
        """Renew what is derived from the other attributes."""
        size = len(self.global_indexes)
        if is_ready is None:
            is_ready = size > 0 and bool((self.production_status == 1).all())
        for name, value in zip(DERIVED, (size, sorted(self.field_schema), is_ready), strict=True):
            setattr(self, name, value)

    def __getstate__(self) -> tuple[Any, ...]:
        """All attributes, in the order of `SLOTS`."""
        return tuple(getattr(self, name) for name in SLOTS)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take over a tuple in the order of `SLOTS`.

        Raises:
            ValueError: the tuple has another length.

        """
        if len(state) != len(SLOTS):
            raise ValueError(
                f"BatchMeta state has {len(state)} entries, expected {len(SLOTS)}: "
                f"{', '.join(SLOTS)}; was it pickled by another version?"
            )
        for name, value in zip(SLOTS, state, strict=True):
            # Arrays that arrive as views of a received buffer are read-only; add_fields writes.
            read_only = isinstance(value, np.ndarray) and not value.flags.writeable
            setattr(self, name, value.copy() if read_only else value)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the state, with None in place of a column of empty dicts."""
        state = tuple(
            drop_if_empty(peek_rows(self, name)) if name in ROW_SLOTS else getattr(self, name)
            for name in SLOTS
        )
        return _blank, (type(self),), state

    def __copy__(self: _S) -> _S:
        """A new object with the same attributes, shared."""
        clone = type(self).__new__(type(self))
        clone.__setstate__(self.__getstate__())
        return clone


def _blank(cls: type[_S]) -> _S:
    """An instance without attributes, for unpickling."""
    return cls.__new__(cls)


def as_list(column: Iterable[Any] | None) -> list[Any]:
    """A new list; NumPy arrays and tensors become plain Python values."""
    to_list = getattr(column, "tolist", None)
    if to_list is not None:
        return list(to_list())
    return [] if column is None else list(column)


def as_status(status: npt.ArrayLike | None, size: int) -> Status:
    """A new int8 array of length `size`; zeros where none is given.

    Raises:
        ValueError: another shape is given.

    """
    if status is None:
        return np.zeros(size, dtype=np.int8)
    if isinstance(status, torch.Tensor):
        status = status.cpu().numpy()
    array = np.array(status, dtype=np.int8)
    if array.shape != (size,):
        found = len(array) if array.ndim == 1 else f"of shape {array.shape}"
        raise ValueError(
            f"production_status length {found} != batch_size {size}; give one number per sample"
        )
    return array
