"""`default_fetch_batch_fn` and how a client is made from a configuration."""

import pytest
from dataloader_streams import FakeClient, filled, indexes

from transfer_queue.dataloader import fetching
from transfer_queue.dataloader.streaming_dataset import default_fetch_batch_fn
from transfer_queue.errors import InvalidArgumentError
from transfer_queue.metadata import BatchMeta

ARGUMENTS = {
    "data_fields": ["x"],
    "batch_size": 2,
    "partition_id": "p",
    "task_name": "t",
    "sampling_config": {"dp_rank": 0, "task_name": "t"},
    "batch_index": 5,
}


@pytest.mark.parametrize("polling", [False, True])
def test_a_batch_of_data_and_metadata(polling):
    assert indexes(default_fetch_batch_fn(FakeClient(filled(2), polling), **ARGUMENTS)) == [0, 1]


@pytest.mark.parametrize("polling", [False, True])
def test_none_and_empty_metadata_where_data_lacks(polling):
    data, meta = default_fetch_batch_fn(FakeClient(filled(1), polling), **ARGUMENTS)
    assert data is None
    assert isinstance(meta, BatchMeta)
    assert meta.size == 0


class Recorder:
    def __init__(self):
        self.calls = []

    def get_meta(self, **arguments):
        self.calls.append(arguments)
        return BatchMeta.empty()


def test_what_is_asked_of_the_client():
    client = Recorder()
    default_fetch_batch_fn(tq_client=client, **ARGUMENTS)
    default_fetch_batch_fn(tq_client=client, **ARGUMENTS, timeout=0.5)
    asked = {
        "data_fields": ["x"],
        "batch_size": 2,
        "partition_id": "p",
        "mode": "fetch",
        "task_name": "t",
        "sampling_config": {
            "dp_rank": 0,
            "task_name": "t",
            "batch_index": 5,
            "partition_id": "p",
        },
    }
    assert client.calls == [asked, asked | {"timeout": 0.5}]
    assert ARGUMENTS["sampling_config"] == {"dp_rank": 0, "task_name": "t"}


def test_a_client_is_made_as_the_configuration_says(monkeypatch):
    made = []

    class Client:
        def __init__(self, client_id, controller_info):
            made.append((client_id, controller_info))

        def initialize_storage_manager(self, manager_type, config):
            made.append((manager_type, config))

    monkeypatch.setattr(fetching, "TransferQueueClient", Client)
    info, settings = object(), object()
    config = {
        "controller": {"zmq_info": info},
        "backend": {"storage_backend": "SimpleStorage", "SimpleStorage": settings},
    }
    fetching.connect(config)
    fetching.connect(config)
    assert [arguments[1] for arguments in made] == [info, settings] * 2
    assert made[1][0] == "SimpleStorage"
    first, second = made[0][0], made[2][0]
    assert first.startswith("StreamingDataset_")
    assert len(first) == len("StreamingDataset_") + 8
    assert first != second


def test_no_controller_to_connect_to():
    with pytest.raises(InvalidArgumentError, match="zmq_info is null"):
        fetching.connect({"controller": {"zmq_info": None}})
