"""Allocators for batches, and the ways a value can go there and back."""

import mmap

import numpy as np
import torch

from transfer_queue.utils.serial_utils import (
    batch_decode_from,
    batch_encode_into,
    calc_packed_size,
    decode,
    encode,
    pack_into,
    unpack_from,
)


def separate(sizes):
    """A bytearray of its own for each value."""
    return [bytearray(size) for size in sizes]


def one_region(sizes):
    """Slices of one region, end to end."""
    region = memoryview(bytearray(sum(sizes)))
    starts = [sum(sizes[:position]) for position in range(len(sizes))]
    return [region[start : start + size] for start, size in zip(starts, sizes, strict=True)]


def uint8_tensors(sizes):
    return [torch.zeros(size, dtype=torch.uint8) for size in sizes]


def arrays(sizes):
    return [np.zeros(size, np.uint8) for size in sizes]


def maps(sizes):
    return [mmap.mmap(-1, size) for size in sizes]


ALLOCATORS = [separate, one_region, uint8_tensors, arrays, maps]


def packed(value, **options):
    """The packed buffer of one value, as a bytearray."""
    (buffer,), (size,) = batch_encode_into([value], separate, **options)
    assert len(buffer) == size
    return buffer


def by_batch(value):
    """There and back through a packed buffer."""
    (back,) = batch_decode_from([packed(value)])
    return back


def by_frames(value):
    """There and back through encode's list of buffers."""
    return decode(encode(value))


def by_items(value):
    """There and back as a message: encoded, packed by hand, unpacked, decoded."""
    items = encode(value)
    target = bytearray(calc_packed_size(items))
    pack_into(target, items, checksum=True)
    return decode(unpack_from(target))


WAYS = [by_batch, by_frames, by_items]
