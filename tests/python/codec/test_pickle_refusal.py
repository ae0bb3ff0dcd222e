"""With pickle switched off nothing is pickled or unpickled, and the error says what and where."""

import codec_classes as classes
import numpy as np
import pytest
import torch
from codec_buffers import by_batch, packed, separate
from codec_headers import PICKLE, ext, read

from transfer_queue.errors import PickleRefusedError
from transfer_queue.utils.serial_utils import (
    MsgpackDecoder,
    MsgpackEncoder,
    batch_decode_from,
    batch_encode_into,
    decode,
    encode,
    set_allow_pickle,
)

ONLY_PICKLED = {
    "object": (classes.Plain(1), "codec_classes.Plain"),
    "function": (classes.a_function, "function"),
    "lambda": (lambda: 1, "function"),
    "class": (classes.Plain, "type"),
    "array subclass": (np.ma.array([1]), "MaskedArray"),
    "int subclass": (classes.MyInt(1), "codec_classes.MyInt"),
    "features": (classes.BatchFeature({"a": torch.ones(2)}), "codec_classes.BatchFeature"),
}


class Trap:
    """Says so if it was unpickled."""

    sprung = False

    def __reduce__(self):
        return _spring, ()


def _spring():
    Trap.sprung = True


@pytest.mark.parametrize("name", ONLY_PICKLED)
def test_encoding_is_refused_with_type_and_place(name):
    value, type_name = ONLY_PICKLED[name]
    place = r"value\['a'\]\[1\]\[0\]"
    with pytest.raises(PickleRefusedError, match=rf"{type_name}.*allow_pickle.*{place}"):
        encode({"x": 0, "a": [1, (value,)]}, allow_pickle=False)


@pytest.mark.parametrize(
    ("around", "place"),
    [
        (lambda x: {("k", 1): x}, r"value\[\('k', 1\)\]"),
        (lambda x: classes.Frozen("n", (0, x)), r"value<dataclass>.*\['parts'\]\[1\]"),
        (lambda x: np.array([None, x], object), r"value<numpy.objects>.*\[1\]"),
        (lambda x: [[x]], r"value\[0\]\[0\]"),
        (lambda x: x, "at value$"),
    ],
    ids=["dict", "dataclass", "array", "lists", "alone"],
)
def test_the_place_is_told_inside_every_kind_of_container(around, place):
    with pytest.raises(PickleRefusedError, match=place):
        encode(around(classes.Plain(1)), allow_pickle=False)


def test_a_refused_batch_asks_for_no_memory():
    def allocate(sizes):
        raise AssertionError("the allocator must not be called")

    with pytest.raises(PickleRefusedError):
        batch_encode_into([1, classes.Plain(1)], allocate, allow_pickle=False)


@pytest.mark.parametrize("inside", [lambda x: x, lambda x: {"a": [x]}])
def test_decoding_is_refused_and_unpickles_nothing(inside):
    value = inside(Trap())
    buffer, items = packed(value), encode(value)
    for read_it in (
        lambda: batch_decode_from([buffer], allow_pickle=False),
        lambda: decode(items, allow_pickle=False),
    ):
        with pytest.raises(PickleRefusedError, match=r"pickled value.*allow_pickle"):
            read_it()
    assert Trap.sprung is False


def test_a_pickle_hidden_in_a_named_value_is_refused():
    hidden = ext(PICKLE, b"\x80\x05N.", [])
    with pytest.raises(PickleRefusedError):
        read({"a": [hidden]})
    assert read({"a": [hidden]}, allow_pickle=True) == {"a": [None]}


def test_the_refusal_is_also_a_type_error():
    with pytest.raises(TypeError):
        encode(classes.Plain(1), allow_pickle=False)


@pytest.mark.usefixtures("pickle_off")
class TestTheSettingOfTheProcess:
    def test_it_holds_where_nothing_is_said(self):
        with pytest.raises(PickleRefusedError):
            encode(classes.Plain(1))
        with pytest.raises(PickleRefusedError):
            batch_encode_into([classes.Plain(1)], separate)
        with pytest.raises(PickleRefusedError):
            MsgpackEncoder().encode(classes.Plain(1))

    def test_it_holds_for_decoding(self):
        items = encode(classes.Plain(1), allow_pickle=True)
        with pytest.raises(PickleRefusedError):
            decode(items)
        with pytest.raises(PickleRefusedError):
            MsgpackDecoder().decode(items)
        buffer = packed(classes.Plain(1), allow_pickle=True)
        with pytest.raises(PickleRefusedError):
            batch_decode_from([buffer])

    def test_the_argument_wins_over_it(self):
        items = encode(classes.Plain(1), allow_pickle=True)
        assert decode(items, allow_pickle=True) == classes.Plain(1)

    def test_everything_else_still_works(self):
        assert by_batch({"a": (1, torch.ones(2).sum().item())}) == {"a": (1, 2.0)}

    def test_it_can_be_switched_on_again(self):
        set_allow_pickle(True)
        assert by_batch(classes.Plain(1)) == classes.Plain(1)
