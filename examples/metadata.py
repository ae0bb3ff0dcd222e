"""Samples by metadata: rollouts in, rewards added by another task, a trainer that dies and starts
over."""

import torch
from tensordict import NonTensorStack, TensorDict

import transfer_queue as tq
from transfer_queue import BatchMeta, TransferQueueClient

STEP = "train@0"
PROMPTS = ["2 + 2", "3 * 5", "7 - 9", "8 / 4"]


def rollout(client: TransferQueueClient) -> None:
    """Adds one sample per prompt; the samples have no key, only their global indexes."""
    responses = [torch.arange(length) for length in (3, 5, 2, 4)]
    data = TensorDict(
        {
            "prompt": NonTensorStack(*PROMPTS),
            "responses": torch.nested.as_nested_tensor(responses, layout=torch.jagged),
        },
        batch_size=4,
    )
    meta = client.put(data, partition_id=STEP)
    meta.update_custom_meta([{"total_lengths": len(response)} for response in responses])
    client.set_custom_meta(meta)
    print("inserted", meta.global_indexes, "with", meta.field_names)


def reward(client: TransferQueueClient) -> None:
    """Takes samples two by two, and adds a field to just those."""
    while not client.check_consumption_status("reward", STEP):
        meta = client.get_meta(["responses"], 2, STEP, task_name="reward")
        lengths = client.get_data(meta)["responses"].offsets().diff()
        client.put(TensorDict({"reward": lengths / 10}, batch_size=len(meta)), metadata=meta)


def take(client: TransferQueueClient, size: int) -> BatchMeta:
    """What the trainer takes: both fields must be there."""
    return client.get_meta(["responses", "reward"], size, STEP, task_name="train", timeout=0)


def main() -> None:
    """Runs one step of four samples."""
    tq.init()
    client = tq.get_client()
    rollout(client)
    assert not client.check_production_status(["reward"], STEP)
    reward(client)
    _, produced = client.get_production_status(["responses", "reward"], STEP)
    assert produced is not None
    assert produced.all()

    # The trainer takes three samples and dies before it has used them.
    lost = take(client, 3)
    try:
        take(client, 2)
    except TimeoutError:
        print("taken by a trainer that died:", lost.global_indexes)
    client.reset_consumption(STEP, "train", lost.global_indexes)

    # Its successor sees them again. The reward task is not affected.
    meta = take(client, 4)
    batch = client.get_data(meta)
    print(
        "trained on",
        meta.global_indexes,
        "with lengths",
        [m["total_lengths"] for m in meta.custom_meta],
    )
    assert meta.global_indexes == [0, 1, 2, 3]
    assert torch.allclose(batch["reward"], torch.tensor([0.3, 0.5, 0.2, 0.4]))
    assert client.check_consumption_status("reward", STEP)

    # A part of the samples goes, then the partition. Nobody is ever given their indexes again.
    client.clear_samples(meta[:2])
    left = client.get_meta(["reward"], 0, STEP, mode="force_fetch")
    assert left.global_indexes == meta.global_indexes[2:]
    client.clear_partition(STEP)
    assert client.get_partition_list() == []
    tq.close()
    print("done: 4 samples trained on, each of them once")


if __name__ == "__main__":
    main()
