"""Whole groups of consecutive samples."""

from __future__ import annotations

from typing import Any

from transfer_queue import _core
from transfer_queue.errors import InvalidArgumentError
from transfer_queue.sampler.base import BaseSampler

__all__ = ["GRPOGroupNSampler"]


class GRPOGroupNSampler(BaseSampler):
    """Whole groups of samples of one prompt, which were inserted together.

    A group is ``n_samples_per_prompt`` consecutive global indexes; a group of which a sample is not
    ready waits.

    Args:
        n_samples_per_prompt: samples of a group.

    Raises:
        InvalidArgumentError: it is not positive.
    """

    def __init__(self, n_samples_per_prompt: int = 1) -> None:
        super().__init__()
        check_positive("n_samples_per_prompt", n_samples_per_prompt)
        self.n_samples_per_prompt = n_samples_per_prompt

    def sample(
        self,
        ready_indexes: list[int],
        batch_size: int,
        task_name: str = "",
        partition_id: str = "",
        *args: Any,  # noqa: ARG002
        **kwargs: Any,
    ) -> tuple[list[int], list[int]]:
        """The oldest groups that fill ``batch_size``, or nothing where there are too few.

        Args:
            ready_indexes: the ready samples, in any order.
            batch_size: samples asked for, a multiple of ``n_samples_per_prompt``.
            task_name: the task; a part of the name under which the answer is kept.
            partition_id: the partition; likewise.
            *args: ignored.
            **kwargs: ``dp_rank`` and ``batch_index``; where ``dp_rank`` is given, the same batch is
                given to it again.

        Returns:
            The batch, twice.

        Raises:
            InvalidArgumentError: groups do not fill ``batch_size``.
        """
        dp_rank, batch_index = kwargs.get("dp_rank"), kwargs.get("batch_index")
        cached = self._cached(partition_id, task_name, dp_rank)
        if batch_index in cached:
            answer: tuple[list[int], list[int]] = cached[batch_index]
            return answer
        sampled = self._groups(ready_indexes, batch_size)
        if not sampled:
            return [], []
        answer = sampled, list(sampled)
        if dp_rank is not None:
            self._answers(partition_id, task_name, dp_rank)[batch_index] = answer
        return answer

    def _groups(self, ready_indexes: list[int], batch_size: int) -> list[int]:
        """Samples of the oldest groups; none where they do not fill ``batch_size``."""
        size = self.n_samples_per_prompt
        if batch_size % size:
            raise InvalidArgumentError(
                f"batch_size is {batch_size}, but it must be a multiple of n_samples_per_prompt, "
                f"which is {size}"
            )
        if batch_size <= 0:
            return []
        return _core.grpo_groups(ready_indexes, size, batch_size // size) or []


def check_positive(name: str, value: int) -> None:
    """Raises InvalidArgumentError where a parameter is not positive."""
    if value <= 0:
        raise InvalidArgumentError(f"{name} must be positive, but it is {value}")
