"""A streaming loader: ranks train on samples while the rollouts still come in."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from tensordict import TensorDict

import transfer_queue as tq
from transfer_queue import BatchMeta, StreamingDataLoader, StreamingDataset

SAMPLES, BATCH, MICRO_BATCH = 16, 4, 2
RANKS = [0, 0, 1]  # two tensor-parallel peers of rank 0, and rank 1


def insert(partition: str) -> list[BatchMeta]:
    """Announces all samples of a partition, so that its streams know when they are at the end."""
    meta = tq.get_client().get_meta(["responses"], SAMPLES, partition, mode="insert")
    return meta.chunk(SAMPLES // 2)


def produce(metas: list[BatchMeta]) -> None:
    """A rollout worker: fills the samples, two at a time; row ``i`` is full of its index."""
    for meta in metas:
        responses = [torch.full((3 + index % 4,), index) for index in meta.global_indexes]
        nested = torch.nested.as_nested_tensor(responses, layout=torch.jagged)
        tq.get_client().put(TensorDict({"responses": nested}, batch_size=2), metadata=meta)


def loader(config: Any, rank: int, partition: str) -> StreamingDataLoader:
    """The loader of one rank; it ends when the task has consumed the partition."""
    dataset = StreamingDataset(
        config,
        batch_size=BATCH,
        micro_batch_size=MICRO_BATCH,
        data_fields=["responses"],
        partition_id=partition,
        task_name="actor",
        dp_rank=rank,
        should_check_consumption_status=True,
    )
    return StreamingDataLoader(dataset)  # no worker processes: the engine lives in this one


def train(stream: StreamingDataLoader) -> list[int]:
    """Goes through a stream; returns the samples in the order of their micro-batches."""
    seen: list[int] = []
    for data, meta in stream:
        rows = data["responses"].unbind()
        assert len(rows) == len(meta) == MICRO_BATCH
        for row, index in zip(rows, meta.global_indexes, strict=True):
            assert row.tolist() == [index] * (3 + index % 4)
        seen.extend(meta.global_indexes)
    return seen


def step(streams: list[StreamingDataLoader], metas: list[BatchMeta]) -> list[list[int]]:
    """All ranks at once, and the rollouts at the same time; what each rank has seen."""
    producer = threading.Thread(target=produce, args=(metas,))
    with ThreadPoolExecutor(len(streams)) as ranks:
        training = [ranks.submit(train, stream) for stream in streams]
        producer.start()
        seen = [rank.result() for rank in training]
    producer.join()
    return seen


def main() -> None:
    """Runs two steps and replays the second."""
    config = tq.init({"controller": {"sampler": "RankAwareSampler"}})
    metas = insert("train@0")
    streams = [loader(config, rank, "train@0") for rank in RANKS]
    seen = step(streams, metas)
    print("step 0, rank 0:", len(seen[0]), "samples, rank 1:", len(seen[2]))
    assert seen[0] == seen[1]  # peers of a rank get the same batches
    assert sorted(seen[0] + seen[2]) == list(range(SAMPLES))

    metas = insert("train@1")
    for stream in streams:
        stream.step("train@1")
    seen = step(streams, metas)
    streams[2].reset()
    replayed = train(streams[2])
    print("step 1, rank 1 again from its buffer:", len(replayed), "samples")
    assert replayed == seen[2]
    tq.close()
    print("done: 2 steps, every sample on one rank")


if __name__ == "__main__":
    main()
