"""Buffers that cannot hold a batch are refused by number, and nothing is written."""

import numpy as np
import pytest
import torch
from codec_buffers import separate

from transfer_queue.errors import InvalidArgumentError
from transfer_queue.utils.serial_utils import batch_decode_from, batch_encode_into

BATCH = [torch.arange(100), torch.arange(100), torch.arange(100)]
CANARY = 0xAA


def canaries(size):
    return bytearray([CANARY]) * size


class Region:
    """Good slots of one region for all values but the one that is replaced."""

    def __init__(self, slot, replace):
        self.slot, self.replace = slot, replace
        self.bytes = canaries(100_000)

    def __call__(self, sizes):
        view = memoryview(self.bytes)
        starts = [sum(sizes[:position]) for position in range(len(sizes))]
        slots = [view[start : start + size] for start, size in zip(starts, sizes, strict=True)]
        slots[self.slot] = self.replace(view, starts[self.slot], sizes[self.slot])
        return slots

    def untouched(self):
        return self.bytes == canaries(len(self.bytes))


BAD = {
    "a byte too small": (lambda view, at, size: view[at : at + size - 1], "too small"),
    "empty": (lambda view, at, size: view[:0], "too small"),
    "read-only": (lambda view, at, size: view[at : at + size].toreadonly(), "read-only"),
    "bytes": (lambda view, at, size: bytes(size), "read-only"),
    "a read-only array": (lambda view, at, size: np.frombuffer(bytes(size), np.uint8), "read-only"),
    "every second byte": (lambda view, at, size: view[50_000::2], "contiguous"),
    "every second element": (
        lambda view, at, size: torch.zeros(2 * size).byte()[::2],
        "contiguous",
    ),
    "one byte, expanded": (lambda view, at, size: torch.zeros(1).byte().expand(size), "contiguous"),
    "backwards": (lambda view, at, size: np.frombuffer(view, np.uint8)[::-1], "contiguous"),
    "without memory": (lambda view, at, size: torch.empty(size, device="meta"), "host memory"),
    "nothing": (lambda view, at, size: None, "NoneType"),
    "text": (lambda view, at, size: "x" * size, "str"),
    "a list": (lambda view, at, size: [0] * size, "list"),
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("slot", [0, 1, 2])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_buffer_is_refused_by_its_slot(name, slot, workers):
    replace, what = BAD[name]
    region = Region(slot, replace)
    with pytest.raises(InvalidArgumentError, match=rf"{what}.*slot: {slot}"):
        batch_encode_into(BATCH, region, num_workers=workers)
    assert region.untouched()


OVERLAPS = {
    "by one byte": (1, lambda view, at, size: view[at - 1 : at - 1 + size], "0 and 1"),
    "by all": (2, lambda view, at, size: view[0:size], "0 and 2"),
    "around": (2, lambda view, at, size: view, "0 and 2"),
    "as an array": (0, lambda view, at, size: np.frombuffer(view, np.uint8)[size:], "0 and 1"),
    "as a tensor": (
        1,
        lambda view, at, size: torch.frombuffer(view, dtype=torch.uint8)[at + 8 : at + 8 + size],
        "1 and 2",
    ),
}


@pytest.mark.parametrize("name", OVERLAPS)
def test_overlapping_buffers_are_refused_by_both_slots(name):
    slot, replace, both = OVERLAPS[name]
    region = Region(slot, replace)
    with pytest.raises(InvalidArgumentError, match=f"slots {both} overlap"):
        batch_encode_into(BATCH, region)
    assert region.untouched()


def test_generous_buffers_may_overlap_behind_what_is_asked():
    region = bytearray(100_000)

    def allocate(sizes):
        return [memoryview(region)[sum(sizes[:position]) :] for position in range(len(sizes))]

    buffers, _ = batch_encode_into(BATCH, allocate)
    assert [back.tolist() for back in batch_decode_from(buffers)] == [list(range(100))] * 3


@pytest.mark.parametrize("change", [-3, -1, 1, 3])
def test_too_few_or_too_many_buffers_are_refused(change):
    given = []

    def allocate(sizes):
        given.extend(canaries(size) for size in (sizes + sizes)[: len(sizes) + change])
        return given

    with pytest.raises(InvalidArgumentError, match=f"{3 + change} buffers for 3 values"):
        batch_encode_into(BATCH, allocate)
    assert all(set(buffer) == {CANARY} for buffer in given)


def test_buffers_for_no_values_are_refused():
    with pytest.raises(InvalidArgumentError, match="1 buffers for 0 values"):
        batch_encode_into([], lambda sizes: [bytearray(64)])


@pytest.mark.parametrize("returned", [None, 5])
def test_an_allocator_that_returns_no_buffers_is_a_type_error(returned):
    with pytest.raises(TypeError):
        batch_encode_into(BATCH, lambda sizes: returned)


@pytest.mark.parametrize("slot", [0, 1])
def test_a_value_that_lies_in_a_slot_is_refused(slot):
    region = bytearray(1 << 20)
    value = torch.frombuffer(region, dtype=torch.uint8)[:300_000]
    batch = [torch.arange(100), torch.arange(100)]
    batch[slot] = value

    def allocate(sizes):
        return [memoryview(region)[: sizes[0]], memoryview(region)[-sizes[1] :]]

    with pytest.raises(InvalidArgumentError, match="slot"):
        batch_encode_into(batch, allocate, checksum=True)


def test_buffers_of_wider_elements_are_filled_byte_by_byte():
    def allocate(sizes):
        return [
            np.zeros(sizes[0] // 8, np.float64),
            torch.zeros(sizes[1] // 4),
            *separate(sizes[2:]),
        ]

    buffers, _ = batch_encode_into(BATCH, allocate)
    assert [back.tolist() for back in batch_decode_from(buffers)] == [list(range(100))] * 3
