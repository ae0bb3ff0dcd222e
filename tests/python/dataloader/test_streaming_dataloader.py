"""`StreamingDataLoader` without workers, and what it hands on."""

import logging

import pytest
import torch
from dataloader_streams import FakeStream, filled, indexes, take
from torch.utils.data import DataLoader

import transfer_queue.dataloader
from transfer_queue.dataloader import StreamingDataLoader
from transfer_queue.metadata import BatchMeta


def finite(count, **arguments):
    return FakeStream(filled(count), should_check_consumption_status=True, **arguments)


def test_items_are_data_and_metadata():
    loader = StreamingDataLoader(finite(5, batch_size=5))
    items = list(loader)
    assert [indexes(item) for item in items] == [[0, 1], [2, 3], [4]]
    assert all(type(item) is tuple and type(item[1]) is BatchMeta for item in items)


def test_an_endless_stream_may_be_left():
    loader = StreamingDataLoader(FakeStream(filled(8)))
    assert [take(loader, 1), take(loader, 2)] == [[[0, 1]], [[2, 3], [4, 5]]]


def test_settings_of_torch():
    loader = StreamingDataLoader(finite(1))
    assert isinstance(loader, DataLoader)
    assert loader.batch_size is None
    assert (loader.num_workers, loader.drop_last, loader.timeout) == (0, False, 0)
    assert (loader.pin_memory, loader.persistent_workers) == (False, False)


def test_a_collate_function_is_applied_to_each_item():
    loader = StreamingDataLoader(finite(4), collate_fn=lambda item: item[0]["x"].sum().item())
    assert list(loader) == [1, 5]


def test_reset_step_and_buffer_reach_the_dataset():
    dataset = FakeStream(filled(8))
    dataset.controller.add("q", 4)
    loader = StreamingDataLoader(dataset)
    assert loader.get_buffer() == []
    take(loader, 2)
    assert [indexes(batch) for batch in loader.get_buffer()] == [[0, 1], [2, 3]]
    loader.reset()
    assert take(loader, 3) == [[0, 1], [2, 3], [4, 5]]
    loader.step("q")
    assert loader.get_buffer() == []
    assert take(loader, 2) == [[8, 9], [10, 11]]


@pytest.mark.parametrize("call", ["reset", "step"])
def test_persistent_workers_are_told_not_to_notice(call, caplog):
    loader = StreamingDataLoader(
        finite(2), num_workers=1, persistent_workers=True, prefetch_factor=1
    )
    with caplog.at_level(logging.WARNING):
        getattr(loader, call)(*(["q"] if call == "step" else []))
    (record,) = caplog.records
    assert f"StreamingDataLoader.{call}" in record.getMessage()


def test_a_worker_init_function_is_called(tmp_path):
    def mark(worker):
        (tmp_path / str(worker)).touch()

    loader = StreamingDataLoader(
        finite(2), num_workers=1, worker_init_fn=mark, multiprocessing_context="fork"
    )
    assert [indexes(item) for item in loader] == [[0, 1]]
    assert [path.name for path in tmp_path.iterdir()] == ["0"]


def test_names_of_the_package():
    assert set(transfer_queue.dataloader.__all__) == {"StreamingDataset", "StreamingDataLoader"}
    assert issubclass(transfer_queue.dataloader.StreamingDataset, torch.utils.data.IterableDataset)
