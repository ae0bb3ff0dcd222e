"""Streams over the engine itself."""

import os
import signal
import threading
from itertools import islice

import pytest
import torch
from tensordict import TensorDict

import transfer_queue
from transfer_queue.dataloader import StreamingDataLoader, StreamingDataset
from transfer_queue.dataloader.streaming_dataset import default_fetch_batch_fn
from transfer_queue.errors import ClosedError


@pytest.fixture
def start():
    """Starts an engine with settings for `controller`; gives its configuration."""

    def start(**controller):
        transfer_queue.close()
        return transfer_queue.init({"controller": controller})

    yield start
    transfer_queue.close()


def put(numbers, partition="p"):
    numbers = torch.tensor(list(numbers))
    data = TensorDict(
        {"number": numbers, "tokens": numbers.unsqueeze(1).repeat(1, 3)}, batch_size=len(numbers)
    )
    return transfer_queue.get_client().put(data, partition_id=partition)


def stream(conf, **overrides):
    arguments = {
        "config": conf,
        "batch_size": 4,
        "micro_batch_size": 2,
        "data_fields": ["number", "tokens"],
        "partition_id": "p",
        "task_name": "t",
        "dp_rank": 0,
    }
    return StreamingDataset(**(arguments | overrides))


def numbers(item):
    """What was put, from an item whose columns agree."""
    data, meta = item
    found = data["number"].tolist()
    assert [row.tolist() for row in data.get("tokens").unbind()] == [[n] * 3 for n in found]
    assert meta.size == len(found)
    return found


def take(dataset, count):
    return [numbers(item) for item in islice(dataset, count)]


def own_fetch(**arguments):
    return default_fetch_batch_fn(**arguments, timeout=0.0)


WAYS = pytest.mark.parametrize(
    "way",
    [
        {},
        {"should_check_consumption_status": True},
        {"fetch_batch_fn": own_fetch},
        {"fetch_batch_fn": own_fetch, "should_check_consumption_status": True},
    ],
    ids=["endless", "checking", "own", "own-checking"],
)
POLLING = pytest.mark.parametrize("polling", [False, True])


@POLLING
@WAYS
def test_what_was_put_comes_in_micro_batches(start, polling, way):
    conf = start(polling_mode=polling)
    put(range(8))
    assert take(stream(conf, **way), 4) == [[0, 1], [2, 3], [4, 5], [6, 7]]


@POLLING
@WAYS
def test_a_waiting_stream_is_woken_by_puts(start, polling, way):
    conf = start(polling_mode=polling)
    seen = []
    reader = threading.Thread(target=lambda: seen.extend(take(stream(conf, **way), 4)), daemon=True)
    reader.start()
    # Never so that all is consumed before the last: a checking stream would end there.
    for rows in (range(3), range(3, 6), range(6, 8)):
        put(rows)
    reader.join(60)
    assert seen == [[0, 1], [2, 3], [4, 5], [6, 7]]


@POLLING
def test_a_checking_stream_ends_and_replays(start, polling):
    conf = start(polling_mode=polling)
    put(range(8))
    loader = StreamingDataLoader(stream(conf, should_check_consumption_status=True))
    first = [numbers(item) for item in loader]
    assert first == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert list(loader) == []
    loader.reset()
    assert [numbers(item) for item in loader] == first


def test_a_waiting_stream_ends_when_another_client_takes_the_last_samples(start):
    conf = start()
    put(range(3))
    seen = []
    dataset = stream(conf, should_check_consumption_status=True)
    reader = threading.Thread(target=lambda: seen.append(list(dataset)), daemon=True)
    reader.start()
    transfer_queue.get_client().get_meta(["number", "tokens"], 3, "p", task_name="t")
    reader.join(60)
    assert seen == [[]]


def test_tasks_consume_each_on_its_own(start):
    conf = start()
    put(range(4))
    for task in ("one", "two"):
        assert take(stream(conf, task_name=task), 2) == [[0, 1], [2, 3]]


def test_peers_of_a_rank_get_the_same_batches(start):
    conf = start(sampler="RankAwareSampler")
    put(range(8))
    peers = [stream(conf, should_check_consumption_status=True) for _ in range(2)]
    taken = [[numbers(item) for item in peer] for peer in peers]
    assert taken == [[[0, 1], [2, 3], [4, 5], [6, 7]]] * 2


def test_step_goes_on_in_another_partition(start):
    conf = start(sampler="RankAwareSampler")
    put(range(4), "p")
    put(range(10, 14), "q")
    dataset = stream(conf)
    assert take(dataset, 2) == [[0, 1], [2, 3]]
    dataset.step("q")
    assert take(dataset, 2) == [[10, 11], [12, 13]]


@POLLING
@WAYS
def test_an_interrupt_ends_a_waiting_stream(start, polling, way):
    dataset = stream(start(polling_mode=polling), **way)

    def wait_until_interrupted():
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        take(dataset, 1)

    with pytest.raises(KeyboardInterrupt):
        wait_until_interrupted()


@WAYS
def test_the_end_of_the_engine_ends_the_wait(start, way):
    dataset = stream(start(), **way)
    put(range(5))
    take(dataset, 2)
    threading.Timer(0.2, transfer_queue.close).start()
    with pytest.raises(ClosedError) as raised:
        take(dataset, 1)
    assert "batch index 1" in raised.value.__notes__[0]
