"""Deep and self-containing values: a clear error or a round trip, never a stack overflow."""

import numpy as np
import pytest
from codec_buffers import WAYS, packed
from codec_classes import Plain
from codec_headers import Raw, read
from codec_processes import run_python

from transfer_queue.errors import (
    CorruptBufferError,
    InvalidArgumentError,
    UnsupportedValueError,
)
from transfer_queue.utils.serial_utils import encode

LIMIT = 1_000


def deep(levels, *, wrap=lambda inner, level: [inner]):
    """``levels`` containers around nothing."""
    value = wrap(None, 0)
    for level in range(1, levels):
        value = wrap(value, level)
    return value


def dict_or_list(inner, level):
    return {"k": inner} if level % 2 else [inner]


def depth(value):
    levels = 0
    while value is not None:
        value = value["k"] if isinstance(value, dict) else value[0]
        levels += 1
    return levels


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("levels", [1, 999, LIMIT])
def test_values_up_to_the_limit_survive(levels, way):
    assert depth(way(deep(levels, wrap=dict_or_list))) == levels


@pytest.mark.parametrize("levels", [LIMIT + 1, 10_000])
@pytest.mark.parametrize("wrap", [dict_or_list, lambda inner, _: (inner,)], ids=["mixed", "tuples"])
def test_deeper_values_are_refused(levels, wrap):
    for encode_it in (encode, packed):
        with pytest.raises(InvalidArgumentError, match=r"deeper than 1000.*value"):
            encode_it(deep(levels, wrap=wrap))


def test_values_that_contain_themselves_are_refused():
    around = []
    around.append(around)
    within = {"a": {}}
    within["a"]["b"] = [within]
    array = np.empty(1, object)
    array[0] = [array]
    for value in (around, within, array):
        with pytest.raises(InvalidArgumentError, match="contains itself"):
            encode(value)
    array[0] = None


def test_frozen_sets_and_keys_survive_deep():
    value = frozenset()
    for _ in range(LIMIT - 2):
        value = frozenset([value])
    for way in WAYS:
        (back,) = way({value: 1})
        for _ in range(LIMIT - 2):
            assert type(back) is frozenset
            (back,) = back
        assert back == frozenset()


def test_deep_values_inside_a_pickled_object_are_refused():
    with pytest.raises(UnsupportedValueError, match=r"Plain.*recursion"):
        encode(Plain(deep(10_000)))


@pytest.mark.parametrize("head", [b"\x91", b"\x81\xc0", b"\xc9\x7f\xff\xff\xff\x06\x91"])
def test_headers_that_nest_too_deep_are_refused(head):
    with pytest.raises(CorruptBufferError):
        read(Raw(head * 100_000 + b"\xc0"))


def test_a_small_stack_is_enough():
    script = """
        import threading
        from codec_buffers import WAYS
        from codec_classes import Plain
        from codec_headers import Raw, named, read
        from test_deep_values import deep, depth, dict_or_list
        from transfer_queue.utils.serial_utils import decode, encode

        around = []
        around.append(around)

        def refused(work):
            try:
                work()
            except (ValueError, TypeError) as error:
                return type(error).__name__

        def run():
            print([depth(way(deep(1_000, wrap=dict_or_list))) for way in WAYS])
            print(refused(lambda: encode(deep(10_000))))
            print(refused(lambda: encode(around)))
            print(refused(lambda: encode(Plain(deep(10_000)))))
            print(refused(lambda: read(Raw(b"\\x91" * 100_000))))
            header = None
            for _ in range(300):
                header = named("ordereddict", [("k", header)])
            print(type(read(header)).__name__)

        threading.stack_size(256 * 1024)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        print("alive")
    """
    assert run_python(script).stdout.splitlines() == [
        "[1000, 1000, 1000]",
        "InvalidArgumentError",
        "InvalidArgumentError",
        "UnsupportedValueError",
        "CorruptBufferError",
        "OrderedDict",
        "alive",
    ]
