"""encode and decode, and packing their items by hand: the contracts of the module."""

import numpy as np
import pytest
import torch
from codec_sameness import assert_same

from transfer_queue.errors import CorruptBufferError, InvalidArgumentError
from transfer_queue.utils import serial_utils
from transfer_queue.utils.serial_utils import (
    MsgpackDecoder,
    MsgpackEncoder,
    batch_decode_from,
    calc_packed_size,
    decode,
    encode,
    pack_into,
    unpack_from,
)


def test_each_dense_tensor_and_numeric_array_adds_one_item():
    value = {"a": torch.ones(2), "b": [np.arange(3), torch.zeros(())], "c": "text", "d": 1}
    assert len(encode(value)) == 4
    assert len(encode("text")) == 1
    assert len(encode(np.array([1, "a"], object))) == 1


def test_the_first_item_is_the_structure_as_bytes():
    header = encode({"name": torch.zeros(10_000)})[0]
    assert type(header) is bytes
    assert b"name" in header
    assert len(header) < 100


def test_frames_are_views_of_the_values_memory():
    tensor, array = torch.arange(100), np.arange(100)
    items = encode([tensor, array])
    for item, source in zip(items[1:], [tensor.numpy(), array], strict=True):
        assert np.shares_memory(np.frombuffer(item, np.int64), source)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, np.asarray, "array", "tensor"])
def test_decode_takes_items_of_every_kind_of_buffer(kind):
    value = {"a": torch.arange(5), "b": np.arange(3.0)}
    kinds = {
        "array": lambda item: np.frombuffer(item, np.uint8),
        "tensor": lambda item: torch.frombuffer(bytearray(item), dtype=torch.uint8),
    }
    convert = kinds.get(kind, kind)
    assert_same(decode([convert(item) for item in encode(value)]), value)
    assert_same(decode(tuple(encode(value))), value)


def test_encoder_and_decoder_objects_do_the_same():
    value = {"a": torch.arange(5), "b": (1, 2)}
    for encoder in (MsgpackEncoder(), serial_utils._encoder):
        for decoder in (MsgpackDecoder(), serial_utils._decoder):
            assert_same(decoder.decode(encoder.encode(value)), value)
    assert [bytes(item) for item in MsgpackEncoder().encode(value)] == list(
        map(bytes, encode(value))
    )


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_decoder_takes_a_single_buffer_for_a_list_of_one(kind):
    assert MsgpackDecoder().decode(kind(encode({"a": 1})[0])) == {"a": 1}


def test_the_same_value_gives_the_same_bytes():
    def value():
        return {"a": torch.arange(5), "b": [1, "x", 2.5, None], "c": np.ones(3)}

    assert list(map(bytes, encode(value()))) == list(map(bytes, encode(value())))


ITEMS = {
    "none": [],
    "one": [b"header"],
    "an empty one": [b""],
    "some": [b"header", b"", b"x" * 63, b"y" * 64, b"z" * 65],
    "many": [bytes([n % 256]) * (n % 7) for n in range(300)],
    "of every kind": [
        b"header",
        bytearray(b"ab"),
        memoryview(b"cd"),
        np.arange(5),
        torch.arange(6, dtype=torch.int16),
        np.zeros((3, 4), np.float32),
    ],
}


def raw(item):
    return item.numpy().tobytes() if isinstance(item, torch.Tensor) else bytes(memoryview(item))


@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("name", ITEMS)
def test_items_come_back_from_their_packed_buffer(name, checksum):
    items = ITEMS[name]
    size = calc_packed_size(items)
    assert size % 64 == 0
    target = bytearray(b"\xaa" * (size + 100))
    assert pack_into(target, items, checksum=checksum) == size
    assert target[size:] == b"\xaa" * 100
    back = unpack_from(target)
    assert all(type(item) is memoryview for item in back)
    assert list(map(bytes, back)) == list(map(raw, items))


@pytest.mark.parametrize("missing", [1, 64, 10_000])
def test_a_target_that_is_too_small_is_a_value_error_and_stays_as_it_was(missing):
    items = [b"header", b"x" * 500]
    size = calc_packed_size(items)
    target = bytearray(b"\xaa" * max(0, size - missing))
    before = bytes(target)
    with pytest.raises(ValueError, match=rf"pack_into.*{len(target)}.*{size}"):
        pack_into(target, items)
    assert bytes(target) == before


def test_a_read_only_target_is_refused():
    with pytest.raises(InvalidArgumentError, match=r"pack_into.*read-only"):
        pack_into(bytes(1_000), [b"a"])


def test_a_target_that_holds_an_item_is_refused():
    target = bytearray(b"\xaa" * 1_000)
    with pytest.raises(InvalidArgumentError, match=r"pack_into.*inside the target"):
        pack_into(target, [b"a", memoryview(target)[500:600]])
    assert target == b"\xaa" * 1_000


@pytest.mark.parametrize("wrong", [5, "text", None, [1]])
def test_what_is_no_buffer_is_a_type_error(wrong):
    for work in (
        lambda: decode([wrong]),
        lambda: batch_decode_from([wrong]),
        lambda: calc_packed_size([wrong]),
        lambda: unpack_from(wrong),
        lambda: pack_into(wrong, []),
    ):
        with pytest.raises(TypeError):
            work()


def test_items_with_gaps_are_refused():
    for item in (memoryview(b"abcd")[::2], np.zeros((4, 4))[::2, ::2], torch.zeros(4)[::2]):
        with pytest.raises((BufferError, ValueError)):
            calc_packed_size([item])


def test_views_of_unpack_are_writable_where_the_buffer_is():
    target = bytearray(calc_packed_size([b"header", b"frame"]))
    pack_into(target, [b"header", b"frame"])
    unpack_from(target)[1][:] = b"FRAME"
    assert bytes(unpack_from(target)[1]) == b"FRAME"
    assert unpack_from(bytes(target))[1].readonly


def test_packed_items_are_what_a_batch_decodes():
    items = encode({"a": torch.arange(3)})
    target = bytearray(calc_packed_size(items))
    pack_into(target, items)
    assert_same(batch_decode_from([target]), [{"a": torch.arange(3)}])


def test_a_packed_buffer_without_items_holds_no_value():
    target = bytearray(calc_packed_size([]))
    pack_into(target, [])
    with pytest.raises(CorruptBufferError, match="no value"):
        batch_decode_from([target])
    with pytest.raises(CorruptBufferError, match="empty"):
        decode([])


def test_an_empty_batch_decodes_to_nothing():
    assert batch_decode_from([]) == []


def test_the_words_of_the_older_module_are_there():
    codes = {serial_utils.CUSTOM_TYPE_PICKLE, serial_utils.CUSTOM_TYPE_CLOUDPICKLE}
    codes |= {serial_utils.CUSTOM_TYPE_TENSOR, serial_utils.CUSTOM_TYPE_NESTED_TENSOR}
    assert codes | {serial_utils.CUSTOM_TYPE_NUMPY} == {1, 2, 3, 4, 5}
