"""Truncated and altered buffers are errors of this package, never a crash."""

import random
import struct

import numpy as np
import pytest
import torch
from codec_buffers import packed
from codec_classes import Colour, Frozen, Point
from codec_sameness import assert_same

from transfer_queue.errors import CorruptBufferError, TransferQueueError
from transfer_queue.utils.serial_utils import batch_decode_from, decode, encode, unpack_from

VALUE = {
    "ids": torch.arange(40, dtype=torch.int32),
    "text": "é" * 600,
    "array": np.arange(10.0),
    "inside": [(1, None, 2.5), {"k": b"bytes"}, {2, 3}],
}
#: The parts of the preamble; see the format reference.
FRAMES_CHECKSUM_AT = 40


def read(buffer):
    return batch_decode_from([buffer], allow_pickle=False)


def frames_start(buffer):
    """The first frame's offset: the first entry of the frame table."""
    return struct.unpack_from("<Q", buffer, 64)[0]


@pytest.mark.parametrize("checksum", [False, True])
def test_every_truncation_is_found(checksum):
    buffer = bytes(packed(VALUE, checksum=checksum))
    for length in range(len(buffer)):
        for take in (read, unpack_from):
            with pytest.raises(CorruptBufferError):
                take(buffer[:length])


@pytest.mark.parametrize("checksum", [False, True])
def test_every_altered_byte_before_the_frames_is_found(checksum):
    buffer = packed(VALUE, checksum=checksum)
    header_end = frames_start(buffer)
    length = struct.unpack_from("<Q", buffer, 16)[0]
    small = 64 + 16 * struct.unpack_from("<I", buffer, 12)[0] + length
    for position in range(min(small, header_end)):
        altered = bytearray(buffer)
        altered[position] ^= 1 << (position % 8)
        with pytest.raises(CorruptBufferError):
            read(altered)


def test_with_a_checksum_every_altered_byte_of_the_frames_is_found():
    buffer = packed(VALUE, checksum=True)
    for position in range(frames_start(buffer), len(buffer)):
        altered = bytearray(buffer)
        altered[position] ^= 0x80
        for take in (read, unpack_from):
            with pytest.raises(CorruptBufferError, match="checksum"):
                take(altered)


def test_with_a_checksum_a_bit_in_any_block_of_a_large_value_is_found():
    value = torch.zeros(3_000_000, dtype=torch.uint8)
    buffer = packed(value, checksum=True, num_workers=2)
    for position in (200, 262_144 + 127, 262_144 + 128, 1_500_000, 3_000_127):
        altered = bytearray(buffer)
        altered[position] ^= 1
        with pytest.raises(CorruptBufferError, match="checksum"):
            read(altered)
    assert_same(read(buffer), [value])


def test_without_a_checksum_altered_frames_are_just_other_values():
    buffer = packed(torch.zeros(4, dtype=torch.uint8))
    assert buffer[FRAMES_CHECKSUM_AT : FRAMES_CHECKSUM_AT + 8] == bytes(8)
    buffer[frames_start(buffer)] = 9
    assert read(buffer)[0].tolist() == [9, 0, 0, 0]


@pytest.mark.parametrize(
    "source",
    [b"", b"\0" * 64, b"\0" * 4_096, b"TQPACK\r\n", b"TQPACK\r\n" + b"\xff" * 4_096, b"\x80\x05N."],
    ids=["empty", "zeros", "more zeros", "magic", "magic and ones", "pickle"],
)
def test_bytes_that_are_no_packed_buffer_are_refused(source):
    with pytest.raises(CorruptBufferError, match="packed buffer"):
        read(source)


def test_lines_translated_on_the_way_are_found():
    buffer = bytes(packed("a"))
    with pytest.raises(CorruptBufferError, match="magic"):
        read(buffer.replace(b"\r\n", b"\n") + b"\0")


def test_an_error_in_one_buffer_of_a_batch_is_raised():
    with pytest.raises(CorruptBufferError):
        batch_decode_from([packed(1), packed(2)[:-64]])


def test_frames_that_are_missing_too_many_or_of_the_wrong_length_are_found():
    header, *frames = encode(VALUE)
    for wrong in (frames[:-1], [*frames, b"x"], [frames[0][:-1], *frames[1:]], frames[::-1]):
        with pytest.raises(CorruptBufferError):
            decode([header, *wrong])
    with pytest.raises(CorruptBufferError):
        decode([])


RICH = {
    "tensors": [torch.arange(6).reshape(2, 3), torch.ones(2).to(torch.bfloat16), torch.tensor(1)],
    "arrays": [np.arange(4.0), np.arange(3).astype("M8[s]"), np.array(["ab"]), np.float32(1)],
    "objects": np.array([1, (2,)], object),
    "classes": [Colour.RED, Frozen("a", (1,)), Point(1, 2)],
    "words": ["a", b"b", bytearray(b"c"), "\ud800", 2**70, 1j, None, True, -1.5, {1}, frozenset()],
    "sparse": torch.eye(2).to_sparse(),
    "jagged": torch.nested.as_nested_tensor([torch.ones(2), torch.ones(1)], layout=torch.jagged),
}


def flipped_headers(count, seed):
    """Headers with one to three altered bytes, as buffers without a checksum would carry them."""
    header, *frames = encode(RICH, allow_pickle=False)
    chance = random.Random(seed)
    frames = [bytearray(frame) for frame in frames]
    for _ in range(count):
        altered = bytearray(header)
        for _ in range(chance.randint(1, 3)):
            altered[chance.randrange(len(altered))] = chance.randrange(256)
        yield [altered, *frames]


@pytest.mark.filterwarnings("ignore")
def test_random_headers_never_take_the_process_down():
    refused = 0
    for items in flipped_headers(2_000, seed=1):
        try:
            decode(items, allow_pickle=False)
        except TransferQueueError:
            refused += 1
    assert refused > 500


@pytest.mark.filterwarnings("ignore")
def test_random_headers_raise_nothing_but_errors_of_this_package():
    others = set()
    for items in flipped_headers(2_000, seed=2):
        try:
            decode(items, allow_pickle=False)
        except TransferQueueError:
            continue
        except Exception as error:  # noqa: BLE001 - collected and told
            others.add(f"{type(error).__name__}: {error}"[:100])
    assert not others


def test_random_bytes_in_a_packed_buffer_raise_or_decode():
    buffer = packed(VALUE)
    chance = random.Random(3)
    for _ in range(2_000):
        altered = bytearray(buffer)
        for _ in range(chance.randint(1, 4)):
            altered[chance.randrange(len(altered))] = chance.randrange(256)
        try:
            read(altered)
        except TransferQueueError:
            continue
