"""What tasks and actors of Ray do here."""

import multiprocessing
import os

import ray
import torch
from tensordict import NonTensorStack, TensorDict

import transfer_queue as tq
from transfer_queue.sampler import BaseSampler

NAME, NAMESPACE = "TransferQueueController", "transfer_queue"
#: Long enough that only what hangs reaches it.
SECONDS = 60
ROWS = 16


def keys(first=0):
    return [f"k{first + row}" for row in range(ROWS)]


def batch(width, first=0):
    """Columns of every layout, whose values follow from the row's number."""
    numbers = torch.arange(first, first + ROWS)
    ragged = [torch.full((1 + row % 5, 3), first + row) for row in range(ROWS)]
    return TensorDict(
        {
            "dense": numbers.view(-1, 1).repeat(1, width).float(),
            "ragged": torch.nested.as_nested_tensor(ragged, layout=torch.jagged),
            "object": NonTensorStack(
                *[{"row": first + row, "image": torch.full((width,), row)} for row in range(ROWS)]
            ),
        },
        batch_size=ROWS,
    )


def check(read, width, first=0):
    wanted = batch(width, first)
    assert torch.equal(torch.stack(read["dense"].unbind()), wanted["dense"])
    for one, other in zip(read["ragged"].unbind(), wanted["ragged"].unbind(), strict=True):
        assert torch.equal(one, other)
    for one, other in zip(read.get("object").tolist(), wanted.get("object").tolist(), strict=True):
        assert one["row"] == other["row"]
        assert torch.equal(one["image"], other["image"])


class Highest(BaseSampler):
    """The samples of the highest rows; counts how often it was asked."""

    def __init__(self, start):
        super().__init__()
        self.start = start

    def sample(self, ready_indexes, batch_size, **_):
        chosen = sorted(ready_indexes, reverse=True)[:batch_size]
        return chosen, chosen


@ray.remote(num_cpus=0)
class Worker:
    """Any function, in a process of its own."""

    def init(self, conf=None):
        tq.init(conf)
        return tq.get_client().engine.info.id

    def put(self, width, first=0):
        tq.kv_batch_put(keys(first), "p", batch(width, first), [{"by": os.getpid()}] * ROWS)
        return os.getpid()

    def check(self, width, first=0):
        read = tq.kv_batch_get(keys(first), "p")
        check(read, width, first)
        read["dense"].values().fill_(-1)
        check(tq.kv_batch_get(keys(first), "p"), width, first)

    def hold(self):
        self.held = tq.kv_batch_get(keys(), "p")

    def close(self):
        tq.close()

    def call(self, function, *arguments):
        return function(*arguments)


def partitions():
    return tq.kv_list()


def partitions_in_child(context):
    """``partitions()`` in a process that this one starts."""
    chosen = multiprocessing.get_context(context)
    results = chosen.SimpleQueue()
    process = chosen.Process(target=_put_partitions, args=(results,))
    process.start()
    found = results.get()
    process.join(SECONDS)
    return found


def _put_partitions(results):
    try:
        results.put(tq.kv_list())
    except BaseException as error:  # noqa: BLE001 - shown by the parent
        results.put(repr(error))


def stream(context):
    """What the worker processes of a loader in this process stream."""
    conf = tq.init()
    client = tq.get_client()
    rows = TensorDict({"x": torch.arange(12).view(12, 1)}, batch_size=12)
    client.put(rows, partition_id="stream")
    if conf is None:
        conf = ray.get(ray.get_actor(NAME, namespace=NAMESPACE).get_config.remote())
    dataset = tq.StreamingDataset(
        conf,
        batch_size=4,
        micro_batch_size=2,
        data_fields=["x"],
        partition_id="stream",
        task_name="t",
        dp_rank=0,
        should_check_consumption_status=True,
    )
    loader = tq.StreamingDataLoader(dataset, num_workers=1, multiprocessing_context=context)
    seen = []
    for data, _ in loader:
        seen += [int(row) for row in data["x"].unbind()]
    return sorted(seen)
