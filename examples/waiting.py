"""Waiting for samples instead of listing them again and again: by key, by tag, change by change."""

import asyncio
import threading

import torch
from tensordict import TensorDict

import transfer_queue as tq
from transfer_queue.errors import WaitTimeoutError

PARTITION = "train@0"
PROMPTS, GROUP = 3, 2


def keys_of(prompt: int) -> list[str]:
    """The keys of the samples of a prompt."""
    return [f"prompt{prompt}_{n}" for n in range(GROUP)]


def generate(prompt: int, *, fail: bool = False) -> None:
    """A rollout worker: responses first, and the status once the group is complete."""
    data = TensorDict({"responses": torch.arange(4 * GROUP).view(GROUP, 4)}, batch_size=GROUP)
    tq.kv_batch_put(keys_of(prompt), PARTITION, data, tags=[{"status": "running"}] * GROUP)
    status = "failure" if fail else "finished"
    tq.kv_batch_put(keys_of(prompt), PARTITION, tags=[{"status": status}] * GROUP)


def replay_buffer() -> None:
    """The trainer sleeps until all groups are finished; the last put wakes it."""
    workers = [threading.Thread(target=generate, args=(prompt,)) for prompt in range(PROMPTS)]
    for worker in workers:
        worker.start()
    finished = tq.kv_wait(PARTITION, tags={"status": "finished"}, count=PROMPTS * GROUP, timeout=60)
    print("finished:", len(finished), "samples with", finished.fields)
    assert sorted(finished.keys) == sorted(key for n in range(PROMPTS) for key in keys_of(n))
    assert len(tq.kv_batch_get_by_meta(finished)) == PROMPTS * GROUP

    try:
        tq.kv_wait(PARTITION, keys=keys_of(0), fields=["reward"], timeout=0.05)
    except WaitTimeoutError as error:
        print("gave up:", str(error)[:60], "...")
    for worker in workers:
        worker.join()


async def rewards() -> list[str]:
    """A reward worker in an event loop: scores what is finished until it sees a failed group."""
    scored: list[str] = []
    async for change in tq.async_kv_watch(PARTITION, timeout=60):
        if change.tag.get("status") == "failure":
            return scored
        if change.tag.get("status") == "finished" and "reward" not in change.fields:
            await tq.async_kv_put(change.key, PARTITION, {"reward": torch.tensor(1.0)})
            scored.append(change.key)
    raise AssertionError("a watch ends only by an exception")


async def asyncio_workers() -> None:
    """Both sides in one loop: a group waits for its rewards without a thread of its own."""
    rewarding = asyncio.create_task(rewards())
    rewarded = await tq.async_kv_wait(PARTITION, keys_of(1), ["responses", "reward"], timeout=60)
    assert rewarded.fields == ["responses", "reward"]
    await asyncio.to_thread(generate, PROMPTS, fail=True)
    scored = await rewarding
    print("rewarded:", scored)
    assert len(scored) == PROMPTS * GROUP


def main() -> None:
    """Waits in threads first, in an event loop then."""
    tq.init()
    replay_buffer()
    asyncio.run(asyncio_workers())
    tq.close()
    print("done: nobody polled")


if __name__ == "__main__":
    main()
