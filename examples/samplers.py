"""Samplers: whole groups of a prompt, batches bounded in tokens, and a policy of one's own."""

from typing import Any

import torch
from tensordict import TensorDict

import transfer_queue as tq
from transfer_queue import BatchMeta, TransferQueueClient
from transfer_queue.errors import SamplerError


class LongestFirst(tq.BaseSampler):
    """Takes the samples with the most tokens, so that no long one is left for the end of a step."""

    def sample(
        self, ready_indexes: list[int], batch_size: int, *, partition: Any, **_: Any
    ) -> tuple[list[int], list[int]]:
        """The batch, and what is consumed with it: the same."""
        tags = partition.get_custom_meta(ready_indexes)
        if any("total_lengths" not in tags[index] for index in ready_indexes):
            raise KeyError("a sample has no tag 'total_lengths'")
        ready_indexes.sort(key=lambda index: -tags[index]["total_lengths"])
        sampled = ready_indexes[:batch_size]
        return sampled, sampled


def start(sampler: Any, lengths: list[int | None]) -> TransferQueueClient:
    """Starts an engine with a sampler and one sample per length, tagged with it."""
    tq.init({"controller": {"sampler": sampler}})
    rows = TensorDict({"tokens": torch.arange(len(lengths))}, batch_size=len(lengths))
    keys = [f"sample{row}" for row in range(len(lengths))]
    tags = [{} if length is None else {"total_lengths": length} for length in lengths]
    tq.kv_batch_put(keys, "train", rows, tags)
    return tq.get_client()


def fetch(client: TransferQueueClient, size: int, **sampling_config: int) -> BatchMeta:
    """Asks for a batch without waiting for more data."""
    return client.get_meta(
        ["tokens"], size, "train", task_name="t", sampling_config=sampling_config, timeout=0
    )


def groups() -> None:
    """A group that lacks a reward is passed over; those that are taken are whole."""
    client = start(tq.GRPOGroupNSampler(n_samples_per_prompt=3), [1] * 9)
    for group in (0, 2):
        keys = [f"sample{row}" for row in range(3 * group, 3 * group + 3)]
        tq.kv_batch_put(keys, "train", TensorDict({"reward": torch.rand(3)}, batch_size=3))
    found = client.get_meta(["tokens", "reward"], 6, "train", task_name="t").global_indexes
    print("groups of three:", found)
    assert found == [0, 1, 2, 6, 7, 8]
    tq.close()


def token_budget() -> None:
    """Two ranks share a stream of samples, with at most 100 tokens each per batch."""
    sampler = tq.StreamingTokenBudgetSampler(token_budget=100, dp_size=2)
    client = start(sampler, [60, 30, 50, 40, 30])
    shares = [fetch(client, 8, dp_rank=rank, batch_index=0) for rank in (0, 1)]
    again = fetch(client, 8, dp_rank=0, batch_index=0)
    print("shares of two ranks:", [share.global_indexes for share in shares])
    assert [share.global_indexes for share in shares] == [[0, 3], [1, 2]]
    assert again.global_indexes == shares[0].global_indexes  # a rank that asks again
    tq.close()


def own_policy() -> None:
    """A sampler written in Python, and what its caller sees when it fails."""
    client = start(LongestFirst, [10, 40, 20, 30])
    print("longest first:", fetch(client, 2).global_indexes)
    assert fetch(client, 2).global_indexes == [2, 0]
    tq.close()

    client = start(LongestFirst, [10, None])
    failure = ""
    try:
        fetch(client, 1)
    except SamplerError as error:
        failure = str(error)
    print("its caller sees:", failure)
    assert "KeyError" in failure
    _, consumed = client.get_consumption_status("t", "train")
    assert consumed is not None
    assert not consumed.any()
    tq.close()


def main() -> None:
    """Shows one sampler after the other."""
    groups()
    token_budget()
    own_policy()
    print("done: every batch as its sampler promised")


if __name__ == "__main__":
    main()
