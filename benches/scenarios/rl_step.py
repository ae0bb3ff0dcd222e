"""A training step as it moves data: generation, old log-probs, advantages, the actor's update.

Each worker generates the responses of its prompts and puts what a rollout gives; reads its model
inputs and adds log-probs; the driver reads three small fields of all samples, adds advantages and
returns; each worker reads everything for the update; the driver clears. Nothing is computed, and
what is put has been made before a clock starts. A stage's time is the driver's, from the first
message to a worker to the last answer.
"""

from __future__ import annotations

import gc
import time
from typing import Any

import torch
from contents import check, touch
from payloads import PATCH
from session_state import Session
from systems.base import rows_of
from tensordict import NonTensorStack, TensorDict
from workers import Worker

__all__ = ["STAGES", "run"]

STAGES = ("gen", "old_log_prob", "adv", "update_actor", "clear")
RESPONSES = 4
#: Steps of one content are left out where those before took more seconds than this.
PATIENCE = 8.0
TOKENS = (1024, 4096)
#: Patches of 1176 float32 each: 1 to 4 MB.
PATCHES = (1_000_000 // 4 // PATCH, 4_000_000 // 4 // PATCH)
INPUTS = ["prompts", "responses", "attention_mask", "position_ids"]
CONTENTS = {"text": INPUTS, "with images": [*INPUTS, "multi_modal_inputs"]}


def run(session: Session) -> None:
    workers = len(session.workers)
    prompts = session.scale.prompts // workers * workers
    for content, fields in CONTENTS.items():
        spent = 0.0
        # A step's number goes on over the contents, so that no partition is used twice.
        for step in range(session.scale.steps + 1):
            if spent > PATIENCE:
                reason = f"left out: the steps before took {spent:.0f} s"
                session.results.failed(f"{content}, step {step} and after", reason)
                break
            seeds = [(step, prompts // workers, "images" in content) for _ in range(workers)]
            size = sum(session.workers.each(prepare, seeds))
            stages = one_step(session, f"{content} {step}", prompts, fields, compare=step == 0)
            if step == 0:
                continue
            for stage, seconds in stages.items():
                session.results.add(f"{content}, step {step}: {stage}", [seconds])
            total = sum(stages.values())
            spent += total
            session.results.add(f"{content}, step {step}: total", [total], size=size)
        session.workers.all(forget)


def one_step(
    session: Session, where: str, prompts: int, fields: list[str], *, compare: bool
) -> dict[str, float]:
    workers = session.workers
    count = len(workers)
    generator = torch.Generator().manual_seed(7)
    lengths = torch.randint(*TOKENS, (prompts,), generator=generator).tolist()
    rows = [torch.randint(0, 150_000, (length,), generator=generator) for length in lengths]
    asked = TensorDict({"raw_prompt_ids": jagged(rows)}, batch_size=prompts)
    asked_keys = [f"prompt_{number}" for number in range(prompts)]
    asked_where = f"{where} prompts"
    own = prompts // count
    shares = [asked_keys[number * own : (number + 1) * own] for number in range(count)]
    clock = Clock()

    session.store.put(asked_where, asked_keys, asked, None)
    own_keys = workers.each(generate, [(where, asked_where, share) for share in shares])
    clock("gen")

    keys = session.store.list(where)
    assert sorted(keys) == sorted(key for own in own_keys for key in own), "other keys are listed"
    workers.each(old_log_prob, [(where, own, fields, compare) for own in own_keys])
    clock("old_log_prob")

    keys = session.store.list(where)
    read = session.store.get(where, keys, ["old_log_probs", "rewards", "responses"])
    zeros = [torch.zeros(len(row)) for row in rows_of(read["responses"])]
    columns = {"advantages": jagged(zeros), "returns": jagged(zeros)}
    session.store.put(where, keys, TensorDict(columns, batch_size=len(keys)), None)
    clock("adv")

    workers.each(
        update_actor, [(where, own, [*fields, "old_log_probs", "advantages"]) for own in own_keys]
    )
    clock("update_actor")

    session.store.clear(where, keys)
    session.store.clear(asked_where, asked_keys)
    clock("clear")
    return clock.seconds


class Clock:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def __call__(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self._last
        self._last = now


def jagged(rows: list[torch.Tensor]) -> torch.Tensor:
    return torch.nested.as_nested_tensor(rows, layout=torch.jagged)


def prepare(worker: Worker, step: int, prompts: int, images: bool) -> int:
    """Makes what this worker will generate; its bytes."""
    worker.kept.clear()
    gc.collect()
    generator = torch.Generator().manual_seed(step * 1009 + worker.number)
    count = prompts * RESPONSES

    def random(low: int, high: int) -> list[int]:
        return torch.randint(low, high + 1, (count,), generator=generator).tolist()

    asked, answered = random(*TOKENS), random(*TOKENS)
    both = [one + other for one, other in zip(asked, answered, strict=True)]
    columns: dict[str, Any] = {
        "prompts": [torch.randint(0, 150_000, (n,), generator=generator) for n in asked],
        "responses": [torch.randint(0, 150_000, (n,), generator=generator) for n in answered],
        "attention_mask": [torch.ones(n, dtype=torch.int64) for n in both],
        "position_ids": [torch.arange(n) for n in both],
    }
    size = sum(row.nbytes for rows in columns.values() for row in rows)
    columns = {name: jagged(rows) for name, rows in columns.items()}
    columns["rewards"] = torch.rand(count, 1, generator=generator)
    if images:
        made = [
            {
                "pixel_values": torch.rand(patches, PATCH, generator=generator),
                "image_grid_thw": torch.tensor([[1, 2, patches // 2]]),
            }
            for patches in random(*PATCHES)
        ]
        size += sum(one["pixel_values"].nbytes for one in made)
        columns["multi_modal_inputs"] = NonTensorStack(*made)
    worker.kept["batch"] = TensorDict(columns, batch_size=count)
    worker.kept["lengths"] = answered
    worker.kept["keys"] = [f"{worker.number}_{row}" for row in range(count)]
    return size


def generate(worker: Worker, where: str, asked_where: str, asked_keys: list[str]) -> list[str]:
    worker.store.get(asked_where, asked_keys, ["raw_prompt_ids"])
    keys: list[str] = worker.kept["keys"]
    worker.store.put(where, keys, worker.kept["batch"], [{"step": where}] * len(keys))
    return keys


def old_log_prob(
    worker: Worker, where: str, keys: list[str], fields: list[str], compare: bool
) -> None:
    read = worker.store.get(where, keys, fields)
    touch(read)
    if compare:
        check(worker.kept["batch"].select(*fields), read)
    zeros = [torch.zeros(length) for length in worker.kept["lengths"]]
    batch = TensorDict({"old_log_probs": jagged(zeros)}, batch_size=len(keys))
    worker.store.put(where, keys, batch, None)


def update_actor(worker: Worker, where: str, keys: list[str], fields: list[str]) -> None:
    read = worker.store.get(where, keys, fields)
    touch(read)
    assert len(rows_of(read["advantages"])) == len(keys)


def forget(worker: Worker) -> None:
    worker.kept.clear()
    gc.collect()
