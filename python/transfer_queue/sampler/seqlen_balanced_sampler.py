"""Whole groups, dealt to the ranks so that their tokens are even."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from transfer_queue import _core
from transfer_queue.sampler.grpo_group_n_sampler import GRPOGroupNSampler, check_positive

__all__ = ["SeqlenBalancedSampler", "get_seqlen_balanced_partitions", "karmarkar_karp"]

logger = logging.getLogger(__name__)

_LENGTH_TAG = "total_lengths"


class SeqlenBalancedSampler(GRPOGroupNSampler):
    """One global batch of ``batch_size`` samples per rank, dealt by length.

    The first rank that asks for a batch index settles the shares of all ranks: the oldest groups
    are dealt so that the sums of the tag ``total_lengths`` are even. A sample without it counts 1.

        sampler = SeqlenBalancedSampler(dp_size=2)  # lengths 100, 100, 10, 10
        client.get_meta(..., batch_size=2, sampling_config={"dp_rank": 0, "batch_index": 0})
        # one long and one short sample, and so for rank 1

    Args:
        n_samples_per_prompt: samples of a group.
        dp_size: ranks that ask.

    Raises:
        InvalidArgumentError: one of them is not positive.
    """

    _memories = ("_balanced_cache",)

    def __init__(self, n_samples_per_prompt: int = 1, dp_size: int = 1) -> None:
        super().__init__(n_samples_per_prompt)
        check_positive("dp_size", dp_size)
        self.dp_size = dp_size
        self._balanced_cache: dict[tuple[str, str, int], list[list[int]]] = {}

    def sample(
        self,
        ready_indexes: list[int],
        batch_size: int,
        task_name: str = "",
        partition_id: str = "",
        *args: Any,  # noqa: ARG002
        **kwargs: Any,
    ) -> tuple[list[int], list[int]]:
        """The share of a rank, or nothing where too few groups are ready for all ranks.

        Args:
            ready_indexes: the ready samples, in any order.
            batch_size: samples of one rank.
            task_name: the task; tasks have batches of their own.
            partition_id: the partition; likewise.
            *args: ignored.
            **kwargs: ``dp_rank`` and ``batch_index``, both 0 where they are not given, and
                ``partition``, from which the lengths are read; without it ranks get equally many
                samples.

        Returns:
            The share, twice.

        Raises:
            InvalidArgumentError: groups do not fill ``batch_size`` samples of all ranks.
            AssertionError: the groups cannot be dealt in equal numbers.
        """
        dp_rank, batch_index = kwargs.get("dp_rank", 0), kwargs.get("batch_index", 0)
        key = (partition_id, task_name, batch_index)
        if key not in self._balanced_cache:
            sampled = self._groups(ready_indexes, batch_size * self.dp_size)
            if not sampled:
                return [], []
            shares = self._shares(sampled, kwargs.get("partition"))
            self._balanced_cache[key] = shares
            for rank, share in enumerate(shares):
                answers = self._answers(partition_id, task_name, rank)
                answers[batch_index] = (share, list(share))
        shares = self._balanced_cache[key]
        share = shares[dp_rank] if dp_rank < len(shares) else []
        return share, list(share)

    def _shares(self, sampled: list[int], partition: Any) -> list[list[int]]:
        if partition is None:
            logger.warning(
                "SeqlenBalancedSampler was given no partition to read lengths from; it deals equal "
                "numbers of samples"
            )
            chunk = len(sampled) // self.dp_size
            starts = [rank * chunk for rank in range(self.dp_size)]
            ends = [*starts[1:], len(sampled)]
            return [sampled[start:end] for start, end in zip(starts, ends, strict=True)]
        custom_meta = partition.get_custom_meta(sampled)
        size = self.n_samples_per_prompt
        groups = [sampled[start : start + size] for start in range(0, len(sampled), size)]
        weights = [
            sum(custom_meta.get(index, {}).get(_LENGTH_TAG, 1) for index in group)
            for group in groups
        ]
        parts = get_seqlen_balanced_partitions(weights, self.dp_size, equal_size=True)
        return [[index for place in part for index in groups[place]] for part in parts]


def karmarkar_karp(
    seqlen_list: Sequence[float], k_partitions: int, equal_size: bool
) -> list[list[int]]:
    """Positions of ``seqlen_list`` in ``k_partitions`` parts with sums that are about even, by
    largest differencing; parts of equal size where asked for.

    Raises:
        AssertionError: there are too few lengths, or they cannot be put into parts of equal size.
    """
    items = len(seqlen_list)
    if not 1 <= k_partitions <= items:
        raise AssertionError(
            f"{items} lengths cannot be put into {k_partitions} parts without an empty one"
        )
    if equal_size and items % k_partitions:
        raise AssertionError(
            f"{items} lengths cannot be put into {k_partitions} parts of equal size; give a "
            f"multiple of {k_partitions}"
        )
    return _core.balanced_partitions(
        [float(length) for length in seqlen_list], k_partitions, equal_size
    )


def get_seqlen_balanced_partitions(
    seqlen_list: Sequence[float], k_partitions: int, equal_size: bool
) -> list[list[int]]:
    """As :func:`karmarkar_karp`, with no part empty and each part ascending.

        >>> get_seqlen_balanced_partitions([10, 20, 30, 40], 2, equal_size=True)
        [[0, 3], [1, 2]]

    Raises:
        AssertionError: as there, or a part stays empty.
    """
    parts = karmarkar_karp(seqlen_list, k_partitions, equal_size)
    if not all(parts):
        raise AssertionError(
            f"{len(seqlen_list)} lengths leave one of {k_partitions} parts empty; ask for fewer"
        )
    return parts
