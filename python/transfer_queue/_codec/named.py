"""Types that are taken apart into plain values and rebuilt by name, without pickle.

Rust calls :func:`reduce_value` for every value that is neither a builtin nor a plain tensor or
array, and :func:`rebuild_value` for every named value in a header. The names are part of the
format: one is never reused for something else.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import uuid
import zoneinfo
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from transfer_queue._codec import arrays, tensors
from transfer_queue._codec.classes import class_reference, find_class
from transfer_queue.errors import CorruptBufferError, TransferQueueError, UnsupportedValueError

__all__ = ["rebuild_value", "reduce_value"]

Reduced = tuple[str, Any]
Reduce = Callable[[Any], Reduced | None]


def reduce_value(value: Any) -> Reduced | None:
    """Name and content of ``value``, or None where only pickle can carry it."""
    reduce = _REDUCERS.get(type(value))
    if reduce is not None:
        return reduce(value)
    if isinstance(value, np.ndarray):
        return None
    if isinstance(value, np.generic):
        return arrays.reduce_scalar(value)
    if isinstance(value, enum.Enum):
        return _reduce_enum(value)
    if isinstance(value, tuple) and hasattr(type(value), "_fields"):
        return _reduce_namedtuple(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _reduce_dataclass(value)
    return tensors.reduce_other(value)


def rebuild_value(name: str, content: Any, allow_pickle: bool) -> Any:
    """The value of a name and its content.

    Raises:
        CorruptBufferError: the name is unknown, or the content does not fit it.
    """
    try:
        if name in _CLASS_REBUILDERS:
            reference, rest = content
            module, qualified_name = reference
            cls = find_class(module, qualified_name, allow_import=allow_pickle)
            return _CLASS_REBUILDERS[name](cls, rest)
        return _REBUILDERS[name](content)
    except TransferQueueError:
        raise
    except Exception as error:
        known = name in _REBUILDERS or name in _CLASS_REBUILDERS
        what = f"content of {name!r} is wrong: {error}" if known else f"unknown name {name!r}"
        raise CorruptBufferError(f"header: {what}") from error


def _reduce_timezone(value: datetime.timezone) -> Reduced:
    # The name is kept only where it was given: timezone(offset) makes its own.
    offset = value.utcoffset(None)
    named = value.tzname(None)
    plain = datetime.timezone(offset).tzname(None)
    return "timezone", (offset, None if named == plain else named)


def _rebuild_timezone(content: tuple[datetime.timedelta, str | None]) -> datetime.timezone:
    offset, name = content
    if name is None:
        return datetime.timezone(offset)
    return datetime.timezone(offset, name)


def _reduce_datetime(v: datetime.datetime) -> Reduced:
    parts = (v.year, v.month, v.day, v.hour, v.minute, v.second, v.microsecond)
    return "datetime", (*parts, v.tzinfo, v.fold)


def _reduce_time(v: datetime.time) -> Reduced:
    return "time", (v.hour, v.minute, v.second, v.microsecond, v.tzinfo, v.fold)


def _rebuild_datetime(content: tuple[Any, ...]) -> datetime.datetime:
    *parts, fold = content
    return datetime.datetime(*parts, fold=fold)


def _rebuild_time(content: tuple[Any, ...]) -> datetime.time:
    *parts, fold = content
    return datetime.time(*parts, fold=fold)


def _reduce_zone(value: zoneinfo.ZoneInfo) -> Reduced | None:
    # A zone made from a file has no key; only pickle would say that it cannot be carried.
    return None if value.key is None else ("zoneinfo", value.key)


def _reduce_memoryview(v: memoryview) -> Reduced:
    data = v.tobytes() if v.readonly else bytearray(v)
    content = (v.format, None if v.ndim == 1 else v.shape, data)
    try:
        _rebuild_memoryview(content)
    except (TypeError, ValueError) as error:
        message = f"a memoryview of format {v.format!r} and shape {v.shape} cannot be rebuilt"
        raise UnsupportedValueError(f"{message}: {error}; encode its bytes instead") from error
    return "memoryview", content


def _rebuild_memoryview(content: tuple[Any, tuple[int, ...] | None, Any]) -> memoryview:
    code, shape, data = content
    return memoryview(data).cast(code) if shape is None else memoryview(data).cast(code, shape)


def _reduce_enum(value: enum.Enum) -> Reduced | None:
    reference = class_reference(type(value))
    if reference is None:
        return None
    # A combination of flags has no name of its own; it is told by its value.
    plain = value.name in type(value).__members__ if value.name is not None else False
    return "enum", (reference, (True, value.name) if plain else (False, value.value))


def _rebuild_enum(cls: type[Any], content: tuple[bool, Any]) -> Any:
    if not issubclass(cls, enum.Enum):
        raise CorruptBufferError(f"{cls.__qualname__} is not an Enum")
    by_name, which = content
    return cls[which] if by_name else cls(which)


def _reduce_namedtuple(value: Any) -> Reduced | None:
    reference = class_reference(type(value))
    plain = reference is not None and not getattr(value, "__dict__", None)
    return ("namedtuple", (reference, list(value))) if plain else None


def _rebuild_namedtuple(cls: type[Any], content: list[Any]) -> Any:
    fields = getattr(cls, "_fields", None)
    if not issubclass(cls, tuple) or fields is None or len(fields) != len(content):
        raise CorruptBufferError(f"{cls.__qualname__} is no named tuple of {len(content)} fields")
    return tuple.__new__(cls, content)


#: A class that defines one of these knows better than its fields how it is carried.
_PICKLE_HOOKS = (
    "__reduce__",
    "__reduce_ex__",
    "__getstate__",
    "__setstate__",
    "__getnewargs__",
    "__getnewargs_ex__",
)


def _reduce_dataclass(value: Any) -> Reduced | None:
    cls = type(value)
    reference = class_reference(cls)
    if reference is None or _has_pickle_hooks(cls):
        return None
    state = _state(value)
    names = [field.name for field in dataclasses.fields(value)]
    if not state.keys() <= set(names):
        return None
    return "dataclass", (reference, {name: state[name] for name in names if name in state})


def _state(value: Any) -> dict[str, Any]:
    """What an object holds in its ``__dict__`` and in the slots of its class and their bases."""
    found: Any = object.__getstate__(value)
    parts = found if isinstance(found, tuple) else (found,)
    return {name: held for part in parts if part for name, held in part.items()}


def _has_pickle_hooks(cls: type[Any]) -> bool:
    if not isinstance(cls, type) or issubclass(cls, (BaseException, dict, list, str, int, tuple)):
        return True
    hooks = (base.__dict__.get(hook) for base in cls.__mro__[:-1] for hook in _PICKLE_HOOKS)
    # Frozen dataclasses with slots are given hooks that carry just the fields.
    return any(hook and getattr(hook, "__module__", None) != "dataclasses" for hook in hooks)


def _rebuild_dataclass(cls: type[Any], content: dict[str, Any]) -> Any:
    if not dataclasses.is_dataclass(cls):
        raise CorruptBufferError(f"{cls.__qualname__} is not a dataclass")
    known = {field.name for field in dataclasses.fields(cls)}
    if not known.issuperset(content):
        extra = sorted(set(content) - known)
        raise CorruptBufferError(f"{cls.__qualname__} has no fields {extra}")
    value = object.__new__(cls)
    for name, field in content.items():
        # Also sets fields of frozen classes and slots; __init__ and __post_init__ do not run.
        object.__setattr__(value, name, field)
    return value


_REDUCERS: dict[type[Any], Reduce] = {
    datetime.datetime: _reduce_datetime,
    datetime.date: lambda v: ("date", (v.year, v.month, v.day)),
    datetime.time: _reduce_time,
    datetime.timedelta: lambda v: ("timedelta", (v.days, v.seconds, v.microseconds)),
    datetime.timezone: _reduce_timezone,
    zoneinfo.ZoneInfo: _reduce_zone,
    decimal.Decimal: lambda v: ("decimal", str(v)),
    uuid.UUID: lambda v: ("uuid", (v.bytes, v.is_safe.value)),
    OrderedDict: lambda v: ("ordereddict", list(v.items())) if not v.__dict__ else None,
    memoryview: _reduce_memoryview,
    range: lambda v: ("range", (v.start, v.stop, v.step)),
    slice: lambda v: ("slice", (v.start, v.stop, v.step)),
    np.ndarray: arrays.reduce_array,
    **tensors.REDUCERS,
}

_REBUILDERS: dict[str, Callable[[Any], Any]] = {
    "datetime": _rebuild_datetime,
    "date": lambda c: datetime.date(*c),
    "time": _rebuild_time,
    "timedelta": lambda c: datetime.timedelta(*c),
    "timezone": _rebuild_timezone,
    "zoneinfo": lambda c: zoneinfo.ZoneInfo(c),
    "decimal": lambda c: decimal.Decimal(c),
    "uuid": lambda c: uuid.UUID(bytes=c[0], is_safe=uuid.SafeUUID(c[1])),
    "ordereddict": lambda c: OrderedDict(c),
    "memoryview": _rebuild_memoryview,
    "range": lambda c: range(*c),
    "slice": lambda c: slice(*c),
    **arrays.REBUILDERS,
    **tensors.REBUILDERS,
}

_CLASS_REBUILDERS: dict[str, Callable[[type[Any], Any], Any]] = {
    "enum": _rebuild_enum,
    "namedtuple": _rebuild_namedtuple,
    "dataclass": _rebuild_dataclass,
}
