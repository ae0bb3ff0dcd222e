"""The four stages of a GRPO step: they share keys, and all data goes through the gateway."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import transfer_queue as tq

from columns import Rows
from gateway import Gateway, Tag
from grpo import clipped_loss, group_advantages, log_probs, penalised_reward
from images import PatchCutter, Photo
from rollout import make_prompts, make_responses

STAGES = ("gen", "old_log_prob", "adv", "update_actor")
MODEL_INPUTS = ("prompts", "responses", "attention_mask", "position_ids", "multi_modal_inputs")

# Data-parallel ranks that share the log-prob work, and optimiser steps in one actor update.
RANKS = 2
MINI_BATCHES = 2


@dataclass(frozen=True)
class Step:
    """One GRPO step: its number, its policy, and where its samples are kept."""

    gateway: Gateway
    number: int
    seed: int

    @property
    def policy_version(self) -> int:
        """One update of the actor per step."""
        return self.number

    @property
    def samples(self) -> str:
        """The partition of the samples."""
        return f"train_{self.number}"

    @property
    def prompts(self) -> str:
        """The partition of the prompts."""
        return f"prompts_{self.number}"

    def begin(self, stage: str) -> None:
        """Books the transfers that follow under this stage."""
        self.gateway.meter.step = self.number
        self.gateway.meter.stage = stage

    def with_status(self, status: str) -> dict[str, Tag]:
        """The samples that have come this far, in the order in which they were put."""
        tags = self.gateway.tags(self.samples)
        return {key: tag for key, tag in tags.items() if tag["status"] == status}

    def clear(self) -> None:
        """Drops the step's data."""
        self.gateway.clear(self.samples)
        self.gateway.clear(self.prompts)


def gen(
    step: Step, photos: Sequence[Photo], cutter: PatchCutter, prompts: int, responses: int
) -> None:
    """The trainer puts prompts; a rollout worker gets them and puts the answered samples."""
    step.begin("gen")
    seed = f"{step.seed}/{step.number}"
    keys = [f"{step.number}_p{prompt}" for prompt in range(prompts)]
    rows = make_prompts(photos, prompts, seed + "/prompts")
    step.gateway.put(step.prompts, keys, rows, [{"step": step.number} for _ in keys])

    received = step.gateway.get(step.prompts, keys, tuple(rows))
    answered = make_responses(received, responses, cutter, seed + "/responses")
    names = [(prompt, response) for prompt in range(prompts) for response in range(responses)]
    tags: list[Tag] = [
        {
            "step": step.number,
            "prompt": prompt,
            "policy_version": step.policy_version,
            "status": "generated",
        }
        for prompt, _ in names
    ]
    keys = [f"{step.number}_{prompt}_{response}" for prompt, response in names]
    step.gateway.put(step.samples, keys, answered, tags)


def old_log_prob(step: Step) -> None:
    """Each rank gets the model inputs of its share and puts log-probs under the current policy."""
    step.begin("old_log_prob")
    for keys in _shares(list(step.with_status("generated")), RANKS):
        batch = step.gateway.get(step.samples, keys, MODEL_INPUTS)
        old = [log_probs(tokens, step.policy_version) for tokens in batch["responses"]]
        _put(step, keys, {"old_log_probs": old}, "log_probs")


def adv(step: Step) -> tuple[tq.KVBatchMeta, float]:
    """The trainer turns rewards into advantages. Returns handle and mean reward of the samples."""
    step.begin("adv")
    tags = step.with_status("log_probs")
    keys = list(tags)
    batch = step.gateway.get(step.samples, keys, ("responses", "rewards", "old_log_probs"))
    penalised = [
        penalised_reward(reward, old, log_probs(tokens, policy_version=0))
        for tokens, reward, old in zip(
            batch["responses"], batch["rewards"], batch["old_log_probs"], strict=True
        )
    ]
    scores = group_advantages(penalised, [tag["prompt"] for tag in tags.values()])
    per_token = [
        torch.full((len(tokens),), score)
        for tokens, score in zip(batch["responses"], scores, strict=True)
    ]
    # An outcome reward is not discounted, so GRPO's returns are its advantages.
    rows: Rows = {"advantages": per_token, "returns": [tensor.clone() for tensor in per_token]}
    meta = _put(step, keys, rows, "advantages")
    return meta, float(torch.stack(batch["rewards"]).mean())


def update_actor(step: Step, meta: tq.KVBatchMeta) -> float:
    """The actor gets everything, in shuffled mini-batches. Returns the mean loss per token."""
    step.begin("update_actor")
    keys = list(meta.keys)
    random.Random(f"{step.seed}/{step.number}/shuffle").shuffle(keys)
    fields = (*MODEL_INPUTS, "old_log_probs", "advantages", "returns")
    losses = []
    for part, share in enumerate(_shares(keys, MINI_BATCHES)):
        batch = step.gateway.get_by_meta(meta.select_keys(share), fields)
        version = step.policy_version + part / MINI_BATCHES
        for tokens, old, advantages in zip(
            batch["responses"], batch["old_log_probs"], batch["advantages"], strict=True
        ):
            losses.append(clipped_loss(log_probs(tokens, version), old, advantages))
        _put(step, share, None, "trained")
    return float(torch.cat(losses).mean())


def _put(step: Step, keys: Sequence[str], rows: Rows | None, status: str) -> tq.KVBatchMeta:
    return step.gateway.put(step.samples, keys, rows, [{"status": status} for _ in keys])


def _shares(keys: list[str], count: int) -> Iterator[list[str]]:
    size = -(-len(keys) // count)
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
