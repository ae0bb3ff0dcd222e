"""DataLoader workers join the engine of the process that made the loader."""

import pytest
import torch
from joining import CONTEXTS
from tensordict import TensorDict

import transfer_queue
from transfer_queue import StreamingDataLoader, StreamingDataset
from transfer_queue.dataloader.streaming_dataset import chunk_batch_fn

SAMPLES = 48
BATCH = 4


@pytest.fixture
def conf():
    transfer_queue.close()
    yield transfer_queue.init({"controller": {"polling_mode": True}})
    transfer_queue.close()


def put(count, first=0):
    numbers = torch.arange(first, first + count)
    wide = numbers.view(-1, 1).repeat(1, 5_000).float()
    data = TensorDict({"x": numbers, "wide": wide}, batch_size=count)
    transfer_queue.get_client().put(data, partition_id="train")


def loader(conf, context, workers, **more):
    dataset = StreamingDataset(
        config=conf,
        batch_size=BATCH,
        micro_batch_size=2,
        data_fields=["x", "wide"],
        partition_id="train",
        task_name="update",
        dp_rank=0,
        should_check_consumption_status=True,
        process_batch_fn=chunk_batch_fn,
    )
    return StreamingDataLoader(
        dataset, num_workers=workers, multiprocessing_context=context, **more
    )


@CONTEXTS
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_deliver_every_sample_once(conf, context, workers):
    put(SAMPLES)
    seen = []
    for data, meta in loader(conf, context, workers, prefetch_factor=2):
        assert meta.size == 2
        assert [int(row[0]) for row in data["wide"].unbind()] == data["x"].tolist()
        seen += data["x"].tolist()
    assert sorted(seen) == list(range(SAMPLES))
    assert transfer_queue.get_client().check_consumption_status("update", "train")


def test_a_worker_waits_for_what_is_put_later(conf):
    # One more than a batch, so that not all is consumed and the stream goes on.
    put(BATCH + 1)
    stream = iter(loader(conf, "fork", 1))
    seen = next(stream)[0]["x"].tolist() + next(stream)[0]["x"].tolist()
    put(SAMPLES - BATCH - 1, BATCH + 1)
    for data, _ in stream:
        seen += data["x"].tolist()
    assert sorted(seen) == list(range(SAMPLES))
