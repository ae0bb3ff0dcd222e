"""Builtin values come back equal and of the same type."""

import array
import struct
from collections import OrderedDict

import numpy as np
import pytest
import torch
from codec_buffers import WAYS, by_batch, packed
from codec_classes import Colour, Point, Span
from codec_sameness import assert_same

from transfer_queue.errors import UnsupportedValueError
from transfer_queue.utils.serial_utils import encode


def nan(payload):
    return struct.unpack("<d", payload.to_bytes(8, "little"))[0]


NUMBERS = {
    "None": None,
    "True": True,
    "False": False,
    "floats": [0.0, -0.0, float("inf"), -float("inf"), 5e-324, 1.7976931348623157e308],
    "NaNs": [nan(0x7FF8000000000000), nan(0xFFF8000000000001), nan(0x7FF8DEADBEEF0000)],
    "complex": [1 + 2j, complex(-0.0, float("nan")), complex(float("inf"), -0.0)],
    "powers of two": [s * (1 << n) for n in range(140) for s in (1, -1)],
    "beside powers of two": [
        s * (1 << n) + d for n in range(140) for s in (1, -1) for d in (1, -1)
    ],
    "huge integers": [1 << 100_000, -(1 << 100_000), 3**5_000, -(3**5_000)],
}
TEXTS = {
    "no text": "",
    "text of every width": "aé€😀",
    "with zeros": "a\0b\0",
    "at the size of a frame": ["x" * n for n in (1_022, 1_023, 1_024, 1_025)],
    "wide, at the size of a frame": ["ä" * n for n in (511, 512, 513)],
    "with lone surrogates": ["\ud800", "a\udfffb", "\udc80" * 3_000, "\ud83d\ude00"],
    "bytes": [b"", b"\0", b"\xff" * 1_023, b"x" * 1_024, b"x" * 100_000],
    "bytearrays": [bytearray(), bytearray(b"abc"), bytearray(1_023), bytearray(5_000)],
}
CONTAINERS = {
    "empty": [[], (), {}, set(), frozenset(), range(0), slice(None)],
    "tuple in list in tuple": (1, [(2, [()])]),
    "torch.Size": torch.Size([2, 3]),
    "sets": [{1, "a", (2, 3), None}, frozenset({frozenset(), b"x", 2.5})],
    "lists longer than 65535": list(range(70_000)),
    "sets of many": set(range(70_000)),
    "ranges and slices": [
        range(1, 10, 3),
        range(10**30),
        range(5, -5, -2),
        slice(1, None, 2),
        slice("a", ()),
    ],
    "named tuples": [Point(1, [2]), Span(1), Span(start=(), stop=None)],
    "ordered dict": OrderedDict([("b", 1), ("a", OrderedDict())]),
    "a dict in its order": {"b": 1, "a": 2, "c": {"z": 0, "y": 1}},
    "torch words": [torch.float32, torch.device("cuda:1"), torch.sparse_csr, torch.bits8],
}
KEYS = [
    *(1, -1, 2**70, True, None, 2.5, float("nan"), float("inf"), 1j),
    *("a", "\ud800", b"x", (), (1, (2,)), frozenset({1}), Point(1, 2), range(3)),
    *(Colour.RED, torch.float32, np.float32(1.5), np.str_("np")),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "value",
    [*NUMBERS.values(), *TEXTS.values(), *CONTAINERS.values()],
    ids=[*NUMBERS, *TEXTS, *CONTAINERS],
)
def test_builtin_values_survive(value, way):
    assert_same(way(value), value)


@pytest.mark.parametrize("name", [*NUMBERS, *TEXTS, *CONTAINERS])
def test_builtin_values_need_no_pickle(name):
    packed({**NUMBERS, **TEXTS, **CONTAINERS}[name], allow_pickle=False)


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_any_hashable_key_survives(key):
    assert_same(by_batch({key: [key]}), {key: [key]})


def test_keys_of_all_kinds_in_one_dict_keep_their_order():
    value = {key: position for position, key in enumerate(KEYS)}
    assert_same(by_batch(value), value)


def test_true_and_one_as_elements_stay_apart():
    assert_same(by_batch([True, 1, 1.0, False, 0]), [True, 1, 1.0, False, 0])


def test_a_list_twice_in_a_value_comes_back_as_two():
    inner = [1]
    first, second = by_batch([inner, inner])
    first.append(2)
    assert second == [1]


MEMORYVIEWS = {
    "of bytes": memoryview(b"abc"),
    "of a bytearray": memoryview(bytearray(b"abc")),
    "of nothing": memoryview(b""),
    "of many bytes": memoryview(b"a" * 5_000),
    "of integers": memoryview(array.array("i", [1, -2, 3])),
    "of doubles in two dimensions": memoryview(np.arange(6.0).reshape(2, 3)),
    "with steps": memoryview(b"abcdef")[::2],
    "without dimensions": memoryview(np.array(3.0)),
    "of no integers": memoryview(np.zeros(0, "i4")),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MEMORYVIEWS)
def test_memoryviews_keep_format_and_shape(name, way):
    assert_same(way(MEMORYVIEWS[name]), MEMORYVIEWS[name])


@pytest.mark.parametrize("source", [np.zeros((0, 2), "i4"), np.zeros(2, ">i4"), np.zeros(2, "F")])
def test_memoryviews_that_cannot_be_rebuilt_are_refused(source):
    with pytest.raises(UnsupportedValueError, match=r"memoryview.*cannot be rebuilt.*value\[0\]"):
        encode([memoryview(source)])
