"""What only pickle can carry: callables and objects of other classes, tensors beside the pickle."""

import collections
import fractions
import functools
import operator
import pathlib
import re
import threading
import types

import codec_classes as classes
import numpy as np
import pytest
import torch
from codec_buffers import WAYS, by_batch, packed
from codec_sameness import assert_same

from transfer_queue.errors import CorruptBufferError, UnsupportedValueError
from transfer_queue.utils.serial_utils import batch_decode_from, encode


@pytest.mark.parametrize("way", WAYS)
def test_functions_of_a_module_come_back_as_the_same_object(way):
    for function in (
        classes.a_function,
        operator.add,
        len,
        torch.relu,
        np.sum,
        int,
        memoryview,
        classes.Plain,
    ):
        assert way(function) is function


def test_lambdas_and_closures_work_afterwards():
    factor = 3

    def scaled(value, *, plus=0):
        return value * factor + plus

    assert by_batch(lambda value: value + factor)(1) == 4
    assert by_batch(scaled)(2, plus=1) == 7


def test_partials_and_methods_work_afterwards():
    part = by_batch(functools.partial(classes.a_function, 4))
    assert part() == 5
    assert part.func is classes.a_function
    assert by_batch(classes.Callable(3).method)(4) == 7
    assert by_batch(classes.Callable(3))(4) == 12
    assert by_batch("text".upper)() == "TEXT"


def test_local_classes_work_afterwards():
    class Doubler:
        def __call__(self, value):
            return 2 * value

    assert by_batch(Doubler)()(4) == 8
    assert by_batch(Doubler())(4) == 8


OBJECTS = {
    "a plain object": classes.Plain([1, (2,)]),
    "default dict": collections.defaultdict(list, a=[1]),
    "counter": collections.Counter("aab"),
    "deque": collections.deque([1, (2,)], maxlen=3),
    "paths": [pathlib.Path("/a/b"), pathlib.PurePosixPath("x"), pathlib.PureWindowsPath("c:\\x")],
    "fraction": fractions.Fraction(1, 3),
    "expression": re.compile("a.b", re.IGNORECASE),
    "constants": [Ellipsis, NotImplemented, torch.channels_last],
    "namespace": types.SimpleNamespace(a=1, b=[2]),
    "subclasses of builtins": [
        classes.MyInt(5),
        classes.MyFloat(1.5),
        classes.MyStr("x"),
        classes.MyList([1]),
        classes.MyDict(a=1),
    ],
    "what torch returns from max": torch.arange(6.0).reshape(3, 2).max(0),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OBJECTS)
def test_objects_survive(name, way):
    assert_same(way(OBJECTS[name]), OBJECTS[name])


def test_exceptions_survive():
    back = by_batch(ValueError("x", 1))
    assert type(back) is ValueError
    assert back.args == ("x", 1)


def test_an_ordered_dict_with_attributes_keeps_them():
    value = collections.OrderedDict(a=1)
    value.note = "here"
    assert by_batch(value).note == "here"


def test_a_default_dict_keeps_its_factory():
    back = by_batch(collections.defaultdict(list, a=[1]))
    assert back["new"] == []


def features():
    data = {"pixels": torch.rand(4, 8), "ids": torch.arange(5), "mask": np.ones(3, bool)}
    return classes.BatchFeature(data, tensor_type="pt")


@pytest.mark.parametrize("way", WAYS)
def test_a_batch_feature_comes_back_with_equal_tensors(way):
    value = features()
    back = way({"inputs": value})["inputs"]
    assert_same(back, value)
    assert back.tensor_type == "pt"
    assert torch.equal(back.pixels, value.pixels)


def test_tensors_of_an_object_travel_outside_its_pickle():
    items = encode(features())
    assert len(items) > 2
    sizes = [memoryview(item).nbytes for item in items[1:]]
    assert 4 * 8 * 4 in sizes
    assert 5 * 8 in sizes
    big = classes.Plain(torch.zeros(100_000))
    assert memoryview(encode(big)[0]).nbytes < 2_000


def test_tensors_of_an_object_are_views_of_the_buffer():
    buffer = packed(classes.Plain(torch.zeros(3)))
    batch_decode_from([buffer])[0].value[0] = 7
    assert batch_decode_from([buffer])[0].value.tolist() == [7, 0, 0]


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_tensors_of_all_kinds_inside_an_object_survive():
    values = [
        torch.arange(6).reshape(2, 3).t(),
        torch.ones(2, requires_grad=True),
        torch.nn.Parameter(torch.ones(2)),
        torch.ones(2).to(torch.float8_e5m2),
        torch.tensor([1j]).conj(),
        torch.nested.as_nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
        torch.eye(3).to_sparse(),
        np.arange(6)[::-1],
        np.array(["a"]),
        np.array([1, "a", None], object),
        np.ma.array([1, 2], mask=[0, 1]),
    ]
    back = by_batch(classes.Plain(values)).value
    for mine, theirs in zip(back[:-1], values[:-1], strict=True):
        assert_same(mine, theirs)
    assert back[-1].mask.tolist() == [False, True]


def test_references_within_an_object_stay_one():
    shared = [1]
    value = classes.Plain([shared, shared])
    value.me = value
    back = by_batch(value)
    assert back.me is back
    assert back.value[0] is back.value[1]


def test_modules_of_torch_survive():
    module = torch.nn.Linear(2, 3)
    back = by_batch(module)
    assert torch.equal(back.weight, module.weight)
    assert isinstance(back.weight, torch.nn.Parameter)


@pytest.mark.parametrize("value", [threading.Lock(), (x for x in "ab")], ids=["lock", "generator"])
def test_what_pickle_cannot_carry_is_refused_with_its_place(value):
    with pytest.raises(UnsupportedValueError, match=rf"{type(value).__name__}.*value\['a'\]\[2\]"):
        encode({"a": (0, 1, value)})


class Unreadable:
    def __reduce__(self):
        return operator.truediv, (1, 0)


def test_a_pickle_that_cannot_be_read_is_a_corrupt_buffer():
    buffer = packed(Unreadable())
    with pytest.raises(CorruptBufferError, match="division by zero"):
        batch_decode_from([buffer])
