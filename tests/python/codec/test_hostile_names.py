"""Headers that name classes and types they should not: nothing is imported, nothing is called."""

import sys
import types

import codec_classes as classes
import pytest
from codec_headers import FLOAT32, Raw, ext, named, pack, read, tensor

from transfer_queue.errors import CorruptBufferError, TransferQueueError
from transfer_queue.utils.serial_utils import (
    batch_decode_from,
    calc_packed_size,
    pack_into,
    unpack_from,
)

CONTENTS = {"enum": (True, "RED"), "dataclass": {"a": 1}, "namedtuple": [1, 2]}
KINDS = pytest.mark.parametrize("kind", CONTENTS)


def refer(kind, module, name, content=None):
    return named(kind, ((module, name), CONTENTS[kind] if content is None else content))


def test_references_to_the_right_classes_are_followed():
    assert read(refer("enum", "codec_classes", "Colour")) is classes.Colour.RED
    assert read(refer("namedtuple", "codec_classes", "Point")) == classes.Point(1, 2)
    assert read(refer("dataclass", "codec_classes", "KeywordOnly")).a == 1


@KINDS
@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("codec_classes", "NOT_A_CLASS"),
        ("codec_classes", "a_function"),
        ("codec_classes", "NotACallableClass"),
        ("codec_classes", "Colour.RED"),
        ("codec_classes", "nowhere"),
        ("codec_classes", ""),
        ("codec_classes", "Point.__class__"),
        ("codec_classes", "a_function.__globals__"),
        ("os", "path"),
        ("os", "system"),
        ("builtins", "int"),
        ("builtins", "object"),
        ("subprocess", "Popen"),
        ("torch", "Tensor"),
        ("", "x"),
    ],
)
def test_references_to_anything_else_are_refused(kind, module, name):
    with pytest.raises(CorruptBufferError):
        read(refer(kind, module, name))


@KINDS
def test_references_to_a_class_of_another_kind_are_refused(kind):
    right = {"enum": "Colour", "namedtuple": "Point", "dataclass": "Sample"}
    for other, name in right.items():
        if other != kind:
            with pytest.raises(CorruptBufferError):
                read(refer(kind, "codec_classes", name))


@KINDS
@pytest.mark.parametrize(
    "module", ["this", "antigravity", "wsgiref.simple_server", "no_such_module"]
)
def test_without_pickle_no_module_is_imported(kind, module):
    sys.modules.pop(module, None)
    with pytest.raises(CorruptBufferError, match=rf"import {module} first"):
        read(refer(kind, module, "Anything"))
    assert module not in sys.modules


@KINDS
def test_without_pickle_no_lazy_attribute_of_a_module_is_made(kind, monkeypatch):
    asked = []
    lazy = types.ModuleType("codec_lazy")
    lazy.__getattr__ = asked.append
    monkeypatch.setitem(sys.modules, "codec_lazy", lazy)
    with pytest.raises(CorruptBufferError, match=r"codec_lazy\.Anything"):
        read(refer(kind, "codec_lazy", "Anything"))
    assert not asked


def test_with_pickle_a_module_that_is_not_there_is_a_corrupt_buffer():
    with pytest.raises(CorruptBufferError, match="no_such_module"):
        read(refer("enum", "no_such_module", "X"), allow_pickle=True)


@pytest.mark.parametrize(
    "header",
    [
        named("enum", (("codec_classes", "Colour"), (True, "BLUE"))),
        named("enum", (("codec_classes", "Colour"), (False, 99))),
        named("enum", (("codec_classes", "Colour"), (True, "__class__"))),
        named("enum", (("codec_classes", "Colour"), 5)),
        named("enum", (("codec_classes", 5), (True, "RED"))),
        named("enum", ([1], (True, "RED"))),
        named("enum", None),
        named("namedtuple", (("codec_classes", "Point"), [1])),
        named("namedtuple", (("codec_classes", "Point"), [1, 2, 3])),
        named("namedtuple", (("codec_classes", "Point"), 5)),
        named("dataclass", (("codec_classes", "Sample"), {"nope": 1})),
        named("dataclass", (("codec_classes", "Sample"), {"__class__": 1})),
        named("dataclass", (("codec_classes", "Sample"), {5: 1})),
        named("dataclass", (("codec_classes", "Sample"), [1])),
    ],
)
def test_contents_that_do_not_fit_their_class_are_refused(header):
    with pytest.raises(CorruptBufferError):
        read(header)


@pytest.mark.parametrize("name", ["no such name", "", "numpy", "__class__", "x" * 10_000])
def test_unknown_names_are_refused_by_name(name):
    with pytest.raises(CorruptBufferError, match=f"unknown name '{name}'"):
        read({"a": named(name, 1)})


WRONG_CONTENTS = {
    "date": (1, 99, 1),
    "datetime": (1, 2),
    "time": 5,
    "timedelta": ("x",),
    "timezone": (named("timedelta", (50, 0, 0)), None),
    "zoneinfo": "../../../etc/passwd",
    "decimal": "x",
    "uuid": (b"123", None),
    "range": (1, 2, 0),
    "slice": (1, 2, 3, 4),
    "memoryview": ("i", None, b"abc"),
    "ordereddict": [1],
    "numpy.array": None,
    "numpy.scalar": ("f8", b"123"),
    "numpy.objects": 1,
    "torch.view": ("uint4", 5),
    "torch.parameter": (1, 2, 3),
    "torch.nested.jagged": (None, None, 1, False),
    "torch.nested.strided": (["x"], "float32", False),
    "torch.sparse_coo": (1,),
    "torch.sparse_compressed": (1,),
    "torch.dtype": "nn",
    "torch.device": "nowhere",
    "torch.size": ["x"],
    "torch.layout": "float32",
    "tensordict": (1,),
    "tensordict.stack": (0, [1]),
    "tensordict.data": (["x"], 1),
    "tensordict.rows": 5,
    "tensordict.datastack": (9, 5),
}


@pytest.mark.parametrize("name", WRONG_CONTENTS)
def test_wrong_contents_are_refused_by_name(name):
    with pytest.raises(CorruptBufferError):
        read(named(name, WRONG_CONTENTS[name]))


@pytest.mark.parametrize(
    "content",
    [
        ([5], None, None, False, {"a": tensor(FLOAT32, 0, [2])}),
        ([2**62], None, None, False, {"a": tensor(FLOAT32, 0, [2])}),
        ([2], ["a", "b", "c"], None, False, {"a": tensor(FLOAT32, 0, [2])}),
        ([2], None, "nowhere", False, {"a": tensor(FLOAT32, 0, [2])}),
        ([-2], None, None, False, {"a": tensor(FLOAT32, 0, [2])}),
        ([2], None, None, False, {5: tensor(FLOAT32, 0, [2])}),
    ],
    ids=["rows", "rows beyond memory", "names", "device", "negative", "key"],
)
def test_tensordicts_that_contradict_themselves_are_refused(content):
    with pytest.raises(CorruptBufferError):
        read(named("tensordict", content), bytearray(8))


@pytest.mark.parametrize(
    "header",
    [
        ext(7, [[1]]),
        ext(8, [{}]),
        Raw(b"\xdf\0\0\0\1" + pack([1]) + pack(1)),
        ext(6, 5),
        ext(12, b"\xff\xfe"),
        ext(99, 1),
        ext(-1, 1),
        ext(11, 1.0),
        ext(13, "date"),
        Raw(b""),
        Raw(b"\xdd\xff\xff\xff\xff"),
        Raw(b"\xdf\xff\xff\xff\xff"),
        Raw(b"\xdb\xff\xff\xff\xffx"),
        Raw(b"\xdb\0\0\0\1\xff"),
        Raw(b"\xc1"),
        Raw(pack(1) + pack(2)),
    ],
    ids=[
        "unhashable in a set", "unhashable in a frozenset", "unhashable key", "tuple of no list",
        "surrogates that are none", "unknown tag", "timestamp", "half a complex", "name alone",
        "nothing", "huge list", "huge map", "huge text", "no UTF-8", "never used", "two values",
    ],
)  # fmt: skip
def test_headers_against_the_format_are_refused(header):
    with pytest.raises(CorruptBufferError):
        read(header)


def test_a_lie_is_found_in_a_sealed_packed_buffer_too():
    items = [pack(named("enum", (("this", "X"), (True, "A"))))]
    target = bytearray(calc_packed_size(items))
    pack_into(target, items, checksum=True)
    assert bytes(unpack_from(target)[0]) == items[0]
    with pytest.raises(TransferQueueError, match="import this first"):
        batch_decode_from([target], allow_pickle=False)
