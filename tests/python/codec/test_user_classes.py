"""Enums, dataclasses and named tuples of the user, by reference to their class."""

import dataclasses
import enum

import codec_classes as classes
import pytest
import torch
from codec_buffers import WAYS, by_batch, packed
from codec_sameness import assert_same

from transfer_queue.errors import PickleRefusedError
from transfer_queue.utils.serial_utils import batch_decode_from, encode

ENUMS = [
    classes.Colour.GREEN,
    classes.Colour.ALSO_RED,
    classes.Level.HIGH,
    classes.Role.TOOL,
    classes.Shape.LINE,
    classes.Access.READ,
    classes.Access.READ | classes.Access.RUN,
    classes.Access(0),
    ~classes.Access.READ,
    classes.Bits.ONE | classes.Bits.TWO,
    classes.Bits(8),
    classes.Bits(0),
]
DATACLASSES = {
    "with a tensor": classes.Sample("p", torch.ones(2), 0.5),
    "frozen": classes.Frozen("a", (1, [2])),
    "with slots": classes.Slotted(1, [2]),
    "frozen, slots, keywords only": classes.KeywordOnly(a=1),
    "nested": classes.Nested(classes.Sample("p", torch.ones(1)), [classes.Frozen("q")]),
    "derived": classes.Derived(1, 2),
    "private fields": classes.Private(1, 2),
}
TUPLES = [
    classes.Point(1, [2]),
    classes.Span(3),
    classes.PointWithSum(5),
    classes.Point(x=(), y=None),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("member", ENUMS, ids=repr)
def test_enum_members_and_flags_come_back_as_the_same_object(member, way):
    back = way(member)
    assert type(back) is type(member)
    assert back == member
    if len(type(member)) and member in list(type(member)):
        assert back is member


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", DATACLASSES)
def test_dataclasses_come_back_field_by_field(name, way):
    assert_same(way(DATACLASSES[name]), DATACLASSES[name])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", TUPLES, ids=repr)
def test_named_tuples_come_back_as_themselves(value, way):
    assert_same(way(value), value)


@pytest.mark.parametrize("value", [*ENUMS, *DATACLASSES.values(), *TUPLES], ids=repr)
def test_enums_dataclasses_and_named_tuples_need_no_pickle(value):
    buffer = packed(value, allow_pickle=False)
    (back,) = batch_decode_from([buffer], allow_pickle=False)
    assert_same(back, value)


def test_tensors_of_a_dataclass_travel_as_frames():
    assert len(encode(classes.Sample("p", torch.ones(2)))) == 2


def test_post_init_does_not_run_again():
    value = classes.Counted(3)
    back = by_batch(value)
    assert (back.value, back.calls) == (6, 1)


def test_a_field_that_was_deleted_stays_away():
    value = classes.Sample("p", torch.ones(2))
    del value.prompt
    back = by_batch(value)
    assert not hasattr(back, "prompt")
    assert_same(back.tokens, value.tokens)


def test_a_slot_that_was_never_set_stays_unset():
    value = classes.Slotted.__new__(classes.Slotted)
    value.a = 1
    back = by_batch(value)
    assert back.a == 1
    assert not hasattr(back, "b")


def test_attributes_beside_the_fields_survive():
    value = classes.Sample("p", torch.ones(2))
    value.extra = [1]
    assert by_batch(value).extra == [1]


def test_slots_of_a_base_that_is_no_dataclass_survive():
    value = classes.OnHiddenSlot(1)
    value.hidden = "kept"
    back = by_batch(value)
    assert (back.a, back.hidden) == (1, "kept")


def test_a_class_that_says_how_it_is_carried_is_asked():
    assert by_batch(classes.WithState(3)) == classes.WithState(3)
    with pytest.raises(PickleRefusedError):
        encode(classes.WithState(3), allow_pickle=False)


def test_a_dataclass_that_is_a_list_keeps_its_elements():
    listed = classes.ListLike(label="x")
    listed.extend([1, 2])
    back = by_batch(listed)
    assert (list(back), back.label) == ([1, 2], "x")


def test_attributes_of_a_named_tuple_survive():
    value = classes.PointWithNote(1, 2)
    value.note = "here"
    back = by_batch(value)
    assert_same(back, value)
    assert back.note == "here"


def test_classes_of_a_function_travel_by_value():
    class Local(enum.Enum):
        A = 1

    @dataclasses.dataclass
    class Record:
        a: int

    back = by_batch([Local.A, Record(5)])
    assert back[0].name == "A"
    assert back[0].value == 1
    assert back[1].a == 5
    with pytest.raises(PickleRefusedError, match="Record"):
        encode(Record(5), allow_pickle=False)
