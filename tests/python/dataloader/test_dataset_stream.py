"""What a stream yields, when it waits, and when it ends."""

import threading

import pytest
from dataloader_controller import FakeController
from dataloader_streams import CONFIG, FakeStream, filled, indexes, take

from transfer_queue.dataloader import StreamingDataset
from transfer_queue.dataloader.streaming_dataset import default_fetch_batch_fn

POLLING = pytest.mark.parametrize("polling", [False, True])


def in_background(iterate):
    """Runs `iterate`; the function returned joins it and gives its result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(iterate()), daemon=True)
    thread.start()

    def join():
        thread.join(60)
        assert results, "the stream neither ended nor failed"
        return results[0]

    return join


@POLLING
def test_batches_come_in_order_with_rising_batch_index(polling):
    controller = filled(6)
    stream = FakeStream(controller, polling)
    assert take(stream, 3) == [[0, 1], [2, 3], [4, 5]]
    assert controller.asked()[:3] == [0, 1, 2]
    assert stream.batch_index == 3


def test_batches_are_cut_into_micro_batches():
    stream = FakeStream(filled(10), batch_size=5, micro_batch_size=2)
    assert take(stream, 6) == [[0, 1], [2, 3], [4], [5, 6], [7, 8], [9]]


@POLLING
def test_an_endless_stream_waits_for_the_data_it_lacks(polling):
    controller = filled(2)
    join = in_background(lambda: take(FakeStream(controller, polling), 2))
    controller.add("p", 2)
    assert join() == [[0, 1], [2, 3]]


@POLLING
def test_a_stream_may_begin_before_its_partition(polling):
    controller = FakeController()
    ending = FakeStream(controller, polling, should_check_consumption_status=True)
    join = in_background(lambda: [indexes(item) for item in ending])
    controller.wait_until_waiting(1)
    controller.add("p", 2)
    assert join() == [[0, 1]]


@POLLING
def test_a_checking_stream_ends_when_all_is_consumed(polling):
    stream = FakeStream(filled(6), polling, should_check_consumption_status=True)
    assert [indexes(item) for item in stream] == [[0, 1], [2, 3], [4, 5]]
    assert list(stream) == []


@POLLING
def test_a_checking_stream_goes_on_where_samples_were_added(polling):
    controller = filled(2)
    stream = FakeStream(controller, polling, should_check_consumption_status=True)
    assert [indexes(item) for item in stream] == [[0, 1]]
    controller.add("p", 2)
    assert [indexes(item) for item in stream] == [[2, 3]]


@POLLING
def test_a_waiting_stream_ends_when_another_rank_takes_the_last_sample(polling):
    controller = filled(1)
    stream = FakeStream(controller, polling, should_check_consumption_status=True)
    join = in_background(lambda: [indexes(item) for item in stream])
    controller.wait_until_waiting(1)
    assert controller.claim("p", "t", 1, 7, 0, 0) == [0]
    assert join() == []


def test_peers_of_one_rank_get_the_same_batches_to_the_last():
    controller = filled(4)
    peers = [FakeStream(controller, should_check_consumption_status=True) for _ in range(2)]
    assert [[indexes(item) for item in peer] for peer in peers] == [[[0, 1], [2, 3]]] * 2


def test_ranks_share_the_samples():
    controller = filled(8)
    ranks = [
        FakeStream(controller, dp_rank=rank, should_check_consumption_status=True)
        for rank in range(2)
    ]
    streams = [iter(rank) for rank in ranks]
    taken = [indexes(next(streams[turn % 2])) for turn in range(4)]
    assert taken == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert [list(stream) for stream in streams] == [[], []]


def test_a_fetch_function_gets_its_arguments_by_name():
    seen = []

    def fetch(tq_client, **arguments):
        seen.append(arguments)
        return default_fetch_batch_fn(tq_client=tq_client, **arguments)

    assert take(FakeStream(filled(2), fetch_batch_fn=fetch), 1) == [[0, 1]]
    assert seen == [
        {
            "data_fields": ["x"],
            "batch_size": 2,
            "partition_id": "p",
            "task_name": "t",
            "sampling_config": {"dp_rank": 0, "task_name": "t"},
            "batch_index": 0,
        }
    ]


@POLLING
def test_a_fetch_function_that_found_nothing_is_called_after_a_change(polling, monkeypatch):
    monkeypatch.setenv("TQ_STREAMING_DATASET_EMPTY_BATCH_SLEEP_INTERVAL", "1000")
    controller = FakeController()

    def fetch(**arguments):
        return default_fetch_batch_fn(**arguments)

    stream = FakeStream(controller, polling, fetch_batch_fn=fetch)
    join = in_background(lambda: take(stream, 1))
    controller.wait_until_waiting(1)
    controller.add("other", 1)
    controller.wait_until_waiting(2)
    controller.add("p", 2)
    assert join() == [[1, 2]]


def test_a_fetch_function_is_called_again_although_nothing_changes(monkeypatch):
    monkeypatch.setenv("TQ_STREAMING_DATASET_EMPTY_BATCH_SLEEP_INTERVAL", "0.01")
    refusals = iter([True, True, False])

    def fetch(**arguments):
        return (None, None) if next(refusals) else default_fetch_batch_fn(**arguments)

    controller = filled(2)
    assert take(FakeStream(controller, fetch_batch_fn=fetch), 1) == [[0, 1]]
    assert controller.waits() == 2


def test_a_fetch_function_is_not_called_when_all_is_consumed():
    calls = []

    def fetch(**arguments):
        calls.append(arguments["batch_index"])
        return default_fetch_batch_fn(**arguments)

    stream = FakeStream(filled(4), fetch_batch_fn=fetch, should_check_consumption_status=True)
    assert [indexes(item) for item in stream] == [[0, 1], [2, 3]]
    assert calls == [0, 1]


def test_a_process_function_makes_the_items():
    def process(td, meta, micro_batch_size):
        yield from ((index, micro_batch_size) for index in meta.global_indexes)

    stream = FakeStream(filled(4), process_batch_fn=process, should_check_consumption_status=True)
    assert list(stream) == [(index, 2) for index in range(4)]


def test_a_process_function_may_yield_nothing():
    def process(td, meta, micro_batch_size):
        return [] if 0 in meta.global_indexes else [meta.global_indexes]

    stream = FakeStream(filled(4), process_batch_fn=process, should_check_consumption_status=True)
    assert list(stream) == [[2, 3]]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"micro_batch_size": 0}, "micro_batch_size"),
        ({"batch_size": 0}, "batch_size"),
        ({"data_fields": []}, "data_fields"),
        ({"dp_rank": -1}, "dp_rank"),
        ({"buffer_size": -1}, "buffer_size"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, word):
    with pytest.raises(ValueError, match=word):
        FakeStream(FakeController(), **arguments)


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "inf"])
def test_a_retry_interval_that_is_no_positive_number_is_refused(text, monkeypatch):
    monkeypatch.setenv("TQ_STREAMING_DATASET_EMPTY_BATCH_SLEEP_INTERVAL", text)
    with pytest.raises(ValueError, match="EMPTY_BATCH_SLEEP_INTERVAL"):
        FakeStream(FakeController())


def test_arguments_are_attributes():
    arguments = {
        "config": CONFIG,
        "batch_size": 4,
        "micro_batch_size": 2,
        "data_fields": ["a"],
        "partition_id": "p",
        "task_name": "t",
        "dp_rank": 3,
        "should_check_consumption_status": True,
        "fetch_batch_fn": lambda **_: (None, None),
        "process_batch_fn": lambda *_: [],
    }
    dataset = StreamingDataset(*arguments.values())
    assert {name: getattr(dataset, name) for name in arguments} == arguments
    assert dataset.sampling_config == {"dp_rank": 3, "task_name": "t"}
    assert (dataset.buffer, dataset.batch_index) == ([], 0)


def test_a_config_without_a_controller_is_told():
    dataset = StreamingDataset(CONFIG, 1, 1, ["a"], "p", "t", 0)
    with pytest.raises(ValueError, match="zmq_info is null"):
        next(iter(dataset))
