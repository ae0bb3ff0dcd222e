"""Selection by tags: fresh and whole groups, best first, each sample for one trainer only."""

import torch

import transfer_queue as tq

PARTITION = "rollouts"
GROUP = 2  # samples of a prompt
MAX_STALENESS = 2  # policy versions a sample may lag behind


def rollout(prompt: str, policy_version: int, rewards: list[float | None]) -> None:
    """A rollout worker: the samples of a prompt; one without a reward is still running."""
    for n, reward in enumerate(rewards):
        tag = {"prompt": prompt, "policy_version": policy_version}
        if reward is None:
            tq.kv_put(f"{prompt}_{n}", PARTITION, tag=tag)
        else:
            fields = {"tokens": torch.arange(4 + n)}
            tq.kv_put(f"{prompt}_{n}", PARTITION, fields, tag | {"reward": reward})


def next_batch(policy_version: int, groups: int) -> tq.KVSelection:
    """The best groups that are fresh enough and complete, taken for the task ``actor``."""
    return tq.kv_select(
        PARTITION,
        f"policy_version >= {policy_version - MAX_STALENESS} and has(reward)",
        fields=["tokens"],
        order_by="-reward",
        group_by="prompt",
        group_size=GROUP,
        limit=groups * GROUP,
        claim_for="actor",
    )


def evict_stale(policy_version: int) -> list[str]:
    """Clears what no trainer may use any more."""
    evicted = tq.kv_evict(PARTITION, f"policy_version < {policy_version - MAX_STALENESS}")
    return evicted.keys


def main() -> None:
    """Two updates of a policy that is at version 7, then 8."""
    tq.init()
    rollout("old", 4, [1.0, 1.0])
    rollout("good", 6, [0.5, 0.9])
    rollout("fair", 5, [0.4, 0.3])
    rollout("running", 7, [0.7, None])
    rollout("poor", 7, [0.1, 0.2])

    batch, counts = next_batch(policy_version=7, groups=2)
    print("version 7 takes", batch.keys)
    print(counts)
    assert batch.keys == ["good_1", "good_0", "fair_0", "fair_1"]
    assert len(tq.kv_batch_get_by_meta(batch)) == counts.selected == 4
    # One group is too old, one lacks a reward, one is over the limit.
    assert counts.not_matching == 3  # old_0, old_1, running_1
    assert counts.incomplete_group == 1  # running_0
    assert counts.over_limit == 2
    tq.kv_clear(batch.keys, PARTITION)

    rollout("running", 7, [0.7, 0.6])  # its second sample is done
    stale = evict_stale(policy_version=8)
    print("version 8 evicts", stale)
    assert stale == ["old_0", "old_1"]
    first, second = (next_batch(8, 1).meta.keys for _ in range(2))
    print("version 8 takes", first, "and, in another call,", second)
    assert first == ["running_0", "running_1"]
    assert second == ["poor_1", "poor_0"]
    nothing = next_batch(8, 1)
    assert nothing.counts.already_claimed == 4
    assert not nothing.meta.keys
    tq.close()
    print("done: 4 groups used, none stale, none twice")


if __name__ == "__main__":
    main()
