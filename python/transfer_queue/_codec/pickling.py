"""The last resort: pickle, marked as such in the header.

Plain tensors and numeric arrays inside a pickled object do not go through the pickle: the pickle
refers to them by position, and they travel as frames like any other.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import cloudpickle
import numpy as np
import torch

from transfer_queue.errors import CorruptBufferError, UnsupportedValueError

__all__ = ["pickle_value", "unpickle_value"]


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Carries functions and classes of the main module by value, and tensors beside the pickle."""

    def __init__(self, file: io.BytesIO, root: Any, beside: list[Any]) -> None:
        super().__init__(file, protocol=5)
        self._root = root
        self._beside = beside

    def persistent_id(self, value: Any) -> int | None:
        # The value itself is here because it can only be pickled.
        if value is self._root or not _travels_beside(value):
            return None
        self._beside.append(value)
        return len(self._beside) - 1


def _travels_beside(value: Any) -> bool:
    kind = type(value)
    if kind is torch.Tensor:
        return value.layout == torch.strided and not (value.is_quantized or value.is_nested)
    return kind is np.ndarray and value.dtype.kind in "biufc" and value.dtype.isbuiltin == 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, beside: list[Any]) -> None:
        super().__init__(file)
        self._beside = beside

    def persistent_load(self, position: Any) -> Any:
        return self._beside[position]


def pickle_value(value: Any) -> tuple[bytes, list[Any]]:
    """Pickle of ``value`` and the values it refers to by position.

    Raises:
        UnsupportedValueError: pickle cannot carry the value either.
    """
    file, beside = io.BytesIO(), []  # type: tuple[io.BytesIO, list[Any]]
    try:
        _Pickler(file, value, beside).dump(value)
    except RecursionError as error:
        raise UnsupportedValueError("the value nests too deep to be pickled") from error
    except Exception as error:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise UnsupportedValueError(f"a {kind} cannot be pickled: {error}") from error
    return file.getvalue(), beside


def unpickle_value(data: Any, beside: Any) -> Any:
    """The value of a pickle.

    Raises:
        CorruptBufferError: the pickle cannot be read here.
    """
    if not isinstance(data, bytes) or not isinstance(beside, list):
        raise CorruptBufferError("header: a pickle is bytes and a list")
    try:
        return _Unpickler(io.BytesIO(data), beside).load()
    except Exception as error:
        raise CorruptBufferError(f"a pickled value cannot be read here: {error}") from error
