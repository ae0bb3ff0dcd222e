"""The KV API in one go: rollouts in, rewards out, advantages in, a training batch out."""

import torch
from tensordict import TensorDict

import transfer_queue as tq


def main() -> None:
    """Runs one step on three samples."""
    tq.init()  # controller and storage unit live in this process
    keys = ["a", "b", "c"]

    # Rollout workers put responses of differing lengths, and a tag per sample.
    responses = [torch.arange(length) for length in (5, 3, 7)]
    rollout = TensorDict(
        {
            "responses": torch.nested.as_nested_tensor(responses, layout=torch.jagged),
            "reward": torch.tensor([0.0, 1.0, 0.5]),
        },
        batch_size=3,
    )
    tq.kv_batch_put(keys, "train", rollout, tags=[{"step": 7}] * 3)

    # Another worker reads one field and adds one to the same samples.
    reward = tq.kv_batch_get(keys, "train", ["reward"])["reward"]
    update = TensorDict({"advantage": reward - reward.mean()}, batch_size=3)
    samples = tq.kv_batch_put(keys, "train", update)

    # The trainer reads what it needs by the handle that the put returned.
    samples.fields = ["responses", "advantage"]
    batch = tq.kv_batch_get_by_meta(samples)
    print("advantage:", batch["advantage"].tolist())
    print("response lengths:", batch["responses"].offsets().diff().tolist())
    print("tags:", tq.kv_list("train")["train"])

    tq.kv_clear(keys, "train")
    print("left:", tq.kv_list())
    tq.close()


if __name__ == "__main__":
    main()
