"""The oldest samples."""

from __future__ import annotations

from typing import Any

from transfer_queue.sampler.base import BaseSampler

__all__ = ["SequentialSampler"]


class SequentialSampler(BaseSampler):
    """The first ``batch_size`` of the ready samples."""

    def sample(
        self,
        ready_indexes: list[int],
        batch_size: int,
        *args: Any,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> tuple[list[int], list[int]]:
        """The first ``batch_size``, or all where there are fewer."""
        sampled = ready_indexes[:batch_size]
        return sampled, list(sampled)
