"""Datasets over a fake controller."""

import os
from itertools import islice

import torch
from dataloader_controller import FakeController
from tensordict import NonTensorStack, TensorDict

from transfer_queue.dataloader import StreamingDataset
from transfer_queue.errors import WaitTimeoutError
from transfer_queue.metadata import BatchMeta

CONFIG = {"controller": {"zmq_info": None}, "backend": {"storage_backend": "SimpleStorage"}}


class FakeClient:
    """Row of sample i: `x` is i, `ragged` is i % 3 + 1 times i, `name` its text."""

    def __init__(self, controller, polling):
        self.controller = controller
        self.polling = polling

    def get_meta(
        self,
        data_fields,
        batch_size,
        partition_id,
        mode="fetch",
        task_name=None,
        sampling_config=None,
        timeout=None,
    ):
        assert mode == "fetch"
        assert sampling_config["partition_id"] == partition_id
        assert sampling_config["task_name"] == task_name
        found = self.controller.claim(
            partition_id,
            task_name,
            batch_size,
            sampling_config["dp_rank"],
            sampling_config["batch_index"],
            timeout or 0,
        )
        if found is None and not self.polling:
            raise WaitTimeoutError("TimeoutError: Timeout while waiting for sufficient data")
        found = found or []
        return BatchMeta(found, [partition_id] * len(found), custom_meta=[{"at": i} for i in found])

    def get_data(self, metadata):
        return rows_of(metadata.global_indexes)

    def check_consumption_status(self, task_name, partition_id):
        return self.controller.is_consumed(partition_id, task_name)

    def activity(self, partition_id):
        return self.controller.activity(partition_id)

    def wait_for_change(self, partition_id, since, timeout):
        assert timeout is not None
        return self.controller.wait(partition_id, since, timeout)


def rows_of(indexes):
    ragged = [torch.full((index % 3 + 1,), index) for index in indexes]
    return TensorDict(
        {
            "x": torch.tensor(indexes),
            "ragged": torch.nested.as_nested_tensor(ragged, layout=torch.jagged),
            "name": NonTensorStack(*map(str, indexes)),
        },
        batch_size=[len(indexes)],
    )


class FakeStream(StreamingDataset):
    """A dataset whose client is a fake."""

    def __init__(self, controller, polling=False, **overrides):
        arguments = {
            "config": CONFIG,
            "batch_size": 2,
            "micro_batch_size": 2,
            "data_fields": ["x"],
            "partition_id": "p",
            "task_name": "t",
            "dp_rank": 0,
        }
        super().__init__(**(arguments | overrides))
        self.controller = controller
        self.polling = polling
        self.clients_made_in = []

    def _create_client(self):
        self.clients_made_in.append(os.getpid())
        return FakeClient(self.controller, self.polling)


def filled(count, partition="p"):
    controller = FakeController()
    controller.add(partition, count)
    return controller


def indexes(item):
    """Global indexes of an item whose data and metadata agree in every column."""
    data, meta = item
    found = meta.global_indexes
    expected = rows_of(found)
    assert data.batch_size == expected.batch_size
    assert data["x"].tolist() == found
    ragged = data.get("ragged")
    assert ragged.layout == torch.jagged
    assert [row.tolist() for row in ragged.unbind()] == [[i] * (i % 3 + 1) for i in found]
    assert data.get("name").tolist() == [str(i) for i in found]
    assert [row["at"] for row in meta.custom_meta] == found
    return found


def take(stream, count):
    """Indexes of the next items."""
    return [indexes(item) for item in islice(stream, count)]
