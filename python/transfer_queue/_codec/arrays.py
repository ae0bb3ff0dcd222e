"""NumPy arrays and scalars that are not plain numbers: dates, text, structures, objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from transfer_queue.errors import CorruptBufferError

__all__ = ["REBUILDERS", "reduce_array", "reduce_scalar"]

Array = npt.NDArray[Any]


def reduce_array(array: Array) -> tuple[str, Any] | None:
    """Content of an array whose dtype Rust does not read by itself."""
    if array.dtype == np.dtype(object):
        return "numpy.objects", (array.shape, array.ravel().tolist())
    description = _describe(array.dtype)
    if description is None:
        return None
    return "numpy.array", (description, array.shape, _bytes_of(array))


def reduce_scalar(scalar: np.generic) -> tuple[str, Any] | None:
    """Content of a NumPy scalar."""
    # As themselves: over bytes, NumPy would take zeros at their end for padding.
    if isinstance(scalar, np.str_ | np.bytes_):
        content = str.__str__(scalar) if isinstance(scalar, np.str_) else bytes(scalar)
        plain = type(scalar) in (np.str_, np.bytes_)
        return ("numpy.scalar", (scalar.dtype.kind, content)) if plain else None
    dtype = scalar.dtype
    # longlong has the same description as int64, but is a type of its own.
    description = dtype.char if dtype.char in "qQ" else _describe(dtype)
    # A subclass or a scalar of a dtype that NumPy would give another scalar for.
    if description is None or type(scalar) is not dtype.type:
        return None
    return "numpy.scalar", (description, scalar.tobytes())


def _describe(dtype: np.dtype[Any]) -> Any:
    """What ``np.dtype`` rebuilds ``dtype`` from, or None where it cannot be told without pickle."""
    if dtype.hasobject:
        return None
    try:
        described: Any = np.lib.format.dtype_to_descr(dtype) if dtype.names else dtype.str
        return described if _dtype(described) == dtype else None
    except (TypeError, ValueError):
        return None


def _dtype(described: Any) -> np.dtype[Any]:
    if isinstance(described, str):
        return np.dtype(described)
    return np.lib.format.descr_to_dtype(described)


def _bytes_of(array: Array) -> Array:
    # ascontiguousarray makes a 0-dim array 1-dim, which reshape(-1) does anyway.
    flat = np.ascontiguousarray(array).reshape(-1)
    if flat.dtype.itemsize == 0 or flat.size == 0:
        return np.empty(0, np.uint8)
    return flat.view(np.uint8)


def _checked(described: Any) -> np.dtype[Any]:
    dtype = _dtype(described)
    if dtype.hasobject:
        # Over bytes this would be an array of wild pointers.
        raise CorruptBufferError("an array of objects cannot be rebuilt from bytes")
    return dtype


def _rebuild_array(content: tuple[Any, tuple[int, ...], Array]) -> Array:
    described, shape, data = content
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8:
        raise CorruptBufferError("the array's bytes are missing")
    return np.ndarray(shape, _checked(described), buffer=data)


def _rebuild_scalar(content: tuple[Any, Any]) -> Any:
    described, data = content
    if described == "U" and isinstance(data, str):
        return np.str_(data)
    if described == "S" and isinstance(data, bytes):
        return np.bytes_(data)
    dtype = _checked(described)
    if dtype.kind == "U":
        # Over bytes its characters could be no characters at all.
        raise CorruptBufferError("a text scalar cannot be rebuilt from bytes")
    if dtype.itemsize != len(data):
        raise CorruptBufferError(f"{len(data)} bytes are no scalar of {dtype}")
    # A copy, because a structured scalar would otherwise be a read-only view of the bytes.
    return np.ndarray((), dtype, buffer=bytearray(data))[()] if data else dtype.type()


def _rebuild_objects(content: tuple[tuple[int, ...], list[Any]]) -> Array:
    shape, values = content
    array = np.empty(len(values), dtype=object)
    # Element by element: NumPy would turn values that are sequences into further dimensions.
    for position, value in enumerate(values):
        array[position] = value
    return array.reshape(shape)


REBUILDERS: dict[str, Callable[[Any], Any]] = {
    "numpy.array": _rebuild_array,
    "numpy.scalar": _rebuild_scalar,
    "numpy.objects": _rebuild_objects,
}
