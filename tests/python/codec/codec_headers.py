"""A header writer that says what it is told, true or not. The format: docs/packed-buffer.md."""

import struct

from transfer_queue.utils.serial_utils import decode

TENSOR, ARRAY, FRAME_TEXT, FRAME_BYTES, FRAME_BYTEARRAY = 1, 2, 3, 4, 5
TUPLE, SET, FROZENSET, BYTEARRAY, BIG_INT, COMPLEX, SURROGATE_TEXT = 6, 7, 8, 9, 10, 11, 12
NAMED, PICKLE = 13, 14

BOOL, UINT8, INT32, INT64, FLOAT32 = 1, 2, 7, 9, 12


class Raw(bytes):
    """msgpack as it is to stand in the header."""

    __slots__ = ()


def pack(value):
    """msgpack of plain values, in the longest form of each type; ``Raw`` stays as it is."""
    if isinstance(value, Raw):
        return bytes(value)
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return struct.pack(">BQ", 0xCF, value) if value >= 0 else struct.pack(">Bq", 0xD3, value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        encoded = value.encode()
        return b"\xdb" + struct.pack(">I", len(encoded)) + encoded
    if isinstance(value, bytes):
        return b"\xc6" + struct.pack(">I", len(value)) + value
    if isinstance(value, list):
        return b"\xdd" + struct.pack(">I", len(value)) + b"".join(map(pack, value))
    if isinstance(value, tuple):
        return ext(TUPLE, list(value))
    if isinstance(value, dict):
        parts = b"".join(pack(part) for pair in value.items() for part in pair)
        return b"\xdf" + struct.pack(">I", len(value)) + parts
    raise TypeError(type(value))


def ext(tag, *parts):
    """An extension whose content is ``parts``, end to end."""
    content = b"".join(map(pack, parts))
    return Raw(b"\xc9" + struct.pack(">Ib", len(content), tag) + content)


def named(name, content):
    return ext(NAMED, name, content)


def tensor(dtype, frame, shape, flags=0):
    return ext(TENSOR, dtype, flags, frame, len(shape), *shape)


def array(descr, frame, shape):
    return ext(ARRAY, frame, len(shape), *shape, descr)


def read(value, *frames, allow_pickle=False):
    """What the decoder makes of a header that says ``value``."""
    return decode([pack(value), *frames], allow_pickle=allow_pickle)
