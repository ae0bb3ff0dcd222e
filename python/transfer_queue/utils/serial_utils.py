"""The packed-buffer codec: any value to one opaque buffer and back, without copying tensors twice.

The bytes are described in ``docs/packed-buffer.md``. Every value comes back equal and of the same
type: all torch dtypes and layouts, NumPy arrays and scalars, TensorDicts, containers with any
hashable keys, dates, enums, dataclasses and named tuples. Tensors and arrays come back as writable
views of the buffer they were read from and keep it alive; where that buffer is read-only or not
aligned for the dtype they are copies.

Pickle is the marked last resort, for objects of other classes and for callables.
``allow_pickle=False`` refuses such values on both sides; without the argument the setting of
:func:`set_allow_pickle` holds (environment variable ``TQ_ALLOW_PICKLE`` at import, default on).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from transfer_queue import _core
from transfer_queue.errors import InvalidArgumentError

__all__ = [
    "MsgpackDecoder",
    "MsgpackEncoder",
    "batch_decode_from",
    "batch_encode_into",
    "calc_packed_size",
    "decode",
    "encode",
    "pack_into",
    "set_allow_pickle",
    "unpack_from",
]

#: A bytes-like object: bytes, bytearray, memoryview, contiguous ndarray, contiguous CPU tensor.
Buffer = Any

# Extension codes of the older msgpack-based layout, kept for code that names them. This codec has
# its own tags (see the format reference) and never writes these.
CUSTOM_TYPE_PICKLE = 1
CUSTOM_TYPE_CLOUDPICKLE = 2
CUSTOM_TYPE_TENSOR = 3
CUSTOM_TYPE_NESTED_TENSOR = 4
CUSTOM_TYPE_NUMPY = 5

_allow_pickle = os.environ.get("TQ_ALLOW_PICKLE", "1").strip().lower() not in {
    "0",
    "false",
    "no",
    "off",
}


def set_allow_pickle(allow: bool) -> None:
    """Sets whether values that only pickle can carry are encoded and decoded in this process."""
    global _allow_pickle
    _allow_pickle = allow


def _pickle_setting(allow_pickle: bool | None) -> bool:
    return _allow_pickle if allow_pickle is None else allow_pickle


def encode(obj: Any, *, allow_pickle: bool | None = None) -> list[Buffer]:
    """Encodes a value as a list of buffers without copying its tensors.

    Args:
        obj: any value.
        allow_pickle: see the module.

    Returns:
        ``[header, frame, ...]``: the structure as bytes, then one read-only buffer per tensor,
        array or large text, which keeps the original's memory alive. Contiguous data is not copied.

    Raises:
        PickleRefusedError: the value needs pickle, and pickle is switched off.
        UnsupportedValueError: the value cannot be encoded at all (a lock, a tensor without data).
        InvalidArgumentError: the value contains itself or nests deeper than 1,000 containers.
    """
    return _core.encode(obj, _pickle_setting(allow_pickle))


def decode(frames: Sequence[Buffer], *, allow_pickle: bool | None = None) -> Any:
    """The value of :func:`encode`'s buffers.

    Args:
        frames: ``[header, frame, ...]``.
        allow_pickle: see the module.

    Raises:
        CorruptBufferError: the buffers are no such list; the message says what is wrong.
        PickleRefusedError: they hold a pickled value, and pickle is switched off.
    """
    return _core.decode(list(frames), _pickle_setting(allow_pickle))


def calc_packed_size(items: Sequence[Buffer]) -> int:
    """Bytes that :func:`pack_into` writes for ``items``; a multiple of 64."""
    return _core.calc_packed_size(list(items))


def pack_into(target: Buffer, items: Sequence[Buffer], *, checksum: bool = False) -> int:
    """Packs buffers (as from :func:`encode`; none is allowed too) into one.

    Args:
        target: writable buffer of at least :func:`calc_packed_size` bytes; what lies beyond is not
            touched.
        items: the buffers; the first counts as the header.
        checksum: also checksum the frames, for bytes that leave the host's memory.

    Returns:
        The bytes written.

    Raises:
        InvalidArgumentError: the target is too small, read-only, or holds one of the items.
    """
    return _core.pack_into(target, list(items), checksum)


def unpack_from(src: Buffer) -> list[memoryview]:
    """The items of a packed buffer, as memoryviews over it. Trailing bytes are ignored.

    Raises:
        CorruptBufferError: the bytes are no packed buffer, or were altered.
    """
    return _core.unpack_from(src)


def batch_encode_into(
    objs: Sequence[Any],
    alloc_buff_func: Callable[[list[int]], Sequence[Buffer]],
    *,
    num_workers: int = 1,
    checksum: bool = False,
    allow_pickle: bool | None = None,
) -> tuple[Sequence[Buffer], list[int]]:
    """Packs a batch of values into buffers of the caller's.

    Args:
        objs: any values.
        alloc_buff_func: called exactly once, with the exact sizes in bytes of all values (``[]``
            for none), before a byte is written; returns as many writable buffers (uint8 tensors,
            ndarrays, memoryviews, bytearrays), slices of one region or separate ones, each at
            least as large as asked.
        num_workers: threads that copy, beside the interpreter lock. The bytes do not depend on it.
        checksum: also checksum the frames, for bytes that leave the host's memory.
        allow_pickle: see the module.

    Returns:
        What the allocator returned, and the sizes.

    Raises:
        InvalidArgumentError: too few buffers, or one that is too small, read-only or overlaps
            another; the message names the slot, and nothing is written.
        PickleRefusedError, UnsupportedValueError: as :func:`encode`; the allocator is not called.
    """
    if num_workers < 0:
        raise InvalidArgumentError(f"num_workers is {num_workers}; it cannot be negative")
    return _core.batch_encode_into(
        list(objs), alloc_buff_func, num_workers, checksum, _pickle_setting(allow_pickle)
    )


def batch_decode_from(buffers: Sequence[Buffer], *, allow_pickle: bool | None = None) -> list[Any]:
    """The values of packed buffers; exact inverse of :func:`batch_encode_into`.

    Tensors and arrays are writable views of their buffer and keep it alive. Bytes behind a packed
    buffer are ignored.

    Raises:
        CorruptBufferError: a buffer is no packed buffer, or was altered.
        PickleRefusedError: a buffer holds a pickled value, and pickle is switched off.
    """
    return _core.batch_decode_from(list(buffers), _pickle_setting(allow_pickle))


class MsgpackEncoder:
    """:func:`encode` as an object; without state, so any number of threads may share one."""

    def encode(self, obj: Any) -> list[Buffer]:
        """See :func:`encode`."""
        return encode(obj)


class MsgpackDecoder:
    """:func:`decode` as an object; without state, so any number of threads may share one."""

    def decode(self, bufs: Sequence[Buffer] | Buffer) -> Any:
        """See :func:`decode`; a single buffer counts as a list of one."""
        if isinstance(bufs, (bytes, bytearray, memoryview)):
            return decode([bufs])
        return decode(bufs)


_encoder = MsgpackEncoder()
_decoder = MsgpackDecoder()
