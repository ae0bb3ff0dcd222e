"""A sampler written in Python runs where the engine is, for other processes too."""

import os

import numpy as np
import pytest
import torch
from joining import CONTEXTS, guest
from tensordict import TensorDict

import transfer_queue
from transfer_queue.errors import SamplerError
from transfer_queue.sampler import BaseSampler


class Best(BaseSampler):
    """The samples of the highest scores."""

    def __init__(self):
        super().__init__()
        self.process = os.getpid()

    def sample(self, ready_indexes, batch_size, *, partition, scores, **_):
        assert os.getpid() == self.process
        if scores is None:
            raise LookupError("no scores were given")
        tags = partition.get_custom_meta(ready_indexes)
        order = sorted(ready_indexes, key=lambda index: -scores[tags[index]["row"]])
        return order[:batch_size], order[:batch_size]


@pytest.fixture
def client():
    transfer_queue.close()
    transfer_queue.init({"controller": {"sampler": Best()}})
    yield transfer_queue.get_client()
    transfer_queue.close()


def fetch(scores):
    import transfer_queue as tq

    conf = tq.init()
    meta = tq.get_client().get_meta(
        ["x"], 2, "p", task_name="t", sampling_config={"scores": scores}, timeout=10
    )
    return conf.controller.sampler, tq.get_client().get_data(meta)["x"].tolist()


def fail():
    try:
        fetch(None)
    except SamplerError as error:
        return str(error)
    return "no error"


@CONTEXTS
def test_guests_get_what_the_hosts_sampler_chooses(client, context):
    rows = TensorDict({"x": torch.arange(6)}, batch_size=6)
    meta = client.put(rows, partition_id="p")
    meta.update_custom_meta([{"row": row} for row in range(6)])
    client.set_custom_meta(meta)
    scores = np.array([0, 5, 1, 4, 2, 3])
    assert guest(context, fetch, scores) == ("Best", [1, 3])
    assert "LookupError: no scores were given" in guest(context, fail)
    here = client.get_meta(["x"], 2, "p", task_name="t", sampling_config={"scores": scores})
    assert client.get_data(here)["x"].tolist() == [5, 4]
