"""The oldest samples, the same again for the same rank and batch index."""

from __future__ import annotations

from typing import Any

from transfer_queue.errors import InvalidArgumentError
from transfer_queue.sampler.base import BaseSampler

__all__ = ["RankAwareSampler"]


class RankAwareSampler(BaseSampler):
    """The first ``batch_size`` of the ready samples, remembered per rank and batch index.

    Every process of a data-parallel rank that asks for the same batch index gets the same batch.
    """

    def sample(
        self,
        ready_indexes: list[int],
        batch_size: int,
        dp_rank: int,
        batch_index: int,
        task_name: str,
        partition_id: str,
        *args: Any,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> tuple[list[int], list[int]]:
        """The batch of this rank and batch index, or nothing where too few samples are ready.

        Args:
            ready_indexes: the ready samples.
            batch_size: samples asked for.
            dp_rank: the data-parallel rank.
            batch_index: number of the batch, counted by the rank.
            task_name: the task; tasks have batches of their own.
            partition_id: the partition; likewise.
            *args: ignored.
            **kwargs: ignored.

        Returns:
            The batch, twice.

        Raises:
            InvalidArgumentError: ``dp_rank`` is negative.
        """
        if dp_rank < 0:
            raise InvalidArgumentError(
                f"dp_rank is {dp_rank}; it must be greater than or equal to 0"
            )
        answers = self._answers(partition_id, task_name, dp_rank)
        if batch_index not in answers:
            if len(ready_indexes) < batch_size:
                return [], []
            answers[batch_index] = ready_indexes[:batch_size]
        sampled: list[int] = answers[batch_index]
        return sampled, sampled
