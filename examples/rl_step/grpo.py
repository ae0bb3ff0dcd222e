"""The arithmetic of a GRPO step: a stand-in policy, but the real advantages and loss."""

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

KL_WEIGHT = 0.01
CLIP = 0.2


def log_probs(tokens: Tensor, policy_version: float) -> Tensor:
    """Stand-in for a model: a value in (-2.1, 0) per token [L] that moves with the version."""
    place = torch.arange(len(tokens), dtype=torch.float64)
    phase = 0.618 * tokens.double() + 0.01 * place + 0.05 * policy_version
    return (-1.05 - torch.sin(phase)).float()


def penalised_reward(reward: Tensor, old: Tensor, reference: Tensor) -> float:
    """The reward less a penalty for having drifted from the reference policy."""
    return float(reward) - KL_WEIGHT * float((old - reference).mean())


def group_advantages(rewards: Sequence[float], groups: Sequence[Hashable]) -> list[float]:
    """Each reward against the mean and deviation of its group: the responses to the same prompt."""
    members: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    advantages = [0.0] * len(rewards)
    for rows in members.values():
        of_group = torch.tensor([rewards[row] for row in rows], dtype=torch.float64)
        normalised = (of_group - of_group.mean()) / (of_group.std(correction=0) + 1e-6)
        for row, value in zip(rows, normalised.tolist(), strict=True):
            advantages[row] = value
    return advantages


def clipped_loss(new: Tensor, old: Tensor, advantages: Tensor) -> Tensor:
    """PPO's clipped surrogate, per token [L]."""
    ratio = torch.exp(new - old)
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - CLIP, 1 + CLIP) * advantages)
