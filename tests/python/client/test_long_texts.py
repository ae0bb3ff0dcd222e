"""Strings and bytes of batches that are large enough to be made by several threads."""

import random
import sys

import pytest
from tensordict import NonTensorStack, TensorDict

ALPHABETS = {
    "ascii": "abc xyz\n\x00\x7f",
    "latin": "abc\xe9\xff\x80",
    "chinese": "中文字,。a",
    "symbols": "\u0100\u20ac\ud7ff\uffff",
    "emoji": "😀🙂\U0010ffffab",
    "mostly ascii": "abcdefghijklmnopqrstuvwxyz" * 20 + "é",
    "one wide": "abcdefghijklmnopqrstuvwxyz" * 200 + "中",
}
LENGTHS = [0, 1, 2, 15, 16, 17, 255, 256, 257, 1023, 1024, 1025, 4096, 70_000, 2_000_000]


def text(name, length, seed=0):
    some = "".join(random.Random(seed).choices(ALPHABETS[name], k=9973))
    return (some * (length // len(some) + 1))[:length]


def back(tq, rows):
    """The rows as they come back."""
    keys = [f"k{row}" for row in range(len(rows))]
    tq.kv_batch_put(keys, "p", TensorDict({"x": NonTensorStack(*rows)}, batch_size=len(rows)))
    return tq.kv_batch_get(keys, "p")["x"].tolist()


@pytest.mark.parametrize("name", ALPHABETS)
def test_texts_come_back_as_python_makes_them(tq, name):
    rows = [text(name, length, seed) for seed in range(3) for length in LENGTHS]
    got = back(tq, rows)
    assert got == rows
    assert [type(row) for row in got] == [str] * len(rows)
    # One that is stored wider than it needs is equal to no other.
    fresh = ["".join(list(row)) for row in rows]
    assert [sys.getsizeof(row) for row in got] == [sys.getsizeof(row) for row in fresh]
    assert [hash(row) for row in got] == [hash(row) for row in rows]
    assert [row.encode() for row in got] == [row.encode() for row in rows]


def test_rows_of_all_widths_and_kinds_in_one_column(tq):
    rows = [text(name, length) for name in ALPHABETS for length in LENGTHS]
    rows += [None, 1, "\ud800" * 2000, b"x" * 2000, ["a", "b" * 5000]]
    random.Random(0).shuffle(rows)
    assert back(tq, rows) == rows


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_bytes(tq, kind):
    rows = [kind(random.Random(length).randbytes(length)) for length in [*LENGTHS, 5 << 20]]
    got = back(tq, rows)
    assert got == rows
    assert {type(row) for row in got} == {kind}


def test_a_bytearray_is_its_owners(tq):
    (got, other) = back(tq, [bytearray(b"a" * (3 << 20))] * 2)
    got.extend(b"b" * 100)
    del got[0]
    got[0] = 0
    assert bytes(got) == b"\0" + b"a" * ((3 << 20) - 2) + b"b" * 100
    assert other == b"a" * (3 << 20)


def test_texts_inside_other_values(tq):
    def value(seed):
        long = {name: text(name, 100_000 + seed, seed) for name in ALPHABETS}
        return {
            "messages": [{"role": "user", "content": content} for content in long.values()],
            long["chinese"]: 1,
            "set": {long["ascii"], long["emoji"], "short"},
            "frozen": frozenset([long["latin"]]),
            "pair": (long["symbols"], b"i" * 30_000),
        }

    rows = [value(seed) for seed in range(8)]
    got = back(tq, rows)
    assert got == rows
    assert got[3][text("chinese", 100_003, 3)] == 1


def test_one_long_text(tq):
    row = text("mostly ascii", 6_000_000)
    assert back(tq, [row]) == [row]
