"""The allocator of a batch: called once, with all sizes, before a byte is written."""

import numpy as np
import pytest
import torch
from codec_buffers import ALLOCATORS, one_region, separate
from codec_sameness import assert_same

from transfer_queue.errors import UnsupportedValueError
from transfer_queue.utils.serial_utils import (
    batch_decode_from,
    batch_encode_into,
    calc_packed_size,
    encode,
)

BATCH = [
    {"ids": torch.arange(100), "text": "x" * 2_000},
    (1, 2),
    torch.arange(24.0).reshape(2, 3, 4).transpose(0, 2),
    None,
    np.arange(77, dtype=np.uint8),
    [torch.zeros(0), torch.tensor(1.5)],
]


@pytest.mark.parametrize("allocate", ALLOCATORS)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_batch_survives_in_buffers_of_every_kind(allocate, workers):
    buffers, sizes = batch_encode_into(BATCH, allocate, num_workers=workers)
    assert [memoryview(np.asarray(buffer)).nbytes for buffer in buffers] == sizes
    assert_same(batch_decode_from(buffers), BATCH)


@pytest.mark.parametrize("batch", [[], [None], BATCH, [[]] * 100])
def test_the_allocator_is_called_once_with_the_sizes_that_are_returned(batch):
    calls = []

    def allocate(sizes):
        calls.append(list(sizes))
        return separate(sizes)

    buffers, sizes = batch_encode_into(batch, allocate)
    assert calls == [sizes]
    assert type(sizes) is list
    assert len(buffers) == len(batch)


def test_sizes_are_what_packing_the_items_would_need():
    _, sizes = batch_encode_into(BATCH, separate)
    assert sizes == [calc_packed_size(encode(value)) for value in BATCH]
    assert all(size % 64 == 0 for size in sizes)


def test_the_bytes_are_those_of_packing_alone():
    together, _ = batch_encode_into(BATCH, one_region)
    alone = [batch_encode_into([value], separate)[0][0] for value in BATCH]
    assert [bytes(buffer) for buffer in together] == [bytes(buffer) for buffer in alone]


def test_nothing_is_written_before_the_allocator_returns():
    region = bytearray(b"\xaa" * 100_000)
    seen = []

    def allocate(sizes):
        seen.append(bytes(region))
        return [memoryview(region)[: sizes[0]]]

    batch_encode_into([torch.arange(1_000)], allocate)
    assert seen == [b"\xaa" * 100_000]


def test_what_the_allocator_returned_is_returned():
    given = []

    def allocate(sizes):
        given.append(tuple(separate(sizes)))
        return given[0]

    buffers, _ = batch_encode_into([1, 2], allocate)
    assert buffers is given[0]


def test_buffers_may_be_larger_than_asked():
    def allocate(sizes):
        return [bytearray(b"\xaa" * (size + 1_000)) for size in sizes]

    buffers, sizes = batch_encode_into(BATCH, allocate)
    for buffer, size in zip(buffers, sizes, strict=True):
        assert buffer[size:] == b"\xaa" * 1_000
    assert_same(batch_decode_from(buffers), BATCH)


@pytest.mark.parametrize("workers", [1, 3])
def test_nothing_around_the_slots_is_written(workers):
    batch = [torch.full((2_000_000,), 7, dtype=torch.uint8), "short", torch.ones(3)] * 3
    gap, parts = 33, []

    def allocate(sizes):
        region = memoryview(bytearray(b"\xaa" * (sum(sizes) + gap * (len(sizes) + 1))))
        at = gap
        for size in sizes:
            parts.extend([region[at - gap : at], region[at : at + size]])
            at += size + gap
        parts.append(region[at - gap :])
        return parts[1::2]

    buffers, _ = batch_encode_into(batch, allocate, num_workers=workers)
    assert all(bytes(part) == b"\xaa" * gap for part in parts[::2])
    assert_same(batch_decode_from(buffers), batch)


def test_slots_may_come_in_any_order_of_addresses():
    def allocate(sizes):
        region = memoryview(bytearray(sum(sizes)))
        ends = [sum(sizes[position:]) for position in range(len(sizes))]
        return [region[end - size : end] for size, end in zip(sizes, ends, strict=True)]

    buffers, _ = batch_encode_into(BATCH, allocate)
    assert_same(batch_decode_from(buffers), BATCH)


def test_slots_at_odd_addresses_are_filled():
    def allocate(sizes):
        return [memoryview(bytearray(size + 1))[1:] for size in sizes]

    buffers, _ = batch_encode_into(BATCH, allocate)
    assert_same(batch_decode_from(buffers), BATCH)


def test_no_byte_of_a_slot_is_left_as_it_was():
    both = []
    for fill in (b"\0", b"\xff"):

        def allocate(sizes, fill=fill):
            return [bytearray(fill * size) for size in sizes]

        both.append([bytes(buffer) for buffer in batch_encode_into(BATCH, allocate)[0]])
    assert both[0] == both[1]


class FailedError(Exception):
    pass


def test_what_the_allocator_raises_is_raised():
    def allocate(sizes):
        raise FailedError

    with pytest.raises(FailedError):
        batch_encode_into([1], allocate)


def test_a_value_that_cannot_be_encoded_asks_for_no_memory():
    calls = []
    with pytest.raises(UnsupportedValueError, match="meta"):
        batch_encode_into([1, torch.ones(2, device="meta")], calls.append)
    assert not calls


def test_an_allocator_may_encode_another_batch():
    inner = []

    def allocate(sizes):
        inner.extend(batch_encode_into(["inside"], separate)[0])
        return separate(sizes)

    buffers, _ = batch_encode_into(["outside"], allocate)
    assert batch_decode_from([*buffers, *inner]) == ["outside", "inside"]
