"""Many threads: the bytes are the same, the interpreter runs on, shared codecs do not mix up."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from codec_buffers import by_items, maps, one_region, separate
from codec_sameness import assert_same

from transfer_queue.utils import serial_utils
from transfer_queue.utils.serial_utils import batch_decode_from, batch_encode_into

MIB = 1 << 20


def large_batch():
    """More than 16 MiB in values of very different sizes, some of them not contiguous."""
    ramp = torch.arange(6 * MIB, dtype=torch.int32).remainder(65_521)
    return [
        {"a": ramp[: 2 * MIB], "text": "ä" * 700_000, "b": ramp[:7]},
        ramp[2 * MIB : 4 * MIB].reshape(1024, 2048).t(),
        "short",
        ramp[: 2 * MIB : 2],
        np.asfortranarray(np.arange(MIB, dtype=np.uint16).reshape(1024, 1024)),
        *[ramp[n : n + 1_001] for n in range(50)],
    ]


@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("workers", [2, 3, 8])
def test_parallel_and_serial_bytes_are_the_same(workers, checksum):
    batch = large_batch()
    serial, sizes = batch_encode_into(batch, one_region, checksum=checksum)
    assert sum(sizes) > 16 * MIB
    parallel, others = batch_encode_into(batch, separate, num_workers=workers, checksum=checksum)
    assert others == sizes
    assert [bytes(buffer) for buffer in parallel] == [bytes(buffer) for buffer in serial]
    assert_same(batch_decode_from(parallel), batch)


@pytest.mark.parametrize("workers", [0, 1, 1_000])
def test_any_number_of_workers_works(workers):
    buffers, _ = batch_encode_into(["a", torch.ones(3)], separate, num_workers=workers)
    assert_same(batch_decode_from(buffers), ["a", torch.ones(3)])


@pytest.mark.parametrize("workers", [1, 2])
def test_other_threads_run_while_a_batch_is_copied(workers):
    value = torch.zeros(256 * MIB, dtype=torch.uint8)
    turns, done = [0], threading.Event()

    def count():
        while not done.is_set():
            turns[0] += 1
            time.sleep(0)  # gives the interpreter lock back

    before = []

    def allocate(sizes):
        slots = maps(sizes)
        before.append(turns[0])
        return slots

    # Nobody has to give the lock up for 1,000 s: a turn is taken only where it is released.
    interval = sys.getswitchinterval()
    counter = threading.Thread(target=count)
    counter.start()
    sys.setswitchinterval(1_000)
    try:
        batch_encode_into([value], allocate, num_workers=workers)
        taken = turns[0] - before[0]
    finally:
        sys.setswitchinterval(interval)
        done.set()
        counter.join()
    assert taken > 10


def own_value(thread, turn):
    return {
        "thread": thread,
        "turn": turn,
        "ids": torch.full((500,), thread * 1_000 + turn),
        "text": f"{thread}" * 600,
        "nested": [(thread, {turn})],
    }


def test_sixteen_threads_share_one_encoder_and_decoder():
    def work(thread):
        for turn in range(30):
            value = own_value(thread, turn)
            assert_same(serial_utils._decoder.decode(serial_utils._encoder.encode(value)), value)
            assert_same(by_items(value), value)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))


def test_sixteen_threads_encode_the_same_tensors_in_batches():
    shared = [torch.arange(300_000), {"a": torch.arange(100).reshape(10, 10).t()}]
    expected = [bytes(buffer) for buffer in batch_encode_into(shared, separate)[0]]

    def work(_):
        for _ in range(5):
            buffers, _ = batch_encode_into(shared, one_region, num_workers=2)
            assert [bytes(buffer) for buffer in buffers] == expected
            assert_same(batch_decode_from(buffers), shared)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))


def test_sixteen_threads_read_one_buffer():
    (buffer,), _ = batch_encode_into([torch.arange(50_000)], separate)

    def work(_):
        for _ in range(20):
            assert int(batch_decode_from([buffer])[0].sum()) == 50_000 * 49_999 // 2

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))


def test_dicts_that_change_meanwhile_do_not_break_the_process():
    value, done = {"a": [1, 2, 3]}, threading.Event()

    def change():
        while not done.is_set():
            value["b"] = [0] * 50
            value["a"].append(0)
            value.pop("b")
            del value["a"][1:]

    changer = threading.Thread(target=change)
    changer.start()
    try:
        for _ in range(300):
            try:
                assert "a" in by_items(value)
            except (IndexError, RuntimeError):
                continue  # an error is as good an answer as any state that was
    finally:
        done.set()
        changer.join()
