"""What is decoded are writable views that keep their buffer alive, or copies where none can be."""

import gc
import mmap
import weakref

import numpy as np
import pytest
import torch
from codec_buffers import packed
from codec_classes import Plain, Sample
from codec_sameness import assert_same
from tensordict import TensorDict

from transfer_queue.utils.serial_utils import (
    batch_decode_from,
    batch_encode_into,
    decode,
    encode,
    unpack_from,
)

pytestmark = pytest.mark.usefixtures("bridge")

SIZE = 50_000


@pytest.fixture(scope="module", autouse=True)
def _quick_collections():
    """Leaves what was imported out of every collection, which otherwise takes half a second."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def jagged(*rows):
    return torch.nested.as_nested_tensor(list(rows), layout=torch.jagged)


#: name: (a value, what of it is a view)
HOLDERS = {
    "a tensor": (torch.arange(SIZE), lambda back: back),
    "part of a tensor": (torch.arange(2 * SIZE), lambda back: back[SIZE:]),
    "a transposed view": (torch.arange(SIZE).reshape(2, -1), lambda back: back.t()),
    "float8": (torch.ones(SIZE).to(torch.float8_e5m2), lambda back: back),
    "an array": (np.arange(SIZE), lambda back: back),
    "part of an array": (np.arange(2 * SIZE), lambda back: back[SIZE:]),
    "dates": (np.arange(SIZE).astype("M8[s]"), lambda back: back),
    "text": (np.full(SIZE, "abc"), lambda back: back),
    "a nested dict": ({"a": [{"b": (torch.arange(SIZE),)}]}, lambda back: back["a"][0]["b"][0]),
    "jagged values": (jagged(torch.arange(SIZE), torch.arange(9)), lambda back: back),
    "one jagged row": (jagged(torch.arange(SIZE), torch.arange(9)), lambda back: back.unbind()[0]),
    "a sparse tensor": (torch.eye(200).to_sparse(), lambda back: back),
    "a TensorDict": (TensorDict({"a": torch.arange(SIZE)}, [SIZE]), lambda back: back["a"]),
    "a dataclass": (Sample("p", torch.arange(SIZE)), lambda back: back.tokens),
    "beside a pickle": (Plain(torch.arange(SIZE)), lambda back: back.value),
    "a parameter": (torch.nn.Parameter(torch.rand(SIZE)), lambda back: back),
}


def decoded_from_array(value):
    """The value, and a weak reference to the memory it was decoded from."""
    memory = np.frombuffer(bytes(packed(value)), np.uint8).copy()
    (back,) = batch_decode_from([memory])
    return back, weakref.ref(memory)


@pytest.mark.parametrize("name", HOLDERS)
def test_a_view_outlives_everything_else(name):
    value, part_of = HOLDERS[name]
    back, memory = decoded_from_array(value)
    part = part_of(back)
    del back
    gc.collect()
    assert memory() is not None
    # Were the memory free, some of these would be given it.
    trash = [np.full(memory().nbytes, 0xFF, np.uint8) for _ in range(20)]
    del trash
    assert_same(part, part_of(value))
    del part
    gc.collect()
    assert memory() is None


def test_a_mapping_cannot_be_closed_under_a_view():
    buffer = packed({"a": torch.arange(100), "b": np.arange(3)})
    mapping = mmap.mmap(-1, len(buffer))
    mapping[:] = bytes(buffer)
    (back,) = batch_decode_from([mapping])
    for name in ("a", "b"):
        with pytest.raises(BufferError):
            mapping.close()
        del back[name]
    gc.collect()
    mapping.close()


def test_a_bytearray_cannot_be_resized_under_a_view():
    buffer = packed(torch.arange(100))
    (back,) = batch_decode_from([buffer])
    with pytest.raises(BufferError):
        buffer.append(0)
    del back
    gc.collect()
    buffer.append(0)


def test_values_without_frames_hold_no_buffer():
    buffer = packed({"a": 1, "b": "x" * 5_000, "c": bytearray(5_000), "d": torch.zeros(0).tolist()})
    back = batch_decode_from([buffer])
    buffer.append(0)
    assert back[0]["c"] == bytearray(5_000)


@pytest.mark.parametrize("value", [torch.zeros(4), np.zeros(4), np.zeros(4, "M8[s]")])
def test_views_are_writable_and_write_to_the_buffer(value):
    buffer = packed(value)
    first, second = batch_decode_from([buffer, buffer])
    first[:2] = 5
    assert_same(second, first)
    assert first[0] != first[3]


def test_views_can_be_resized_by_torch_without_touching_the_buffer():
    buffer = packed([torch.zeros(4), torch.ones(4)])
    before = bytes(buffer)
    back = batch_decode_from([buffer])[0][0]
    back.set_(torch.full((100,), 9.0))
    assert bytes(buffer) == before


@pytest.mark.parametrize("value", [torch.arange(9), np.arange(9), np.arange(9).astype("M8[s]")])
def test_read_only_buffers_give_writable_copies(value):
    source = bytes(packed(value))
    before = bytes(bytearray(source))
    (back,) = batch_decode_from([source])
    assert_same(back, value)
    back[:] = back[0]
    assert source == before
    assert_same(batch_decode_from([source])[0], value)


def test_what_encode_returns_is_read_only_and_copied_by_decode():
    tensor = torch.zeros(9)
    items = encode(tensor)
    assert all(memoryview(item).readonly for item in items)
    back = decode(items)
    back += 1
    assert torch.equal(tensor, torch.zeros(9))


def test_frames_of_encode_are_the_tensor_itself_and_keep_it_alive():
    tensor = torch.arange(SIZE)
    array = np.arange(SIZE)
    memory = weakref.ref(array)
    items = encode({"t": tensor, "a": array})
    tensor[0] = 77
    assert memoryview(items[1]).cast("q")[0] == 77
    del tensor, array
    gc.collect()
    assert memory() is not None
    assert decode(items)["a"][-1] == SIZE - 1
    del items
    gc.collect()
    assert memory() is None


def test_a_batch_keeps_its_values_no_longer_than_it_is_written():
    array = np.arange(SIZE)
    memory = weakref.ref(array)
    batch_encode_into([array], lambda sizes: [bytearray(sizes[0])])
    del array
    gc.collect()
    assert memory() is None


@pytest.mark.parametrize("offset", [1, 2, 4, 8, 32, 63])
def test_buffers_at_odd_addresses_decode_right(offset):
    value = {
        "double": torch.arange(9.0, dtype=torch.float64),
        "complex": torch.ones(3, dtype=torch.complex128),
        "half": torch.ones(3, dtype=torch.float16),
        "byte": torch.arange(5, dtype=torch.uint8),
        "float8": torch.ones(3).to(torch.float8_e5m2),
        "array": np.arange(5.0),
        "long double": np.ones(3, np.longdouble),
        "dates": np.arange(3).astype("M8[s]"),
        "records": np.ones(3, [("a", "u1"), ("b", "f8")]),
    }
    buffer = packed(value)
    region = memoryview(bytearray(len(buffer) + offset))
    region[offset:] = buffer
    (back,) = batch_decode_from([region[offset:]])
    assert_same(back, value)
    for element in back.values():
        element[0] = element[1]
    assert back["double"].sum() == 37
    assert_same(decode(unpack_from(region[offset:])), batch_decode_from([region[offset:]])[0])


def test_bytes_behind_a_packed_buffer_are_ignored():
    value = {"a": torch.arange(5), "b": "text"}
    buffer = packed(value)
    for behind in (b"\0", b"\xff" * 63, bytes(buffer), b"\xff" * 10_000):
        (back,) = batch_decode_from([buffer + behind])
        assert_same(back, value)


def test_a_tensor_of_a_decoded_value_can_be_encoded_again():
    buffer = packed({"a": torch.arange(9), "b": np.arange(3)})
    (once,) = batch_decode_from([buffer])
    (twice,) = batch_decode_from([packed(once)])
    assert_same(twice, once)
