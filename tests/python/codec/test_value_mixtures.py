"""Random nested mixtures of everything survive, by every way and in any batch."""

import datetime as dt

import codec_classes as classes
import numpy as np
import torch
from codec_buffers import ALLOCATORS, by_frames, by_items
from codec_sameness import assert_same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transfer_queue.utils.serial_utils import batch_decode_from, batch_encode_into

relaxed = settings(
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

DTYPES = [torch.uint8, torch.int64, torch.float32, torch.bfloat16, torch.bool, torch.complex64]
CODES = ["u1", "<i8", ">f4", "?", "M8[us]", "S3", "U2"]
shapes = st.lists(st.integers(0, 3), max_size=4)


def tensor_of(dtype, shape, transposed):
    tensor = torch.arange(torch.Size(shape).numel()).remainder(2).to(dtype).reshape(shape)
    return tensor.transpose(0, -1) if transposed and shape else tensor


def array_of(code, shape, transposed):
    array = np.arange(torch.Size(shape).numel()).astype(code).reshape(shape)
    return array.T if transposed else array


def objects_of(elements):
    array = np.empty(len(elements), object)
    for position, element in enumerate(elements):
        array[position] = element
    return array


tensors = st.builds(tensor_of, st.sampled_from(DTYPES), shapes, st.booleans())
arrays = st.builds(array_of, st.sampled_from(CODES), shapes, st.booleans())
hashables = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | st.complex_numbers()
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
    | st.timedeltas()
    | st.uuids()
    | st.sampled_from([*classes.Colour, *classes.Bits, *classes.Role, torch.int8]),
    lambda inner: (
        st.tuples(inner, inner)
        | st.frozensets(inner, max_size=3)
        | st.builds(classes.Point, inner, inner)
    ),
    max_leaves=5,
)
leaves = hashables | tensors | arrays | st.binary().map(bytearray)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(hashables, inner, max_size=4)
        | st.sets(hashables, max_size=4)
        | st.builds(classes.Slotted, inner, st.lists(inner, max_size=2))
        | st.builds(classes.Frozen, st.text(), st.tuples(inner))
        | st.builds(classes.Plain, inner).map(lambda plain: [plain])
        | st.lists(inner, max_size=3).map(objects_of)
    ),
    max_leaves=12,
)


@settings(relaxed, max_examples=150)
@given(value=values)
def test_mixtures_survive_as_frames_and_as_items(value):
    assert_same(by_frames(value), value)
    assert_same(by_items(value), value)


@settings(relaxed, max_examples=150)
@given(
    batch=st.lists(values, max_size=5),
    allocate=st.sampled_from(ALLOCATORS),
    workers=st.integers(1, 4),
    checksum=st.booleans(),
)
def test_batches_of_mixtures_survive(batch, allocate, workers, checksum):
    buffers, sizes = batch_encode_into(batch, allocate, num_workers=workers, checksum=checksum)
    assert all(size % 64 == 0 for size in sizes)
    assert_same(batch_decode_from(buffers), batch)
